#!/usr/bin/env bash
# Builds every manifest as it would be applied and has checkov judge it: make check-manifests
# checkov lives in an environment of its own, made on first use: it asks for other versions than the pipeline.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
cluster=$(mktemp)
trap 'rm -rf "$folder" "$cluster"' EXIT
for build in overlays/dev overlays/prod nightly serving/kserve beam/flink beam/spark; do
  kubectl kustomize "kubernetes/$build" > "$folder/${build//\//-}.yaml"
done
# `job` refuses the digest of zeros, and asks no cluster where there is no kubeconfig.
sed "s/@sha256:0*$/@sha256:$(printf '1%.0s' {1..64})/" kubernetes/clusters/prod.yaml > "$cluster"
# The dev cluster's Job runs an image that was loaded by tag on one machine; all else is the same file.
for option in "" "--cron=0 3 * * *" --workers=3; do
  KUBECONFIG=/dev/null .venv/bin/python pipeline.py kubeflow job --config configs/own_data.yaml --cluster "$cluster" \
    ${option:+"$option"} > "$folder/job${option%%=*}.yaml"
done
cp kubernetes/Dockerfile "$folder"
.tools/bin/uv tool run --quiet --python 3.11 checkov@3.3.30 --config-file kubernetes/checkov.yaml --directory "$folder"
