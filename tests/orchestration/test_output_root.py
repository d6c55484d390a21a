from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from orchestration.node_order import reading_order, selected
from orchestration.output_root import OutputRoot
from settings.errors import ConfigError
from tests.reporting.sample import UPSTREAM

NOON = datetime.datetime(2026, 1, 3, 12, 0, 0, tzinfo=datetime.UTC)


def test_run_ids_sort_by_time_and_never_collide(tmp_path: Path) -> None:
    root = OutputRoot(tmp_path / "new" / "folder")
    ids = []
    for _ in range(3):
        with root.new_run(NOON) as folder:
            ids.append(folder.name)
    assert ids == ["20260103-120000", "20260103-120000-2", "20260103-120000-3"]


def test_versions_are_numbers_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "9", ".staging-11", "notes", "7x"):
        (tmp_path / "serving" / "m" / name).mkdir(parents=True)
    assert OutputRoot(tmp_path).versions("m") == [9, 10]
    assert OutputRoot(tmp_path).versions("other") == []


def test_the_main_dag_reads_as_its_picture() -> None:
    shuffled = {name: UPSTREAM[name] for name in sorted(UPSTREAM)}
    assert reading_order(shuffled) == list(UPSTREAM)


def test_a_part_of_the_dag_is_what_lies_between_its_ends() -> None:
    assert selected(UPSTREAM) == list(UPSTREAM)
    assert selected(UPSTREAM, from_node="BaselineResolver") == ["BaselineResolver", "Evaluator", "Pusher"]
    assert selected(UPSTREAM, to_node="SchemaGen") == ["ExampleGen", "StatisticsGen", "SchemaGen"]
    assert selected(UPSTREAM, "Trainer", "InfraValidator") == ["Trainer", "InfraValidator"]
    with pytest.raises(ConfigError, match="no node lies between"):
        selected(UPSTREAM, "Evaluator", "InfraValidator")
    with pytest.raises(ConfigError, match="--to-node Push: is no node"):
        selected(UPSTREAM, to_node="Push")
