"""The splits that training needs, transformed, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from datasets.columns import (
    ITEM_EVENT_COUNT,
    ITEM_ID,
    LIKED,
    RATING,
    RELEVANT,
    SEEN,
    SEQUENCE_END,
    TIMESTAMP,
    USER_ID,
)
from models.example_parser import ExampleParser, scalar
from models.feature_space import CATALOGUE_INDEX
from settings.errors import DataError

if TYPE_CHECKING:
    from tensorflow_transform import TFTransformOutput

_ROWS_A_READ = 8192
_TITLE = "title"
# Between the values of an item's attribute; no text holds it.
SEPARATOR = "\x1f"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Rows of one split.

    Attributes:
      features: transformed features and `CATALOGUE_INDEX` by name, each `(num_rows, ...)`.
      relevant: float32 `(num_rows,)`, 1.0 where the event is relevant to retrieval.
      liked: float32 `(num_rows,)`, label of ranking models.
      rating: float32 `(num_rows,)`, label of rating models; NaN where there is none.
      sequence_end: bool `(num_rows,)`, rows from which a sequence model trains on all positions.
      user_id: bytes `(num_rows,)`.
      timestamp: int64 `(num_rows,)`, seconds since 1970.
    """

    features: Arrays
    relevant: np.ndarray
    liked: np.ndarray
    rating: np.ndarray
    sequence_end: np.ndarray
    user_id: np.ndarray
    timestamp: np.ndarray

    def __len__(self) -> int:
        return len(self.relevant)

    def where(self, keep: np.ndarray) -> Rows:
        """Return the rows for which the bool array `keep` is True."""
        parts = (self.relevant, self.liked, self.rating, self.sequence_end, self.user_id, self.timestamp)
        return Rows({name: values[keep] for name, values in self.features.items()}, *(part[keep] for part in parts))


@dataclass(frozen=True)
class Catalogue:
    """All items that can be recommended, in the order that decides ties.

    Attributes:
      item_ids: bytes `(num_items,)`.
      titles: bytes `(num_items,)`, empty where an item has none.
      features: transformed features and `CATALOGUE_INDEX` by name, each `(num_items, ...)`.
      attributes: by raw column, bytes `(num_items,)`: an item's values as text, `SEPARATOR` between them.
    """

    item_ids: np.ndarray
    titles: np.ndarray
    features: Arrays
    attributes: Arrays = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Users:
    """All users, as they are at the end of the data.

    Attributes:
      user_ids: bytes `(num_users,)`.
      features: transformed features by name, each `(num_users, ...)`.
      seen: int32 `(num_seen,)`, the catalogue positions that the users have seen, user after user.
      seen_starts: int64 `(num_users + 1,)`, where each user's part of `seen` begins; the last is its end.
    """

    user_ids: np.ndarray
    features: Arrays
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    seen_starts: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))


@dataclass(frozen=True)
class TrainingData:
    """What a trainer is given."""

    train: Rows
    eval: Rows
    catalogue: Catalogue


