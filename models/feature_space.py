"""What a model may look at: the transformed features as typed fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from datasets.columns import ITEM_ID, USER_ID
from settings.errors import ConfigError
from settings.features import (
    CategoricalFeature,
    CyclicFeature,
    FeatureRecord,
    HashedFeature,
    ImageFeature,
    ListEncoding,
    MultivalentFeature,
    NumericFeature,
    SequenceFeature,
    TextFeature,
    Tower,
    VectorFeature,
    VocabularyFeature,
)

if TYPE_CHECKING:
    from tensorflow_transform import TFTransformOutput

Kind = Literal["numeric", "categorical", "multivalent", "sequence", "vector", "image"]

# Beside the transformed features every batch carries the position of the row's item in the catalogue under this name:
# int64 `(batch_size,)`, and the catalogue's size where the item is not in it.
CATALOGUE_INDEX = "catalogue_index"


@dataclass(frozen=True)
class Field:
    """One transformed feature.

    Attributes:
      name: key in the batch.
      kind: what its values are; a number cut into buckets is `categorical`.
      tower: `query` or `candidate`.
      vocabulary: name of the vocabulary its ids belong to; fields of one vocabulary may share an embedding table. None
        for a number.
      vocabulary_size: number of ids, padding and OOV included; 0 for a number.
      length: values a row; 1 for numeric and categorical.
      num_oov: ids `1..num_oov` stand for tokens outside the vocabulary.
      source: the raw column it is made of; empty: the column called `name`.
      encoding: how a list becomes one vector.
      shape: of a row of a vector or an image; empty for all others.
    """

    name: str
    kind: Kind
    tower: Tower
    vocabulary: str | None = None
    vocabulary_size: int = 0
    length: int = 1
    num_oov: int = 0
    source: str = ""
    encoding: ListEncoding = "pooled"
    shape: tuple[int, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether a row holds several ids, shape `(batch_size, length)`."""
        return self.kind in ("multivalent", "sequence")


