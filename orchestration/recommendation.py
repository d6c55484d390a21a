"""Loads a pushed model and asks it."""

from __future__ import annotations

import math
import os
from pathlib import Path

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


def ask(model_dir: Path, user: str, k: int, allow_unknown: bool = False) -> Answer:
    """Return the k best items for a user.

    Args:
      model_dir: a pushed version.
      user: as in the interactions.
      k: how many items, at least 1. A smaller catalogue gives fewer.
      allow_unknown: answer an unknown user with the most popular items.

    Raises:
      RequestError: the folder holds no model that recommends, or the user is unknown.
    """
    if not (model_dir / "saved_model.pb").is_file():
        raise RequestError(f"{model_dir}: holds no saved_model.pb. Expected a version folder of serving/. {_MAKE_ONE}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with captured(Path(os.devnull)):
        import tensorflow as tf

        signatures = tf.saved_model.load(str(model_dir)).signatures
        if "recommend" not in signatures:
            raise RequestError(f"{model_dir}: has no signature `recommend`. Received: {sorted(signatures)}")
        answer = signatures["recommend"](user_id=tf.constant([user]), k=tf.constant(k, tf.int32))
        known = bool(answer["known"].numpy()[0])
        if not known and not allow_unknown:
            raise RequestError(
                f"--user {user}: is unknown to {model_dir}. Expected an id of the interactions it was trained on; "
                "--allow-unknown answers with the most popular items"
            )
        columns = zip(*(answer[key].numpy()[0] for key in ("item_ids", "titles", "scores")), strict=True)
        # Where the catalogue ends, rows without an item follow.
        rows = [(item.decode(), title.decode(), float(score)) for item, title, score in columns if item]
    rows = [row for row in rows if not math.isinf(row[2])]
    items = tuple(RecommendedItem(rank, *row) for rank, row in enumerate(rows, start=1))
    return Answer(user=user, known=known, model_dir=str(model_dir), items=items)
