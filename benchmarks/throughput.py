"""Training examples a second of our models and of peer libraries, the sides alternating in one run.

make bench-throughput                                       # ours alone
make bench-throughput ONLY="--peers ENVS --scripts FOLDER"  # beside DeepCTR, RecTools and implicit

Each measurement is a process of its own with the same allocator settings, so that no side inherits the other's memory.
FOLDER holds the peers' scripts (deepctr_ctr.py, rectools_sasrec.py, implicit_loo.py), ENVS their environments. The best
epoch of a process counts: the first one traces the graph.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measurement import record

# glibc gives big tensors back at every free; both sides keep them.
_ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
_DEEP = {"embedding_dim": 16, "hidden_units": [256, 128, 64], "dropout": 0.0}
_CLICKS = {"epochs": 3, "batch_size": 2048}
# Name -> protocol, hyperparameters (and `name`, where the model is called otherwise), training, history length; and the
# peer: environment, script, arguments.
_SIDES: dict[str, tuple[str, dict[str, Any], dict[str, Any], int, tuple[str, ...]]] = {
    "deepfm": ("clicks_1m", _DEEP, _CLICKS, 1, ("deepctr", "deepctr_ctr.py", "--model", "DeepFM")),
    "dcn": ("clicks_1m", _DEEP, _CLICKS, 1, ("deepctr", "deepctr_ctr.py", "--model", "DCN")),
    "fm": ("clicks_1m", {"embedding_dim": 16}, _CLICKS, 1, ("deepctr", "deepctr_ctr.py", "--model", "FM")),
    "xdeepfm": (
        "clicks_1m",
        {**_DEEP, "num_maps": [128, 128]},
        _CLICKS,
        1,
        ("deepctr", "deepctr_ctr.py", "--model", "xDeepFM"),
    ),
    "two_tower": (
        "next_item_1m",
        {"embedding_dim": 16},
        {**_CLICKS, "loss": "in_batch_softmax"},
        1,
        (),
    ),
    "two_tower_sampled": (
        "next_item_1m",
        {"name": "two_tower", "embedding_dim": 16},
        {**_CLICKS, "loss": "sampled_softmax", "num_negatives": 128},
        1,
        (),
    ),
    "bpr": (
        "next_item_1m",
        {"embedding_dim": 64},
        {"epochs": 3, "batch_size": 2048, "num_negatives": 1},
        1,
        ("implicit", "implicit_loo.py", "--model", "bpr"),
    ),
    "sasrec": (
        "next_item_1m",
        {"embedding_dim": 64, "dropout": 0.2},
        {"epochs": 2, "batch_size": 128, "loss": "softmax"},
        100,
        ("rectools", "rectools_sasrec.py", "--epochs", "2"),
    ),
}


def ours(name: str, data: Path, seed: int) -> dict[str, Any]:
    """Return the examples a second of the best epoch, and of a ranking model the AUC that it came to.

    For a sequence model an example is a sequence of a user's.
    """
    from benchmarks.quality import measures, protocols
    from benchmarks.quality.__main__ import of_rows
    from models.fitting import fit
    from models.registry import parse_params
    from settings.training import TrainingSettings

    protocol, model, training, length, _ = _SIDES[name]
    is_next = protocol == "next_item_1m"
    problem = protocols.next_item_1m(data, length) if is_next else protocols.clicks_1m(data)
    settings = TrainingSettings(**training, early_stopping_patience=0, seed=seed)
    trained, history = fit(parse_params({"name": name, **model}), settings, problem.space, problem.data)
    rows = history.examples_per_second * sum(epoch["seconds"] for epoch in history.epochs) / len(history.epochs)
    found = {"train_examples_per_second": rows / min(epoch["seconds"] for epoch in history.epochs)}
    if is_next:
        return found
    return {**found, "metrics": {"auc": measures.auc(problem.test.liked, of_rows(trained, problem.test))}}


def measured(command: list[str]) -> tuple[float, float | None]:
    """Run a process; return the examples a second, and the AUC if any, of the last JSON line that it prints."""
    environment = os.environ | _ALLOCATOR
    asked = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    line = json.loads([line for line in asked.stdout.splitlines() if line.startswith("{")][-1])
    rate = float(line.get("best_epoch_examples_per_second") or line["train_examples_per_second"])
    return rate, line.get("metrics", {}).get("auc")


def main() -> None:
    """Alternate the sides and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(_SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SHORTLIST_DATA", "data")))
    parser.add_argument("--peers", type=Path, help="folder of the peers' virtual environments")
    parser.add_argument("--scripts", type=Path, help="folder of the peers' scripts")
    parser.add_argument("--seed", type=int, default=0, help="of --one")
    parser.add_argument("--one", help="measure this model here and print it; used for each round")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(ours(options.one, options.data, options.seed)))
        return
    for name in options.models.split(","):
        peer = _SIDES[name][4]
        rounds: dict[str, list[tuple[float, float | None]]] = {"ours": [], "peer": []}
        for seed in range(options.rounds):
            own = ["-m", "benchmarks.throughput", "--one", name, "--seed", str(seed), "--data", str(options.data)]
            rounds["ours"].append(measured([sys.executable, *own]))
            if peer and options.peers:
                python, script = options.peers / peer[0] / "bin" / "python", options.scripts / peer[1]
                theirs = ["--seed", str(seed), "--data", str(options.data), *peer[2:]]
                rounds["peer"].append(measured([str(python), str(script), *theirs]))
        medians = {side: round(statistics.median(rate for rate, _ in found)) for side, found in rounds.items() if found}
        ratio = {"ratio": round(medians["ours"] / medians["peer"], 2)} if "peer" in medians else {}
        auc = {side: [round(auc, 5) for _, auc in found if auc is not None] for side, found in rounds.items()}
        rates = {side: [round(rate) for rate, _ in found] for side, found in rounds.items()}
        result = {"examples_a_second": {**medians, **ratio, "rounds": rates}}
        record(f"throughput_{name}", {"model": name, **result, **({"auc": auc} if auc["ours"] else {})})


if __name__ == "__main__":
    main()
