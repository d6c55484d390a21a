"""A few users with what they chose before and what a model recommends them, by title: for people to look at."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from datasets import columns
from evaluation.item_table import ItemTable
from evaluation.slice_discovery import cells_of
from serving.loaded_model import LoadedModel

NUM_USERS = 4
_HISTORY_LENGTH, _K = 5, 5
_ROWS_A_READ = 8192


def recommend_examples(model_dir: str, files: Sequence[str], items: ItemTable) -> list[dict[str, Any]]:
    """Return recommendations for the users of the test split whose ids have the lowest hash.

    So the users are arbitrary, and the same in every run on the same data. Only users with a history are taken.

    Args:
      model_dir: a SavedModel; one without the signature `recommend` gives nothing.
      files: gzipped TFRecords of the test split.
      items: titles.

    Returns:
      for each user `user_id`, `history` (titles, the last first) and `recommended` (title and score, the best first).
    """
    histories = _histories(files)
    chosen = sorted(histories, key=lambda user: (zlib.crc32(user), user))[:NUM_USERS]
    model = LoadedModel(model_dir)
    if not chosen or "recommend" not in model.inputs:
        return []
    answer = model.ask("recommend", user_id=chosen, k=_K)
    found = []
    for row, user in enumerate(chosen):
        columns_of_user = (answer[name][row].tolist() for name in ("item_ids", "titles", "scores"))
        found.append(
            {
                "user_id": _text(user),
                "history": [_title(item, items) for item in reversed(histories[user][-_HISTORY_LENGTH:])],
                "recommended": [
                    {"title": _text(title or item), "score": score}
                    for item, title, score in zip(*columns_of_user, strict=True)
                    if item
                ],
            }
        )
    return found


def _histories(files: Sequence[str]) -> dict[bytes, list[bytes]]:
    """Return the history before each user's latest row, the newest item last; users without one are left out."""
    latest: dict[bytes, tuple[int, list[bytes]]] = {}
    for serialized in tf.data.TFRecordDataset(list(files), "GZIP").batch(_ROWS_A_READ).as_numpy_iterator():
        batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized.tolist())
        rows = zip(*(cells_of(batch, n) for n in (columns.USER_ID, columns.TIMESTAMP, columns.HISTORY)), strict=True)
        for user, time, history in rows:
            if user and history and (user[0] not in latest or latest[user[0]][0] <= (time or [0])[0]):
                latest[user[0]] = ((time or [0])[0], history)
    return {user: history for user, (_, history) in latest.items()}


def _title(item: bytes, items: ItemTable) -> str:
    place = items.places.get(item)
    return _text(items.titles[place] or item) if place is not None else _text(item)


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
