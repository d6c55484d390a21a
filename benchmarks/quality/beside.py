"""DeepCTR's model beside ours: the same rows, the same settings of training, the same measures."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
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


def deepctr(entry: Entry, problems: Sequence[Problem], seeds: int, python: Path) -> dict[str, Any] | None:
    """Return what DeepCTR's model of the entry scores, means and spread over seeds; None where it has no such model.

    Args:
      entry: ours.
      problems: rows of a ranking protocol, several where it has folds.
      seeds: trainings of each.
      python: interpreter of an environment with DeepCTR.
    """
    if entry.name not in _MODELS:
        return None
    name, options = _MODELS[entry.name]
    if "hidden_units" in entry.model:
        options = {"dnn_hidden_units": entry.model["hidden_units"], **options}
    settings = TrainingSettings(**entry.training).model_dump(include={"epochs", "batch_size", "learning_rate"})
    asked = {"model": name, "options": options, "dim": entry.model["embedding_dim"], "seeds": seeds, **settings}
    answers = [_answers(asked, problem, python) for problem in problems]
    folds_of_seeds = zip(*(runs for runs, _ in answers), strict=True)
    found = measures.over_seeds([measures.over_folds(list(folds)) for folds in folds_of_seeds])
    return {"name": f"{entry.name} of deepctr {answers[0][1]}", "asked": asked, **found}


def _answers(asked: dict[str, Any], problem: Problem, python: Path) -> tuple[list[dict[str, float]], str]:
    """Return the measures of each seed, and DeepCTR's version."""
    fields = problem.space.fields
    numbers = [field.name for field in fields if field.kind == "numeric"]
    tokens = {field.name: field.vocabulary_size for field in fields if field.kind == "categorical"}
    parts = {"train": problem.data.train, "test": problem.test}
    rows = {f"{part} {field}": of.features[field] for part, of in parts.items() for field in (*numbers, *tokens)}
    rows["train liked"] = problem.data.train.liked
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "asked.json").write_text(json.dumps({**asked, "numbers": numbers, "tokens": tokens}))
        np.savez(folder / "rows.npz", allow_pickle=False, **rows)
        subprocess.run([python, "-P", _SCRIPT, folder], check=True)
        answers = np.load(folder / "probabilities.npy")
        version = (folder / "version.txt").read_text()
    liked = problem.test.liked
    return [{"auc": measures.auc(liked, p), "log_loss": measures.log_loss(liked, p)} for p in answers], version
