"""Asks every signature of an exported model what its callers will ask, and looks at the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.columns import ITEM_ID, USER_ID
from serving.loaded_model import LoadedModel

BATCH_SIZE = 32
K = 10
UNKNOWN_USER = b"a user that nobody has ever seen"
UNKNOWN_ITEM = b"an item that nobody has ever seen"
REQUIRED_OUTPUTS = {
    "serving_default": ("scores",),
    "evaluate": ("finite", "spread"),
    "rank": ("item_ids", "scores"),
    "recommend": ("because", "item_ids", "known", "rung", "scores", "titles"),
    "similar_items": ("item_ids", "known", "scores", "titles"),
    "transform_features": (),
}

Answer = dict[str, np.ndarray]


@dataclass(frozen=True)
class Request:
    """One call of a signature, and the rule that finds what is wrong with its answer; None: nothing."""

    description: str
    inputs: dict[str, Any]
    problem: Callable[[Answer], str | None]


@dataclass
class Verdict:
    """What the check found.

    Attributes:
      passed: every signature answered every request rightly.
      reason: empty where passed; else the first thing that is wrong, in words.
      checks: one entry a request answered: `signature`, `request`, `seconds`.
    """

    passed: bool = True
    reason: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, reason: str) -> Verdict:
        """Say no."""
        self.passed, self.reason = False, reason
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return asdict(self)


def check_model(model_dir: str, example_files: Sequence[str], report: Callable[[str], None]) -> Verdict:
    """Load a SavedModel and ask each of its signatures real requests.

    `examples` signatures get real raw rows, one and 32, and an empty tf.Example; `recommend` gets real users, an
    unknown one, an empty id and a history without a user; `rank`, `similar_items` and `embed_query` real and unknown
    users and items; `index_recall` must find what the settings ask for. The answers must have the outputs and shapes
    that `serving.servable` declares, one entry a row of the request, and finite numbers for all rows but the empty one.

    Args:
      model_dir: folder of the SavedModel.
      example_files: TFRecord files of raw tf.Examples, gzipped where the name ends with `.gz`.
      report: told what is done next.
    """
    verdict = Verdict()
    report("reading requests from the test split")
    rows = _read_rows(example_files)
    if not rows:
        return verdict.refuse("the test split has no rows to ask the model with")
    report("loading the model")
    try:
        model = LoadedModel(model_dir)
    except Exception as error:
        return verdict.refuse(f"does not load: {_words(error)}")
    missing = sorted(REQUIRED_OUTPUTS.keys() - model.inputs.keys())
    if missing:
        return verdict.refuse(
            f"lacks signature {', '.join(map(repr, missing))}. Expected {sorted(REQUIRED_OUTPUTS)}. "
            f"Found: {sorted(model.inputs)}"
        )
    for name in sorted(model.inputs):
        problem = _check_signature(name, model, rows, report, verdict)
        if problem:
            return verdict.refuse(f"signature {name!r}{problem}")
    return verdict


def _check_signature(
    name: str, model: LoadedModel, rows: list[bytes], report: Callable[[str], None], verdict: Verdict
) -> str | None:
    outputs = model.outputs(name).keys()
    absent = sorted(set(REQUIRED_OUTPUTS.get(name, ())) - outputs)
    if absent:
        return f" lacks output {', '.join(map(repr, absent))}. Found: {sorted(outputs)}"
    if name == "index_recall":
        requests = _recall_requests(rows)
    elif name in _REQUESTS:
        requests = _REQUESTS[name](rows)
    elif model.inputs[name].keys() == {"examples"}:
        requests = _example_requests(rows, scores_only_rows=name == "serving_default")
    else:
        inputs = sorted(model.inputs[name])
        return f" has inputs {inputs}, and is none that could be asked. See serving/signature_checks.py"
    for request in requests:
        report(f"asking signature {name!r}, {request.description}")
        started = time.perf_counter()
        try:
            answer = model.ask(name, **request.inputs)
        except Exception as error:
            return f", {request.description}: fails: {_words(error)}"
        verdict.checks.append(
            {
                "signature": name,
                "request": request.description,
                "seconds": round(time.perf_counter() - started, 4),
            }
        )
        problem = request.problem(answer)
        if problem:
            return f", {request.description}: {problem}"
    return None


def _example_requests(rows: list[bytes], scores_only_rows: bool) -> Iterator[Request]:
    batch = [rows[place % len(rows)] for place in range(BATCH_SIZE)]
    for description, examples, finite in (
        ("a batch of 1", batch[:1], True),
        (f"a batch of {BATCH_SIZE}", batch, True),
        ("an empty tf.Example", [b""], False),
    ):

        def problem(answer: Answer, size: int = len(examples), finite: bool = finite) -> str | None:
            for name, values in sorted(answer.items()):
                if scores_only_rows and name == "scores":
                    wrong = _wrong_shape(name, values, (size,))
                else:
                    wrong = None if values.shape[:1] == (size,) else _expected_shape(name, values, f"({size}, ...)")
                if wrong or (finite and (wrong := _not_finite(name, values))):
                    return wrong
            return None

        yield Request(description, {"examples": examples}, problem)


def _recommend_requests(rows: list[bytes]) -> Iterator[Request]:
    users = _ids(rows, USER_ID)
    known = users[:BATCH_SIZE]
    for description, user_ids, k in (
        ("a user of the test split", known[:1], K),
        (f"{len(known)} users of the test split, an unknown one and an empty id", [*known, UNKNOWN_USER, b""], K),
        ("an unknown user, k = 1", [UNKNOWN_USER], 1),
    ):
        expected = [user in users for user in user_ids]

        def problem(answer: Answer, expected: list[bool] = expected, k: int = k) -> str | None:
            return _recommendation_problem(answer, expected, k)

        yield Request(description, {"user_id": user_ids, "k": k}, problem)
    items = _ids(rows, ITEM_ID)
    if len(items) < 2:
        return  # after a history of the only item nothing is left to recommend
    history = items[:3]

    def newcomers_problem(answer: Answer) -> str | None:
        again = sorted(set(history) & set(answer["item_ids"][0]))
        if again:
            return f"output 'item_ids' names {again}, which the history of the request holds"
        return _recommendation_problem(answer, [False], K)

    yield Request(f"a history of {len(history)} items", {"history": [history], "k": K}, newcomers_problem)


def _rank_requests(rows: list[bytes]) -> Iterator[Request]:
    items = _ids(rows, ITEM_ID)[:K]
    candidates = [UNKNOWN_ITEM, *items]

    def problem(answer: Answer) -> str | None:
        for name in ("item_ids", "scores"):
            if wrong := _wrong_shape(name, answer[name], (2, len(candidates))):
                return wrong
        for found, scores in zip(answer["item_ids"], answer["scores"], strict=True):
            if sorted(found) != sorted(candidates) or found[-1] != UNKNOWN_ITEM:
                return f"output 'item_ids' is {found.tolist()}. Expected {candidates}, the first one last"
            if wrong := _not_finite("scores", scores[:-1]):
                return wrong
        return None

    users = [*_ids(rows, USER_ID)[:1], UNKNOWN_USER]
    yield Request(
        f"{len(items)} items of the test split and an unknown one, for two users",
        {"user_id": users, "candidates": [candidates] * len(users)},
        problem,
    )


def _similar_requests(rows: list[bytes]) -> Iterator[Request]:
    items = [*_ids(rows, ITEM_ID)[:1], UNKNOWN_ITEM, b""]

    def problem(answer: Answer) -> str | None:
        for name in ("item_ids", "scores", "titles"):
            if wrong := _wrong_shape(name, answer[name], (len(items), K)):
                return wrong
        known = [True] * (len(items) - 2) + [False, False]
        if answer["known"].tolist() != known:
            return f"output 'known' is {answer['known'].tolist()}. Expected {known}"
        if items[0] in answer["item_ids"][0]:
            return f"output 'item_ids' names {items[0]!r} as similar to itself"
        return _not_finite("scores", answer["scores"][answer["item_ids"] != b""])

    yield Request("an item of the test split, an unknown one and an empty id", {"item_id": items, "k": K}, problem)


def _embed_requests(rows: list[bytes]) -> Iterator[Request]:
    users = [*_ids(rows, USER_ID)[:1], UNKNOWN_USER]

    def problem(answer: Answer) -> str | None:
        vectors = answer["embedding"]
        if vectors.ndim != 2 or len(vectors) != len(users):
            return _expected_shape("embedding", vectors, f"({len(users)}, dim)")
        return _not_finite("embedding", vectors)

    yield Request("a user of the test split and an unknown one", {"user_id": users}, problem)


def _recall_requests(rows: list[bytes]) -> Iterator[Request]:
    def problem(answer: Answer) -> str | None:
        recall, expected = float(np.mean(answer["recall"])), float(answer["expected"][0])
        if recall >= expected:
            return None
        return (
            f"the index finds {recall:.4f} of the exact ten best. Expected at least {expected:g}, which is "
            "serving.min_index_recall; a larger serving.exact_up_to_items searches exactly"
        )

    yield Request(f"{len(rows)} rows of the test split", {"examples": rows}, problem)


# What is asked of the signatures that do not take `examples`.
_REQUESTS = {
    "recommend": _recommend_requests,
    "rank": _rank_requests,
    "similar_items": _similar_requests,
    "embed_query": _embed_requests,
}


def _ids(rows: list[bytes], column: str) -> list[bytes]:
    """Return the ids that the rows hold in a column, each once, in order."""
    found: dict[bytes, None] = {}
    for row in rows:
        found.update(dict.fromkeys(tf.train.Example.FromString(row).features.feature[column].bytes_list.value))
    return [value for value in found if value]


def _recommendation_problem(answer: Answer, known: list[bool], k: int) -> str | None:
    """Find what is wrong with an answer; items run out where a user has seen nearly all, and then ids are empty."""
    for name in ("item_ids", "scores", "titles"):
        if wrong := _wrong_shape(name, answer[name], (len(known), k)):
            return wrong
    if wrong := _wrong_shape("known", answer["known"], (len(known),)):
        return wrong
    if answer["known"].tolist() != known:
        return f"output 'known' is {answer['known'].tolist()}. Expected {known}"
    for row, (item_ids, scores) in enumerate(zip(answer["item_ids"], answer["scores"], strict=True)):
        items = [item for item in item_ids.tolist() if item]
        if wrong := _not_finite("scores", scores[item_ids != b""]):
            return wrong
        if len(set(items)) < len(items):
            return f"output 'item_ids' names an item twice in row {row}"
        if not items and not known[row]:
            return f"output 'item_ids' is empty in row {row}, an unknown user. Expected the most popular items"
    return None


def _wrong_shape(name: str, values: np.ndarray, expected: tuple[int, ...]) -> str | None:
    return None if values.shape == expected else _expected_shape(name, values, str(expected))


def _expected_shape(name: str, values: np.ndarray, expected: str) -> str:
    return f"output {name!r} has shape {values.shape}. Expected {expected}"


def _not_finite(name: str, values: np.ndarray) -> str | None:
    if not np.issubdtype(values.dtype, np.floating) or np.isfinite(values).all():
        return None
    bad = values[~np.isfinite(values)]
    return f"output {name!r} holds {bad[0]} ({bad.size} of {values.size} values are not finite)"


def _read_rows(files: Sequence[str]) -> list[bytes]:
    """Return the first rows of the files."""
    rows: list[bytes] = []
    for file in files:
        compression = "GZIP" if file.endswith(".gz") else ""
        dataset = tf.data.TFRecordDataset(file, compression_type=compression)
        rows += dataset.take(BATCH_SIZE - len(rows)).as_numpy_iterator()
        if len(rows) >= BATCH_SIZE:
            break
    return rows


def _words(error: Exception) -> str:
    """Return an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
