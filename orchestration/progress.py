"""Live progress of a run: one line a node, redrawn on a terminal, appended where the output is a file or a CI log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestration.events import NodeEvent, TrainingProgress
from reporting.durations import clock

TRAINING_LOGGER = "shortlist.progress"
_MARKS = {"complete": ("✓", "green"), "cached": ("≡", "cyan"), "failed": ("✗", "bold red"), "waiting": ("·", "dim")}
_WORDS = {"complete": "done"}
_FIELDS = ("epoch", "epochs", "step", "steps", "loss", "trial", "trials")


class Progress(Protocol):
    """What the run tells its audience."""

    def stage(self, text: str) -> None:
        """Say what is going on outside the nodes; empty text: nothing."""

    def expect(self, nodes: Sequence[str]) -> None:
        """Say which nodes will run."""

    def node(self, event: NodeEvent) -> None:
        """A node started or ended. May be called from any thread."""

    def training(self, progress: TrainingProgress) -> None:
        """Training went on. May be called from any thread."""


class PlainProgress:
    """One line an event, with the time since the start: for pipes, files and CI logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._last: TrainingProgress | None = None

    def stage(self, text: str) -> None:
        """See `Progress`."""
        if text:
            self._print(text)

    def expect(self, nodes: Sequence[str]) -> None:
        """See `Progress`."""
        self._print(f"nodes: {', '.join(nodes)}")

    def node(self, event: NodeEvent) -> None:
        """See `Progress`."""
        self._flush_epoch()
        word = _WORDS.get(event.state, event.state)
        took = "" if event.state == "running" else f"{clock(event.seconds):>8}"
        self._print(f"{event.node:<18} {word:<8}{took}".rstrip())

    def training(self, progress: TrainingProgress) -> None:
        """See `Progress`; one line an epoch."""
        if self._last is not None and (progress.trial, progress.epoch) != (self._last.trial, self._last.epoch):
            self._flush_epoch()
        self._last = progress

    def _flush_epoch(self) -> None:
        if self._last is not None:
            self._print(f"  {describe_training(self._last)}")
        self._last = None

    def _print(self, text: str) -> None:
        elapsed = clock(time.monotonic() - self._started)
        self._console.print(f"{elapsed:>8}  {text}", highlight=False, markup=False, soft_wrap=True)


class LiveProgress:
    """A table that redraws itself in place."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._stage = ""
        self._events: dict[str, NodeEvent | None] = {}
        self._since: dict[str, float] = {}
        self._training: TrainingProgress | None = None
        self._stage_spinner = Spinner("dots", style="cyan")
        self._node_spinner = Spinner("dots", style="cyan")

    def stage(self, text: str) -> None:
        """See `Progress`."""
        self._stage = text

    def expect(self, nodes: Sequence[str]) -> None:
        """See `Progress`."""
        with self._lock:
            self._events = dict.fromkeys(nodes)

    def node(self, event: NodeEvent) -> None:
        """See `Progress`."""
        with self._lock:
            self._events[event.node] = event
            self._since.setdefault(event.node, time.monotonic())

    def training(self, progress: TrainingProgress) -> None:
        """See `Progress`."""
        self._training = progress

    def __rich__(self) -> RenderableType:
        """Return the present state; called at each refresh."""
        elapsed = clock(time.monotonic() - self._started)
        head = Text.assemble((self._title, "bold"), (f"   {elapsed}", "dim"))
        table = Table.grid(padding=(0, 1))
        with self._lock:
            for name, event in self._events.items():
                table.add_row(*self._row(name, event))
        parts: list[RenderableType] = [head]
        if self._events:
            parts.append(table)
        if self._stage:
            self._stage_spinner.update(text=Text(self._stage, style="dim"))
            parts.append(self._stage_spinner)
        return Group(*parts)

    def _row(self, name: str, event: NodeEvent | None) -> tuple[RenderableType, ...]:
        if event is None:
            mark, style = _MARKS["waiting"]
            return Text(mark, style), Text(name, style), Text("waiting", style), "", ""
        if event.state == "running":
            seconds = time.monotonic() - self._since[name]
            return self._node_spinner, Text(name, "bold"), Text("running", "cyan"), _right(seconds), self._bar(name)
        mark, style = _MARKS[event.state]
        word = _WORDS.get(event.state, event.state)
        return Text(mark, style), Text(name), Text(word, style), _right(event.seconds), ""

    def _bar(self, name: str) -> RenderableType:
        progress = self._training
        if progress is None or name not in ("Trainer", "Tuner"):
            return ""
        bar = Table.grid(padding=(0, 1))
        within = progress.step / progress.steps if progress.steps else 1.0
        done = (progress.epoch - 1 + within) / max(progress.epochs, 1)
        if progress.trial:
            done = (progress.trial - 1 + done) / progress.trials
        words = Text(describe_training(progress), "dim", no_wrap=True, overflow="ellipsis")
        bar.add_row(ProgressBar(total=1.0, completed=done, width=16), words)
        return bar


def describe_training(progress: TrainingProgress) -> str:
    """Return where training stands.

    Example:
      >>> describe_training(TrainingProgress(epoch=3, epochs=20, step=7, steps=40, loss=0.51234))
      'epoch 3/20, step 7/40, loss 0.5123'
    """
    text = f"trial {progress.trial}/{progress.trials}, " if progress.trial else ""
    text += f"epoch {progress.epoch}/{progress.epochs}"
    if progress.steps:
        text += f", step {progress.step}/{progress.steps}"
    return text if progress.loss is None else f"{text}, loss {progress.loss:.4f}"


@contextmanager
def shown(console: Console, title: str, plain: bool) -> Iterator[Progress]:
    """Yield the progress display that fits the console, fed by the training log while open.

    Args:
      console: where to draw.
      title: what runs.
      plain: append lines even on a terminal.
    """
    if plain or not console.is_terminal:
        console.print(title, highlight=False, markup=False, soft_wrap=True)
        display = PlainProgress(console)
        with _training_heard(display):
            yield display
        display.stage("")
    else:
        live = LiveProgress(console, title)
        with Live(live, console=console, refresh_per_second=8, transient=False), _training_heard(live):
            yield live
            live.stage("")


class _TrainingHandler(logging.Handler):
    """Hands the `progress` of each record to a display; a record without one is not for us."""

    def __init__(self, display: Progress) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "progress", None)
        if not isinstance(fields, dict) or "epoch" not in fields:
            return
        known = {key: fields[key] for key in _FIELDS if key in fields}
        self._display.training(TrainingProgress(**{"epochs": fields["epoch"], **known}))


@contextmanager
def _training_heard(display: Progress) -> Iterator[None]:
    logger = logging.getLogger(TRAINING_LOGGER)
    handler, level = _TrainingHandler(display), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _right(seconds: float) -> Text:
    return Text(f"{clock(seconds):>8}", "dim")
