from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_transform import TFTransformOutput
from tfx.components.transform import executor
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from tests.components.growing_vocabulary_pipeline import create
from tests.transforms.transform_pass import write_transform

TYPES = {"user_id": tf.int64, "item_id": tf.string}


def _learn_in_memory(
    self: executor.Executor, inputs: dict[str, Any], outputs: dict[str, Any], properties: dict[str, Any]
) -> None:
    """Do what TFX's executor does with the preprocessing function, without its files and statistics."""
    rows = json.loads((Path(inputs["examples"][0].uri) / "rows.json").read_text())
    write_transform(rows, TYPES, json.loads(properties["custom_config"]), Path(outputs["transform_graph"][0].uri))


def test_a_vocabulary_that_grows_keeps_its_ids_from_span_to_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor.Executor, "Do", _learn_in_memory)

    def learnt(events: list[tuple[int, str]]) -> tuple[int, list[bytes], set[bytes]]:
        """Run over the events; return the number of graphs so far and the newest one's vocabularies."""
        LocalDagRunner().run(create(tmp_path, events))
        graphs = sorted((tmp_path / "artifacts" / "Transform" / "transform_graph").iterdir(), key=lambda p: int(p.name))
        graph = TFTransformOutput(str(graphs[-1]))
        return len(graphs), graph.vocabulary_by_name("item_id"), set(graph.vocabulary_by_name("user_id"))

    first = [*[(1, "a")] * 8, *[(2, "b")] * 5, *[(3, "c")] * 3]
    assert learnt(first) == (1, [b"a", b"b", b"c"], {b"1", b"2", b"3"})
    second = [*[(4, "d")] * 8, *[(5, "c")] * 5, *[(4, "e")] * 3]
    # c is kept although d is more frequent, and a and b although nobody chose them; what does not grow is learnt anew.
    grown = (2, [b"a", b"b", b"c", b"d", b"e"], {b"4", b"5"})
    assert learnt(second) == grown
    # The same again goes on from the first span, not from itself, and so comes from cache.
    assert learnt(second) == grown
