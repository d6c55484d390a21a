"""A recommendation in the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from reporting.terminal import console


@dataclass(frozen=True)
class RecommendedItem:
    """One line of an answer; `rank` starts at 1, `title` is empty where the data have none."""

    rank: int
    item_id: str
    title: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What a pushed model recommends to a user; an unknown one (`known` False) gets the most popular items."""

    user: str
    known: bool
    model_dir: str
    items: tuple[RecommendedItem, ...]

    def to_json(self) -> str:
        """Return the answer for programs."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def print_answer(answer: Answer) -> None:
    """Print an answer."""
    out = console()
    whom = f"For user {answer.user}" if answer.known else f"User {answer.user} is unknown: the most popular items"
    out.print(whom, style="bold", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    if any(item.title for item in answer.items):
        table.add_column("title", overflow="fold")
    table.add_column("item", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for item in answer.items:
        title = [escape(item.title)] if len(table.columns) == 4 else []
        table.add_row(str(item.rank), *title, escape(item.item_id), f"{item.score:.4f}")
    out.print(table)
    out.print(f"model: {answer.model_dir}", style="dim", highlight=False, markup=False, soft_wrap=True)
