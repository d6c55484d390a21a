"""Train and measure models under the published protocols; one JSON file an entry.

make bench-quality                                                      # everything: many hours on 2 cores
python -m benchmarks.quality --protocol criteo --seeds 5                # one protocol
python -m benchmarks.quality --protocol next_item_1m --model sasrec     # one model
python -m benchmarks.quality --protocol clicks_1m --model fm --validate # settings judged on a tenth of train
python -m benchmarks.quality --protocol criteo --seeds 5 --deepctr ENV/bin/python  # beside DeepCTR's models
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.measurement import RESULTS, provenance
from benchmarks.quality import beside, measures, protocols
from benchmarks.quality.entries import ENTRIES, Entry
from benchmarks.quality.problem import Problem
from models.fitting import fit
from models.registry import parse_params
from models.training import PROGRESS
from models.training_data import Rows
from settings.training import TrainingSettings

_ROWS_AT_ONCE = 8192
_QUERIES_AT_ONCE = 256
# Uniform negatives of the sampled protocol; only reported beside the full catalogue, never decided by.
_SAMPLED_NEGATIVES = 100


def problems(protocol: str, entry: Entry, data: Path, validate: bool, leaking: bool) -> list[Problem]:
    """Return what the entry is trained and tested on; several where the protocol has folds."""
    if protocol.startswith("next_item"):
        return [getattr(protocols, protocol)(data, entry.history_length, with_validation=validate)]
    if protocol == "ratings_100k":
        found = [protocols.ratings_100k(data, fold) for fold in (1, 2, 3, 4, 5)][: 1 if validate else 5]
    elif protocol == "criteo_folds":
        found = [protocols.criteo_folds(data, fold) for fold in range(1, 11)]
    elif protocol == "ratings_small":
        found = [protocols.ratings_small(data, leaking=leaking)]
    else:
        found = [getattr(protocols, protocol)(data)]
    return [problem.held_out(0.1, seed=1) for problem in found] if validate else found


def measure(entry: Entry, problem: Problem, seed: int) -> dict[str, float]:
    """Return what the trained entry scores on the test rows."""
    params = parse_params(entry.model)
    training = TrainingSettings(**entry.training, seed=seed)
    start = time.perf_counter()
    model, history = fit(params, training, problem.space, problem.data)
    seconds = time.perf_counter() - start
    rate = {"train_seconds": round(seconds, 1), "train_rows_a_second": round(history.examples_per_second)}
    if problem.seen is not None:
        return next_item(model, problem, seed) | rate
    scores = of_rows(model, problem.test)
    if params.task == "ranking":
        probabilities = 1 / (1 + np.exp(-scores))
        found = {"auc": measures.auc(problem.test.liked, scores)}
        return found | {"log_loss": measures.log_loss(problem.test.liked, probabilities)} | rate
    train = problem.data.train.rating
    scores = np.clip(scores, train.min(), train.max())
    found = {"rmse": measures.rmse(problem.test.rating, scores), "auc": measures.auc(problem.test.liked, scores)}
    return found | measures.ranked_rows(problem.test.user_id, problem.test.liked, scores) | rate


def of_rows(model: Any, rows: Rows) -> np.ndarray:
    """Return the model's output of each row."""
    score = tf.function(lambda batch: model(batch))
    blocks = [
        score({name: tf.constant(values[start : start + _ROWS_AT_ONCE]) for name, values in rows.features.items()})
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.concatenate([block.numpy() for block in blocks])


def next_item(model: Any, problem: Problem, seed: int) -> dict[str, float]:
    """Return the measures of the full catalogue and, beside them, those against sampled items."""
    assert problem.seen is not None
    generator = np.random.default_rng(seed)
    candidates = model.encode_candidate({k: tf.constant(v) for k, v in problem.data.catalogue.features.items()})
    score = tf.function(lambda batch: model.score(model.encode_query(batch), candidates))
    target = problem.test.features["catalogue_index"]
    full, sampled = [], []
    for start in range(0, len(target), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        scores = score({k: tf.constant(v[part]) for k, v in problem.test.features.items()}).numpy()
        scores[problem.seen[part]] = -np.inf
        full.append(measures.ranks(scores, target[part]))
        sampled.append(_sampled_ranks(scores, target[part], generator))
    found = measures.one_relevant(np.concatenate(full))
    against = measures.one_relevant(np.concatenate(sampled))
    return found | {f"{name} of {_SAMPLED_NEGATIVES} sampled": value for name, value in against.items()}


def _sampled_ranks(scores: np.ndarray, target: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return each target's rank among uniformly drawn items that are neither seen nor the target."""
    allowed = np.isfinite(scores)
    allowed[np.arange(len(target)), target] = False
    keys = np.where(allowed, generator.random(scores.shape), 2.0)
    drawn = np.argpartition(keys, _SAMPLED_NEGATIVES, axis=1)[:, :_SAMPLED_NEGATIVES]
    own = scores[np.arange(len(target)), target][:, None]
    return (np.take_along_axis(scores, drawn, axis=1) > own).sum(axis=1) + 1


def run(protocol: str, entry: Entry, found: list[Problem], seeds: int, leaking: bool) -> dict[str, Any]:
    """Return the means over folds and seeds, and over seeds also the spread."""
    runs = [measures.over_folds([measure(entry, problem, seed) for problem in found]) for seed in range(seeds)]
    return {
        "protocol": protocol + (", counts and means from all rows" if leaking else ""),
        "entry": entry.name,
        "model": entry.model,
        "training": entry.training,
        "history_length": entry.history_length,
        **measures.over_seeds(runs),
    }


def main() -> None:
    """Measure what is asked for, and write each result as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=sorted(ENTRIES), help="empty: all")
    parser.add_argument("--model", help="name of a model, or of an entry; empty: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SHORTLIST_DATA", "data")))
    parser.add_argument("--validate", action="store_true", help="predict a part of train, print, write nothing")
    parser.add_argument("--leaking", action="store_true", help="ratings_small: counts and means from all rows")
    parser.add_argument("--deepctr", type=Path, metavar="PYTHON", help="ranking: also train DeepCTR's model, run by it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a key of model or training")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    PROGRESS.setLevel(logging.WARNING)  # a line an epoch is enough
    everything = sorted(ENTRIES)
    if not (options.data / protocols.PUBLISHED).exists():
        everything.remove("next_item_published")  # not everybody has the authors' file
    for protocol in [options.protocol] if options.protocol else everything:
        for entry in ENTRIES[protocol]:
            if options.model not in (None, entry.name, entry.model["name"]):
                continue
            for text in options.set:
                key, _, value = text.partition("=")
                place = entry.training if key in TrainingSettings.model_fields else entry.model
                place[key] = json.loads(value)
            logging.info("%s: %s", protocol, entry.name)
            found = problems(protocol, entry, options.data, options.validate, options.leaking)
            result = run(protocol, entry, found, options.seeds, options.leaking)
            print(json.dumps(result), flush=True)
            if options.validate:
                continue
            _write(protocol, entry.name + ("-leaking" if options.leaking else ""), result)
            beside_us = options.deepctr and parse_params(entry.model).task == "ranking"
            if beside_us and (peer := beside.deepctr(entry, found, options.seeds, options.deepctr)):
                print(json.dumps(peer), flush=True)
                _write(protocol, f"deepctr-{entry.name}", peer)


def _write(protocol: str, name: str, result: dict[str, Any]) -> None:
    folder = RESULTS / "quality" / protocol
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**provenance(), **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
