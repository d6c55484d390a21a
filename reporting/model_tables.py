"""The models in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from reporting.terminal import console


def print_models(models: Sequence[dict[str, Any]]) -> None:
    """Print a table of models, as `describe_models` returns them."""
    out = console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", style="bold", no_wrap=True)
    table.add_column("answers", no_wrap=True)
    table.add_column("needs", no_wrap=True)
    table.add_column("what it is")
    for model in models:
        needs = ", ".join(model["needs"]) or "-"
        table.add_row(model["name"], model["task"], needs, escape(model["summary"]))
    out.print(table)
    hint = f"{len(models)} models. Hyperparameters: python pipeline.py models NAME. Choose: --set model.name=NAME"
    out.print(hint, style="dim", highlight=False, soft_wrap=True)


def print_model(model: dict[str, Any]) -> None:
    """Print one model with its hyperparameters."""
    out = console()
    out.print(f"{model['name']}: {model['summary']}", style="bold", highlight=False, markup=False, soft_wrap=True)
    for label, value in (
        ("answers", model["task"]),
        ("needs", ", ".join(model["needs"]) or "nothing in particular"),
        ("paper", model["paper"] or "-"),
    ):
        out.print(f"  {label:<9}{value}", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("hyperparameter", style="bold", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("meaning")
    for name, info in model["hyperparameters"].items():
        table.add_row(f"model.{name}", escape(str(info["default"])), escape(info["description"] or ""))
    if model["hyperparameters"]:
        out.print(table)
