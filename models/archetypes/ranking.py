"""A recommender that predicts a click or a like for a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.field_vectors import FieldVectors


class RankingModel(keras.Model):
    """Branches over shared field vectors, each adding to one logit.

        logit = sum_b Dense_b(branch_b(vectors)) + sum_c Dense_c(feature_branch_c(features))

    A branch that returns one value a row is taken as it is; a wider one gets a dense layer to 1. (A dense layer over
    concatenated branches is the same as this sum.) Models differ by the branches passed in.

    Args:
      fields: at least one.
      embedding_dim: length of the shared field vectors.
      branches: layers that map `(batch_size, num_fields, embedding_dim)` to `(batch_size, units)`.
      feature_branches: layers that map the transformed features by name to `(batch_size, units)`.
    """

    def __init__(
        self,
        fields: Iterable[Field],
        embedding_dim: int,
        branches: Sequence[keras.layers.Layer] = (),
        feature_branches: Sequence[keras.layers.Layer] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vectors = FieldVectors(fields, embedding_dim) if branches else None
        self.branches = list(branches)
        self.feature_branches = list(feature_branches)
        self.heads = [keras.layers.Dense(1, name=f"logit_{i}") for i in range(len(branches) + len(feature_branches))]

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the logit of each row, float32 `(batch_size,)`."""
        outputs = [branch(features, training=training) for branch in self.feature_branches]
        if self.vectors is not None:
            vectors = self.vectors(features)
            outputs += [branch(vectors, training=training) for branch in self.branches]
        logits = [x if x.shape[-1] == 1 else head(x) for x, head in zip(outputs, self.heads, strict=True)]
        return ops.squeeze(sum(logits[1:], start=logits[0]), axis=-1)


class Flattened(keras.layers.Layer):
    """A branch that hands the field vectors to a layer side by side, `(batch_size, num_fields * embedding_dim)`."""

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, vectors: Any, training: bool = False) -> Any:
        """Return the layer's outputs."""
        return self.layer(ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2])), training=training)