def read_catalogue(files: Sequence[str], tft_output: TFTransformOutput) -> tuple[Catalogue, ExampleParser]:
    """Return the catalogue, and the parser that knows it.

    Raises:
      DataError: the split holds no item, an item without an id, or an item twice.
    """
    place = _place(files)
    blank = ExampleParser(tft_output, [])
    # A title is shown, not learnt from: data without one, or with one that is no text, do without.
    titled = tft_output.raw_feature_spec().get(_TITLE)
    columns = {ITEM_ID: tf.string} | ({_TITLE: tf.string} if titled is not None and titled.dtype == tf.string else {})
    # Numbers that say how often an item was chosen, or when, are none of its attributes; nor is a user's column one.
    no_attributes = {ITEM_ID, _TITLE, ITEM_EVENT_COUNT, TIMESTAMP}
    named = [
        name
        for name, spec in tft_output.raw_feature_spec().items()
        if spec.dtype in (tf.string, tf.int64) and name not in no_attributes
    ]

    def rows(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = blank.parse(serialized, **columns)
        ids = scalar(raw[ITEM_ID], "")
        title = scalar(raw[_TITLE], "") if _TITLE in columns else tf.zeros_like(ids)
        attributes = {f"a/{name}": _joined(raw[name]) for name in named}
        return {f"f/{name}": v for name, v in blank.features(raw).items()} | {"id": ids, "title": title} | attributes

    read = _read(files, rows)
    ids = read.pop("id")
    if not len(ids):
        raise DataError(f"{place}: holds no item, so there is nothing to recommend. Expected one row an item")
    if len(set(ids)) != len(ids) or b"" in ids:
        raise DataError(
            f"{place}: every row should carry an item_id of its own. Received: {len(ids)} rows, "
            f"{len(set(ids) - {b''})} ids"
        )
    titles = read.pop("title")
    attributes = {name: read.pop(f"a/{name}") for name in named}
    attributes = {name: values for name, values in attributes.items() if any(values)}
    features = {name.removeprefix("f/"): value for name, value in read.items()}
    features[CATALOGUE_INDEX] = np.arange(len(ids), dtype=np.int64)
    return Catalogue(ids, titles, features, attributes), ExampleParser(tft_output, ids.tolist())


def read_rows(files: Sequence[str], parser: ExampleParser) -> Rows:
    """Return the rows of an event split."""
    labels = {RELEVANT: 1.0, LIKED: 0.0, RATING: float("nan")}

    def rows(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        kinds = dict.fromkeys(labels, tf.float32) | {SEQUENCE_END: tf.int64, TIMESTAMP: tf.int64}
        kinds |= {ITEM_ID: tf.string, USER_ID: tf.string}
        raw = parser.parse(serialized, **kinds)
        features = parser.with_index(parser.features(raw), scalar(raw[ITEM_ID], ""))
        others = {name: scalar(raw[name], default) for name, default in labels.items()}
        others |= {SEQUENCE_END: scalar(raw[SEQUENCE_END], 0), USER_ID: scalar(raw[USER_ID], "")}
        others[TIMESTAMP] = scalar(raw[TIMESTAMP], 0)
        return {f"f/{name}": value for name, value in features.items()} | others

    read = _read(files, rows)
    return Rows(
        features={name.removeprefix("f/"): value for name, value in read.items() if name.startswith("f/")},
        relevant=read[RELEVANT],
        liked=read[LIKED],
        rating=read[RATING],
        sequence_end=read[SEQUENCE_END] > 0,
        user_id=read[USER_ID],
        timestamp=read[TIMESTAMP],
    )


def read_users(files: Sequence[str], parser: ExampleParser) -> Users:
    """Return the users; items that they have seen and the catalogue lacks are left out."""

    def rows(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = parser.parse(serialized, **{USER_ID: tf.string, SEEN: tf.string})
        positions = parser.positions(raw[SEEN].values)
        inside = positions < parser.num_items
        owners = tf.boolean_mask(raw[SEEN].indices[:, 0], inside)
        ids = scalar(raw[USER_ID], "")
        counts = tf.math.unsorted_segment_sum(tf.ones_like(owners), owners, tf.size(ids, tf.int64))
        others = {"id": ids, "counts": counts, "seen": tf.boolean_mask(positions, inside)}
        return {f"f/{name}": value for name, value in parser.features(raw).items()} | others

    read = _read(files, rows)
    starts = np.concatenate([[0], np.cumsum(read["counts"])]).astype(np.int64)
    features = {name.removeprefix("f/"): value for name, value in read.items() if name.startswith("f/")}
    return Users(read["id"], features, read["seen"].astype(np.int32), starts)


def _read(files: Sequence[str], rows: Callable[[tf.Tensor], dict[str, tf.Tensor]]) -> dict[str, Any]:
    """Return the concatenated outputs of `rows` over all records of the files."""
    batches = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").batch(_ROWS_A_READ)
    outputs = list(batches.map(rows).as_numpy_iterator())
    if not outputs:
        empty = tf.function(rows)(tf.zeros([0], tf.string))
        outputs = [{name: value.numpy() for name, value in empty.items()}]
    return {name: np.concatenate([batch[name] for batch in outputs]) for name in outputs[0]}


def _joined(column: tf.SparseTensor) -> tf.Tensor:
    """Return a column's values as text, one string a row."""
    values = column.values if column.dtype == tf.string else tf.strings.as_string(column.values)
    rows = tf.RaggedTensor.from_sparse(tf.SparseTensor(column.indices, values, column.dense_shape))
    return tf.strings.reduce_join(rows, axis=1, separator=SEPARATOR)


def _place(files: Sequence[str]) -> str:
    return files[0].rpartition("/")[0] if files else "the items split"
