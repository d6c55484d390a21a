"""All fields of a tower as vectors of one length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.image_encoder import ImageEncoder
from models.layers.list_encoder import ListEncoder
from models.layers.pooling import MaskedPooling, Pooling
from models.layers.token_embedding import TokenEmbedding


def token_tables(fields: Iterable[Field], embedding_dim: int, scale: float = 0.05) -> dict[str, TokenEmbedding]:
    """Return one embedding table a vocabulary; hand it to several `FieldVectors` that should share them."""
    sizes = {field.vocabulary: field.vocabulary_size for field in fields if field.vocabulary is not None}
    return {name: TokenEmbedding(size, embedding_dim, scale, name=f"tokens_{name}") for name, size in sizes.items()}


class FieldVectors(keras.layers.Layer):
    """Turn each field of a batch into one vector; fields of one vocabulary share a table.

        numeric                value * v,          v learnt, one a field
        categorical            table[id]
        multivalent, sequence  pool_t table[id_t]  over the ids that are not padding, or what reads them
        vector                 W x + b,            learnt, one a field
        image                  convolutions of x

    Args:
      fields: at least one; the order of the vectors is theirs, never that of the batch's keys.
      embedding_dim: length of a vector.
      list_pooling: how lists are pooled.
      tables: tables of the vocabularies, to be shared with other layers; None: own ones.
      scale: standard deviation of the initial values of own tables and of the numeric fields' vectors.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, num_fields, embedding_dim)`.
    """

    def __init__(
        self,
        fields: Iterable[Field],
        embedding_dim: int,
        list_pooling: Pooling = "mean",
        tables: dict[str, TokenEmbedding] | None = None,
        scale: float = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fields = tuple(fields)
        self.embedding_dim = embedding_dim
        self.tables = token_tables(self.fields, embedding_dim, scale) if tables is None else tables
        self.scale = scale
        self.poolings = {f.name: _reader(f, list_pooling) for f in self.fields if f.is_list}
        self.encoders: dict[str, keras.layers.Layer] = {
            f.name: ImageEncoder(embedding_dim) if f.kind == "image" else keras.layers.Dense(embedding_dim)
            for f in self.fields
            if f.shape
        }

    def build(self, features_shape: Mapping[str, Any]) -> None:
        """Create the vectors of the numeric fields."""
        initializer = keras.initializers.RandomNormal(stddev=self.scale)
        self.numeric = {
            field.name: self.add_weight((self.embedding_dim,), initializer, name=f"numeric_{field.name}")
            for field in self.fields
            if field.kind == "numeric"
        }

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return the vectors."""
        return ops.stack(self.each(features), axis=1)

    def each(self, features: Mapping[str, Any]) -> list[Any]:
        """Return each field's vectors, `(batch_size, embedding_dim)`."""
        return [self._vector(field, features[field.name]) for field in self.fields]

    def _vector(self, field: Field, values: Any) -> Any:
        """Return one field's vectors, `(batch_size, embedding_dim)`."""
        if field.shape:
            return self.encoders[field.name](values)
        if field.vocabulary is None:
            return ops.expand_dims(values, -1) * self.numeric[field.name]
        vectors = self.tables[field.vocabulary](values)
        return self.poolings[field.name](vectors, values != 0) if field.is_list else vectors


def _reader(field: Field, list_pooling: Pooling) -> keras.layers.Layer:
    """Return the layer that makes one vector of a list's."""
    if field.encoding == "pooled":
        return MaskedPooling(list_pooling, name=f"pool_{field.name}")
    return ListEncoder(field.encoding, name=f"read_{field.name}")