@dataclass(frozen=True)
class FeatureSpace:
    """All fields of a batch.

    Attributes:
      fields: in the order of the configuration; never in the order of a batch's keys.
      item_vocabulary: vocabulary of the candidate's item id, None where no feature holds it.
      num_items: size of the catalogue.

    Example:
      >>> history = Field("history", "sequence", "query", vocabulary="item_id", vocabulary_size=9, length=5, num_oov=1)
      >>> item_id = Field("item_id", "categorical", "candidate", vocabulary="item_id", vocabulary_size=9, num_oov=1)
      >>> space = FeatureSpace((history, item_id), item_vocabulary="item_id", num_items=7)
      >>> [field.name for field in space.query()], space.history().length, space.item().name
      (['history'], 5, 'item_id')
    """

    fields: tuple[Field, ...]
    item_vocabulary: str | None = None
    num_items: int = 0

    @classmethod
    def from_transform(
        cls, records: Sequence[FeatureRecord], tft_output: TFTransformOutput, num_items: int = 0
    ) -> FeatureSpace:
        """Return the fields that Transform makes of the feature records."""
        from transforms.vocabulary import vocabulary_sizes

        return cls.from_records(records, vocabulary_sizes(records, tft_output), num_items)

    @classmethod
    def from_records(
        cls, records: Sequence[FeatureRecord], vocabulary_sizes: dict[str, int], num_items: int = 0
    ) -> FeatureSpace:
        """Return the fields of the feature records, given the number of ids of each vocabulary."""
        oov = {
            r.vocabulary_name: r.num_oov_buckets
            for r in records
            if isinstance(r, VocabularyFeature)
            if not r.vocabulary
        }
        fields = []
        for record in records:
            if isinstance(record, VocabularyFeature):
                name = record.vocabulary_name
                kind, length = _shape(record)
                size = vocabulary_sizes[name]
                fields.append(
                    Field(
                        record.name, kind, record.tower, name, size, length, oov[name], record.source, record.encoding
                    )
                )
            elif isinstance(record, VectorFeature):
                shape: tuple[int, ...] = (record.dimension,)
                fields.append(Field(record.name, "vector", record.tower, source=record.source, shape=shape))
            elif isinstance(record, ImageFeature):
                shape = (record.height, record.width, 3)
                fields.append(Field(record.name, "image", record.tower, source=record.source, shape=shape))
            elif isinstance(record, NumericFeature) and record.scaling == "bucketize":
                name, size = record.name, record.num_buckets + 1
                fields.append(Field(name, "categorical", record.tower, name, size, source=record.source))
            elif isinstance(record, HashedFeature):
                size = record.num_buckets + 1
                # Of crossed columns none is the source: the field is no id of an item or user.
                source = "" if record.cross else record.source
                fields.append(Field(record.name, "categorical", record.tower, record.name, size, source=source))
            elif isinstance(record, CyclicFeature):
                names = (f"{record.name}_sin", f"{record.name}_cos")
                fields += [Field(name, "numeric", record.tower, source=record.source) for name in names]
            else:
                fields.append(Field(record.name, "numeric", record.tower, source=record.source))
            if getattr(record, "missing_indicator", False):
                fields.append(Field(f"{record.name}_missing", "numeric", record.tower, source=record.source))
        items = [
            r for r in records if isinstance(r, CategoricalFeature) and r.source == ITEM_ID and r.tower == "candidate"
        ]
        return cls(tuple(fields), items[0].vocabulary_name if items else None, num_items)

    def query(self) -> tuple[Field, ...]:
        """Return the fields that describe who asks, and when."""
        return tuple(field for field in self.fields if field.tower == "query")

    def candidate(self) -> tuple[Field, ...]:
        """Return the fields that describe an item."""
        return tuple(field for field in self.fields if field.tower == "candidate")

    def named(self, name: str) -> Field:
        """Return the field of this name.

        Raises:
          ConfigError: there is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise ConfigError(f"features: there is no {name!r}. Received: {self._described()}")

    def without(self, name: str) -> FeatureSpace:
        """Return the space without the field of this name."""
        return replace(self, fields=tuple(field for field in self.fields if field.name != name))

    def of_kind(self, *kinds: Kind) -> tuple[Field, ...]:
        """Return the fields of the given kinds."""
        return tuple(field for field in self.fields if field.kind in kinds)

    def item(self) -> Field | None:
        """Return the field that holds the candidate's item id, or None."""
        return self._of_items("categorical", "candidate")

    def user(self) -> Field | None:
        """Return the field that holds the user's id, or None."""
        ids = (f for f in self.query() if f.kind == "categorical" and (f.source or f.name) == USER_ID)
        return next(ids, None)

    def history(self) -> Field | None:
        """Return the query's sequence of item ids, or None."""
        return self._of_items("sequence", "query")

    def menu(self) -> Field | None:
        """Return the query's list of the item ids on the page, or None."""
        return self._of_items("multivalent", "query")

    def history_and_item(self, model: str) -> tuple[Field, Field]:
        """Return the fields of history and item id, which a sequence model ties to each other.

        Raises:
          ConfigError: there is no such pair.
        """
        history, item = self.history(), self.item()
        if history is None or item is None:
            raise ConfigError(
                f"features: model {model!r} needs a categorical feature of column {ITEM_ID!r} with `tower: candidate` "
                f"and a sequence with `tower: query` that shares its vocabulary. Received: {self._described()}"
            )
        return history, item

    def user_and_item(self, model: str) -> tuple[Field, Field]:
        """Return the fields of user id and item id.

        Raises:
          ConfigError: there is no such pair.
        """
        user, item = self.user(), self.item()
        if user is None or item is None:
            raise ConfigError(
                f"features: model {model!r} needs categorical features of the columns {USER_ID!r} (query) and "
                f"{ITEM_ID!r} (candidate). Received: {self._described()}"
            )
        return user, item

    def sample(self, num_rows: int) -> dict[str, np.ndarray]:
        """Return a batch of nothing: zeros of the right dtype and shape, to build models with."""
        batch: dict[str, np.ndarray] = {CATALOGUE_INDEX: np.zeros(num_rows, np.int64)}
        for field in self.fields:
            shape = (num_rows, field.length) if field.is_list else (num_rows, *field.shape)
            batch[field.name] = np.zeros(shape, np.float32 if field.vocabulary is None else np.int64)
        return batch

    def _described(self) -> list[str]:
        return [f"{field.name} ({field.kind}, {field.tower})" for field in self.fields]

    def _of_items(self, kind: Kind, tower: Tower) -> Field | None:
        if self.item_vocabulary is None:
            return None
        named = (f for f in self.fields if f.vocabulary == self.item_vocabulary and (f.kind, f.tower) == (kind, tower))
        return next(named, None)


def _shape(record: VocabularyFeature) -> tuple[Kind, int]:
    """Return a field's kind and the number of values a row."""
    if isinstance(record, TextFeature):
        return "multivalent", record.max_length
    if isinstance(record, MultivalentFeature | SequenceFeature):
        return record.kind, record.max_length
    return "categorical", 1
