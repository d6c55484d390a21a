"""DeepCTR's model beside ours: the same rows, the same settings of training, the same measures."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import measures
from benchmarks.quality.entries import Entry
from benchmarks.quality.problem import Problem
from settings.training import TrainingSettings

_SCRIPT = Path(__file__).with_name("peer_deepctr.py")
# Entry -> DeepCTR's model and what makes it the same one. Its FM is a DeepFM whose deep part is a linear map.
_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "fm": ("DeepFM", {"dnn_hidden_units": ()}),
    "afm": ("AFM", {}),
    "nfm": ("NFM", {}),
    "wide_deep": ("WDL", {}),
    "pnn-inner": ("PNN", {}),
    "pnn-outer": ("PNN", {"use_inner": False, "use_outter": True}),
    "dcn-v1": ("DCN", {}),
    "dcn-v2": ("DCN", {"cross_parameterization": "matrix"}),
    "deepfm": ("DeepFM", {}),
    "xdeepfm": ("xDeepFM", {}),
}


def deepctr(entry: Entry, problem: Problem, seeds: int, python: Path) -> dict[str, Any] | None:
    """Return what DeepCTR's model of the entry scores, means and spread over seeds; None where it has no such model.

    Args:
      entry: ours.
      problem: rows of a ranking protocol.
      seeds: trainings.
      python: interpreter of an environment with DeepCTR.
    """
    if entry.name not in _MODELS:
        return None
    name, options = _MODELS[entry.name]
    if "hidden_units" in entry.model:
        options = {"dnn_hidden_units": entry.model["hidden_units"], **options}
    training = TrainingSettings(**entry.training)
    numbers = [field.name for field in problem.space.fields if field.kind == "numeric"]
    tokens = {field.name: field.vocabulary_size for field in problem.space.fields if field.kind == "categorical"}
    asked = {
        "model": name,
        "options": options,
        "dim": entry.model["embedding_dim"],
        "numbers": numbers,
        "tokens": tokens,
        "seeds": seeds,
        **training.model_dump(include={"epochs", "batch_size", "learning_rate"}),
    }
    parts = {"train": problem.data.train, "test": problem.test}
    rows = {f"{part} {field}": of.features[field] for part, of in parts.items() for field in (*numbers, *tokens)}
    rows["train liked"] = problem.data.train.liked
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "asked.json").write_text(json.dumps(asked))
        np.savez(folder / "rows.npz", allow_pickle=False, **rows)
        subprocess.run([python, "-P", _SCRIPT, folder], check=True)
        answers = np.load(folder / "probabilities.npy")
        version = (folder / "version.txt").read_text()
    liked = problem.test.liked
    runs = [{"auc": measures.auc(liked, p), "log_loss": measures.log_loss(liked, p)} for p in answers]
    return {"name": f"{entry.name} of deepctr {version}", "asked": asked, **measures.over_seeds(runs)}
