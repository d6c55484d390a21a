"""What the audience sees while a run goes on."""

from __future__ import annotations

import io
import logging
from typing import Any

from rich.console import Console

from orchestration.events import NodeEvent, TrainingProgress
from orchestration.progress import LiveProgress, shown


def train(**fields: Any) -> None:
    logging.getLogger("shortlist.progress").info("training", extra={"progress": {"kind": "epoch", **fields}})


def test_a_pipe_gets_one_line_an_event_and_one_an_epoch() -> None:
    stream = io.StringIO()
    with shown(Console(file=stream), "Shortlist: tiny", plain=False) as progress:
        progress.expect(["Trainer"])
        progress.node(NodeEvent("Trainer", "running"))
        for epoch in (1, 2):
            for step in (5, 10):
                train(epoch=epoch, epochs=2, step=step, steps=10, loss=1.0 / (epoch * step))
        logging.getLogger("shortlist.progress").info("no fields")
        progress.node(NodeEvent("Trainer", "cached", 65.0))
    train(epoch=3, epochs=3)
    lines = [line.split(" s  ")[-1] for line in stream.getvalue().splitlines()]
    assert lines == [
        "Shortlist: tiny",
        "nodes: Trainer",
        "Trainer            running",
        "  epoch 1/2, step 10/10, loss 0.1000",
        "  epoch 2/2, step 10/10, loss 0.0500",
        "Trainer            cached  1 m 05 s",
    ]


def rendered(live: LiveProgress) -> list[str]:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(live)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_terminal_shows_every_node_and_where_training_stands() -> None:
    live = LiveProgress(Console(file=io.StringIO()), "Shortlist: tiny")
    live.stage("loading")
    assert rendered(live)[-1].endswith("loading")
    live.stage("")
    live.expect(["ExampleGen", "Transform", "Trainer", "Pusher"])
    live.node(NodeEvent("ExampleGen", "complete", 7.04))
    live.node(NodeEvent("Transform", "cached", 0.1))
    live.node(NodeEvent("Trainer", "running"))
    live.training(TrainingProgress(epoch=2, epochs=4, step=5, steps=10, loss=0.25))
    head, *rows = rendered(live)
    assert head.startswith("Shortlist: tiny")
    assert rows[0] == "✓ ExampleGen done 7.0 s"
    assert rows[1] == "≡ Transform cached 0.1 s"
    assert "Trainer running" in rows[2]
    assert "loading" not in "".join(rows)
    assert "epoch 2/4, step 5/10, loss 0.2500" in rows[2]
    # (2 - 1 + 5/10) / 4 of a bar of 16 characters is 6.
    assert "━" * 6 in rows[2]
    assert rows[3] == "· Pusher waiting"
