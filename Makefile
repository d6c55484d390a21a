# Every target sets the environment up first; that costs nothing when it is already complete.
PYTHON := .venv/bin/python
CONFIG ?= configs/movielens_100k.yaml
KUBERNETES_CACHE ?= .tools/kubernetes
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help setup run test lint check-manifests kubernetes-e2e format bench bench-quality bench-throughput bench-join bench-serving bench-batch bench-index bench-gate bench-evaluator bench-data bench-node-overhead
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## create .venv with the locked dependencies
	@python3.11 environment/bootstrap.py

run: setup ## data in, a gated and pushed recommender out (CONFIG=configs/...yaml)
	@$(PYTHON) pipeline.py run --config $(CONFIG)

test: setup ## all tests that need no cluster and no GPU
	@$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 20

lint: setup ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

check-manifests: setup ## checkov over all Kubernetes manifests and the Dockerfile (needs kubectl)
	@kubernetes/check_manifests.sh

kubernetes-e2e: setup ## build a one-machine Kubernetes and the image, run the pipeline there as Jobs (root, Debian 12, 1 h)
	@kubernetes/e2e/cluster.sh build $(KUBERNETES_CACHE)
	@kubernetes/e2e/image.sh $(KUBERNETES_CACHE)
	@kubernetes/e2e/cluster.sh start $(KUBERNETES_CACHE)
	@$(PYTHON) kubernetes/e2e/proofs.py $(KUBERNETES_CACHE); code=$$?; \
	  kubernetes/e2e/cluster.sh stop $(KUBERNETES_CACHE); exit $$code

format: setup ## rewrite the code in house style
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: setup ## time and memory of the main job, written to benchmarks/results/
	@$(PYTHON) -m benchmarks.main_job

bench-gate: setup ## how often noise alone blocks or blesses, and how often a true loss is blocked; minutes
	@$(PYTHON) -m benchmarks.gate_study

bench-evaluator: setup ## time of the Evaluator on MovieLens 1M against plain NumPy (DATA=.../ml-1m)
	@$(PYTHON) -m benchmarks.evaluator $(if $(DATA),--data-path $(DATA))

bench-data: setup ## rows a second from ratings to a transform graph beside stock TFX (DATA=folder of MovieLens 1M)
	@$(PYTHON) -m benchmarks.data_path --data $(or $(DATA),data/ml-1m)

bench-node-overhead: setup ## what a container adds to a node, and how long compiling for Kubeflow takes
	@$(PYTHON) -m benchmarks.node_overhead

bench-quality: setup ## train and measure every model under the published protocols; hours (ONLY="--protocol criteo")
	@$(PYTHON) -m benchmarks.quality $(ONLY)
	@$(PYTHON) -m benchmarks.quality.table

bench-throughput: setup ## training examples a second (ONLY="--peers ENVS --scripts FOLDER": beside peer libraries)
	@$(PYTHON) -m benchmarks.throughput $(ONLY)

bench-join: setup ## the join of service and click logs at 0.2 to 2 million pages
	@$(PYTHON) -m benchmarks.log_join

bench-serving: setup ## latency, throughput and swaps of the server, on the newest version in output/serving (ONLY=...)
	@$(PYTHON) -m benchmarks.serving $(ONLY)

bench-batch: setup ## recommendations for a million users beside plain NumPy
	@$(PYTHON) -m benchmarks.batch

bench-index: setup ## recall, latency, build time and memory of the index of a million items beside exact search
	@$(PYTHON) -m benchmarks.index
