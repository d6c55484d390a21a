"""What is known of the catalogue when recommended items are judged: train events, categories, titles."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from datasets import columns

# Categories beyond the most frequent ones are passed over: a table of all of a million brands would not fit.
_MAX_CATEGORIES = 64
_ROWS_A_READ = 8192
_TITLE = "title"


@dataclass(frozen=True)
class ItemTable:
    """The items that can be recommended, in the order of the `items` split.

    Attributes:
      item_ids: bytes `(num_items,)`.
      titles: bytes `(num_items,)`, empty where an item has none.
      counts: int64 `(num_items + 1,)`, train events of each item; the last place stands for an item not among them.
      categories: float32 `(num_items + 1, num_categories)`, `p(category | item)`: each item's categories share 1.
    """

    item_ids: np.ndarray
    titles: np.ndarray
    counts: np.ndarray
    categories: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def places(self) -> dict[bytes, int]:
        """Place of each item by its id; the empty id, which fills up short lists, is at -1."""
        return {item: place for place, item in enumerate(self.item_ids.tolist())} | {b"": -1}

    def find(self, item_ids: np.ndarray) -> np.ndarray:
        """Return the places of items, int32 of the same shape; `len(self)` for an item that is not here."""
        places, unknown = self.places, len(self)
        flat = [places.get(item, unknown) for item in item_ids.reshape(-1).tolist()]
        return np.array(flat, np.int32).reshape(item_ids.shape)

    def save(self, path: str) -> None:
        """Write the table; `load` reads it."""
        content = io.BytesIO()
        np.savez(content, item_ids=self.item_ids, titles=self.titles, counts=self.counts, categories=self.categories)
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content.getvalue())


@lru_cache(maxsize=2)
def load(path: str) -> ItemTable:
    """Return a written table; every worker reads it once."""
    with tf.io.gfile.GFile(path, "rb") as file, np.load(io.BytesIO(file.read())) as arrays:
        return ItemTable(**arrays)


def read(files: Sequence[str], category_column: str) -> ItemTable:
    """Return the table of an `items` split.

    Args:
      files: gzipped TFRecords.
      category_column: column of which an item may have several values, such as genres. Where it is absent items have
        no categories.
    """
    item_ids: list[bytes] = []
    titles: list[bytes] = []
    counts: list[int] = []
    values: list[list[bytes]] = []
    for serialized in tf.data.TFRecordDataset(list(files), "GZIP").batch(_ROWS_A_READ).as_numpy_iterator():
        batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized.tolist())

        def cells(name: str, batch: object = batch) -> list[list[object]]:
            found = batch.column(name).to_pylist() if name in batch.schema.names else []  # type: ignore[attr-defined]
            return [cell or [] for cell in found] or [[]] * batch.num_rows  # type: ignore[attr-defined]

        item_ids += [_bytes(cell[0]) for cell in cells(columns.ITEM_ID)]
        titles += [_bytes(cell[0]) if cell else b"" for cell in cells(_TITLE)]
        counts += [int(str(cell[0])) if cell else 0 for cell in cells(columns.ITEM_EVENT_COUNT)]
        values += [[_bytes(value) for value in cell] for cell in cells(category_column)]
    return make(item_ids, titles, counts, values)


def make(
    item_ids: Sequence[bytes], titles: Sequence[bytes], counts: Sequence[int], values: Sequence[Sequence[bytes]]
) -> ItemTable:
    """Return the table of items, their titles, train events and categories.

    Example:
      >>> table = make([b"a", b"b"], [b"", b""], [3, 0], [[b"Drama", b"Comedy"], []])
      >>> table.categories.tolist(), table.find(np.array([b"b", b"x", b""])).tolist()
      ([[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]], [1, 2, -1])
    """
    frequent = Counter(value for cell in values for value in set(cell)).most_common(_MAX_CATEGORIES)
    places = {value: place for place, (value, _) in enumerate(frequent)}
    categories = np.zeros((len(item_ids) + 1, len(places)), np.float32)
    for row, cell in zip(categories, values, strict=False):
        row[[places[value] for value in set(cell) if value in places]] = 1
    categories /= np.maximum(categories.sum(axis=1, keepdims=True), 1)
    return ItemTable(
        np.array(item_ids, dtype=bytes), np.array(titles, dtype=bytes), np.array([*counts, 0], np.int64), categories
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
