"""`models`: what can stand behind `model.name`."""

from __future__ import annotations

import json
from typing import Any

import click

_EPILOG = """\b
Examples:
  python pipeline.py models
  python pipeline.py models sasrec
  python pipeline.py models --json | jq '.[] | select(.task == "ranking") | .name'
  python pipeline.py run --config configs/movielens_100k.yaml --set model.name=two_tower"""


@click.command(epilog=_EPILOG, short_help="List the models that can be trained.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print name, task, needs, paper and hyperparameters as JSON.")
def models(name: str | None, as_json: bool) -> None:
    """List the models, what they answer and what they need; with NAME, one model's hyperparameters."""
    described = [model for model in describe_models() if name in (None, model["name"])]
    if not described and name is not None:
        from settings.errors import RequestError

        known = ", ".join(model["name"] for model in describe_models())
        raise RequestError(f"{name}: is no registered model. Models: {known}")
    if as_json:
        click.echo(json.dumps(described, indent=2))
        return
    from reporting.model_tables import print_model, print_models

    if name is None:
        print_models(described)
    else:
        print_model(described[0])


def describe_models() -> list[dict[str, Any]]:
    """Return every registered model with its hyperparameters, in order of name."""
    from models.registry import registry

    return [
        {
            "name": name,
            "task": params.task,
            "summary": (params.__doc__ or "").strip().partition("\n")[0],
            "needs": list(params.needs),
            "ids": list(params.ids),
            "paper": params.paper,
            "hyperparameters": {
                field: {"default": _plain(info.get_default(call_default_factory=True)), "description": info.description}
                for field, info in params.model_fields.items()
                if field != "name"
            },
        }
        for name, params in registry().items()
    ]


def _plain(value: Any) -> Any:
    """Return a default as JSON can hold it."""
    return value if isinstance(value, int | float | str | bool | None) else json.loads(json.dumps(value, default=str))
