"""A servable that answers with what stands in the request, rows to ask it with, and a configuration for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tensorflow as tf

import models.registry
from models.registry import ModelParams, Task
from settings.config import Config

OUTPUTS: dict[str, tuple[str, ...]] = {
    "retrieval": ("rank", "popularity_rank", "finite", "spread"),
    "ranking": ("score", "popularity_score", "finite", "spread"),
    "rating": ("score", "popularity_score", "finite", "spread"),
}
# Items that the echo recommends a row.
LIST_LENGTH = 3


class EchoRetrieval(ModelParams):
    name: str = "echo_retrieval"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = ""


class EchoRanking(ModelParams):
    name: str = "echo_ranking"
    task: ClassVar[Task] = "ranking"
    paper: ClassVar[str] = ""


class EchoRating(ModelParams):
    name: str = "echo_rating"
    task: ClassVar[Task] = "rating"
    paper: ClassVar[str] = ""


class EchoServable(tf.Module):
    """Has the `evaluate` signature; the answer to `rank` is the feature `<prefix>rank` of the row."""

    def __init__(self, task: str, prefix: str) -> None:
        super().__init__()
        self._task = task
        self._prefix = prefix

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        names = OUTPUTS[self._task]
        spec = {self._prefix + name: tf.io.FixedLenFeature([], tf.float32) for name in names}
        lists = {"top_items": self._prefix + "top_items"} if self._task == "retrieval" else {}
        spec |= {name: tf.io.FixedLenFeature([LIST_LENGTH], tf.string, [""] * LIST_LENGTH) for name in lists.values()}
        parsed = tf.io.parse_example(examples, spec)
        return {name: parsed[self._prefix + name] for name in names} | {
            output: parsed[name] for output, name in lists.items()
        }


def save_echo(folder: Path, task: str, prefix: str = "") -> None:
    """Write the servable as a Trainer would: below `Format-Serving` of a model artifact."""
    module = EchoServable(task, prefix)
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures={"evaluate": module.evaluate})


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as gzipped tf.Examples; a None or empty list leaves the feature out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            example = tf.train.Example()
            for name, value in row.items():
                values = value if isinstance(value, list) else [] if value is None else [value]
                feature = example.features.feature[name]
                if not values:
                    del example.features.feature[name]
                elif isinstance(values[0], str):
                    feature.bytes_list.value.extend(v.encode() for v in values)
                elif isinstance(values[0], int):
                    feature.int64_list.value.extend(values)
                else:
                    feature.float_list.value.extend(values)
            writer.write(example.SerializeToString())


def config(task: str, **sections: Any) -> Config:
    """Return a configuration of an echo model."""
    return Config.model_validate(
        {
            "name": "echo",
            "data": {"source": {"kind": "table", "path": "rows.csv"}},
            "features": [{"kind": "categorical", "name": "user_id", "tower": "query"}],
            "model": {"name": f"echo_{task}"},
            **sections,
            "gate": {
                "min_total_queries": 2,
                "max_gap_closed": 1,
                **sections.get("gate", {"floors": [{"metric": "num_queries", "at_least": 1}]}),
            },
        }
    )


@pytest.fixture
def echo_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the echo models for one test."""
    for params in (EchoRetrieval, EchoRanking, EchoRating):
        monkeypatch.setitem(models.registry._REGISTRY, f"echo_{params.task}", params)
    models.registry.registry.cache_clear()
    yield
    monkeypatch.undo()
    models.registry.registry.cache_clear()
