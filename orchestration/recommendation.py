"""Loads a pushed model and asks it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from orchestration.log_capture import captured
from orchestration.output_root import OutputRoot
from reporting.recommendation_table import Answer, RecommendedItem
from settings.errors import RequestError

_MAKE_ONE = "Make one: python pipeline.py run --config configs/movielens_100k.yaml"


def find_version(output_root: Path, name: str | None = None) -> Path:
    """Return the newest version in the serving folder of a model.

    Args:
      output_root: where runs were made.
      name: the model's; None where only one is served.

    Raises:
      RequestError: nothing was pushed yet, or several models are served and none is named.
    """
    root = OutputRoot(output_root)
    served = sorted(path.name for path in root.serving.glob("*") if root.versions(path.name))
    if name is None and len(served) > 1:
        raise RequestError(
            f"{root.serving}: serves several models ({', '.join(served)}). Say which with --config or --model-dir"
        )
    chosen = name if name is not None else next(iter(served), None)
    if chosen is None or chosen not in served:
        option = f" --output-root {output_root}" if str(output_root) != "output" else ""
        what = f"no version of {chosen!r}" if chosen else "no model"
        raise RequestError(f"{root.serving}: holds {what}: nothing was pushed yet. {_MAKE_ONE}{option}")
    return root.serving / chosen / str(root.versions(chosen)[-1])


@dataclass(frozen=True)
class Question:
    """Who asks, and for what.

    Attributes:
      user: as in the interactions; empty: somebody without an id.
      history: items chosen beside those that the model knows of, the newest last.
      k: how many items, at least 1. A smaller catalogue gives fewer.
      exclude: items that must not be recommended.
      filters: attributes that every item must have, `column=value` each.
      allow_unknown: answer an unknown user as somebody without an id.
    """

    user: str = ""
    history: tuple[str, ...] = ()
    k: int = 10
    exclude: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    allow_unknown: bool = False


def ask(model_dir: Path, question: Question) -> Answer:
    """Return the k best items for whoever asks.

    Args:
      model_dir: a pushed version.
      question: who asks, and for what.

    Raises:
      RequestError: the folder holds no model that recommends, or the user is unknown.
    """
    answer = _answer(
        model_dir,
        "recommend",
        user_id=[question.user],
        history=[question.history] if question.history else None,
        k=question.k,
        exclude=[question.exclude] if question.exclude else None,
        filter=[question.filters] if question.filters else None,
    )
    known = bool(answer["known"][0])
    if question.user and not known and not question.allow_unknown:
        raise RequestError(
            f"--user {question.user}: is unknown to {model_dir}. Expected an id of the interactions it was trained on; "
            "--allow-unknown answers as for somebody without an id"
        )
    return Answer(
        user=question.user,
        known=known,
        model_dir=str(model_dir),
        items=_items(answer),
        rung=answer["rung"][0].decode(),
    )


def similar(model_dir: Path, item: str, k: int) -> Answer:
    """Return the k items most like one.

    Raises:
      RequestError: the folder holds no model that answers, or the item is not in its catalogue.
    """
    answer = _answer(model_dir, "similar_items", item_id=[item], k=k)
    if not answer["known"][0]:
        raise RequestError(f"--item {item}: is not in the catalogue of {model_dir}. Expected an id of the interactions")
    return Answer(user="", known=False, model_dir=str(model_dir), items=_items(answer), rung="similar_items")


def _answer(model_dir: Path, signature: str, **inputs: Any) -> dict[str, Any]:
    if not (model_dir / "saved_model.pb").is_file():
        raise RequestError(f"{model_dir}: holds no saved_model.pb. Expected a version folder of serving/. {_MAKE_ONE}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with captured(Path(os.devnull)):
        from serving.loaded_model import LoadedModel

        model = LoadedModel(model_dir)
        if signature not in model.inputs:
            raise RequestError(f"{model_dir}: has no signature `{signature}`. Received: {sorted(model.inputs)}")
        return model.ask(signature, **{name: value for name, value in inputs.items() if value is not None})


def _items(answer: dict[str, Any]) -> tuple[RecommendedItem, ...]:
    because = answer.get("because", answer["item_ids"][:, :0])[0]
    columns = zip_longest(*(answer[key][0] for key in ("item_ids", "titles", "scores")), because, fillvalue=b"")
    # Where the catalogue ends, rows without an item follow.
    rows = [(item.decode(), title.decode(), float(score), why.decode()) for item, title, score, why in columns if item]
    return tuple(RecommendedItem(rank, *row) for rank, row in enumerate(rows, start=1))
