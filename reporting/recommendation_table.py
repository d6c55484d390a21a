"""A recommendation in the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from reporting.terminal import console

_BY_RUNG = {
    "model": "what the model ranks highest",
    "similar_items": "items similar to those chosen",
    "popularity": "the most popular items",
}


@dataclass(frozen=True)
class RecommendedItem:
    """One line of an answer.

    Attributes:
      rank: from 1 on.
      item_id: as in the interactions.
      title: empty where the data have none.
      score: the higher, the better; of what kind, the answer's rung tells.
      because: the asker's own item that is most like this one; empty where there is none.
    """

    rank: int
    item_id: str
    title: str
    score: float
    because: str = ""


@dataclass(frozen=True)
class Answer:
    """What a pushed model recommends to a user, or to somebody unknown; `rung` is the rule that answered."""

    user: str
    known: bool
    model_dir: str
    items: tuple[RecommendedItem, ...]
    rung: str = "model"

    def to_json(self) -> str:
        """Return the answer for programs."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def print_answer(answer: Answer) -> None:
    """Print an answer."""
    out = console()
    whom = f"For user {answer.user}" if answer.known else f"For unknown user {answer.user}" if answer.user else ""
    heading = f"{whom}: {_BY_RUNG[answer.rung]}" if whom else _BY_RUNG[answer.rung].capitalize()
    out.print(heading, style="bold", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    titled = any(item.title for item in answer.items)
    if titled:
        table.add_column("title", overflow="fold")
    table.add_column("item", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    reasoned = any(item.because for item in answer.items)
    if reasoned:
        table.add_column("most like", no_wrap=True)
    for item in answer.items:
        title = [escape(item.title)] if titled else []
        because = [escape(item.because)] if reasoned else []
        table.add_row(str(item.rank), *title, escape(item.item_id), f"{item.score:.4f}", *because)
    out.print(table)
    out.print(f"model: {answer.model_dir}", style="dim", highlight=False, markup=False, soft_wrap=True)
