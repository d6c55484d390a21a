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

        logit = sum_b branch_b(vectors) + sum_c feature_branch_c(features)

    Models differ by the branches passed in. A branch with a wider output ends in a dense layer to 1; a dense layer over
    several such outputs side by side, as some papers draw it, is the same as the sum.

    Args:
      fields: at least one.
      embedding_dim: length of the shared field vectors.
      branches: layers that map `(batch_size, num_fields, embedding_dim)` to `(batch_size, 1)`.
      feature_branches: layers that map the transformed features by name to `(batch_size, 1)`.
      scale: standard deviation of the field vectors' initial values.
    """

    def __init__(
        self,
        fields: Iterable[Field],
        embedding_dim: int,
        branches: Sequence[keras.layers.Layer] = (),
        feature_branches: Sequence[keras.layers.Layer] = (),
        scale: float = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vectors = FieldVectors(fields, embedding_dim, scale=scale) if branches else None
        self.branches = list(branches)
        self.feature_branches = list(feature_branches)

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the logit of each row, float32 `(batch_size,)`."""
        # Keras hands `training` on to the layers that ask for it.
        outputs = [branch(features) for branch in self.feature_branches]
        if self.vectors is not None:
            vectors = self.vectors(features)
            outputs += [branch(vectors) for branch in self.branches]
        return ops.squeeze(sum(outputs[1:], start=outputs[0]), axis=-1)


class Flattened(keras.layers.Layer):
    """A branch that hands the field vectors to a layer side by side, `(batch_size, num_fields * embedding_dim)`."""

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, vectors: Any, training: bool = False) -> Any:
        """Return the layer's outputs."""
        return self.layer(ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2])), training=training)
