"""The fields of one side side by side, through dense layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.dense_stack import DenseStack
from models.layers.field_vectors import FieldVectors
from models.layers.pooling import Pooling


class DenseTower(keras.layers.Layer):
    """An MLP over what each field gives it.

        output = MLP([x_1, .., x_F]),   x_f = value of a number,  vector of a token,  pooled vectors of a list

    With `powers`, a number x comes with x² and sign(x) sqrt(|x|) beside it. Unlike in `Tower`, nothing passes around
    the dense layers.

    Args:
      fields: at least one.
      embedding_dim: length of a token's vector.
      hidden_units: width of each hidden layer.
      output_units: width of a last linear layer; None: the last hidden layer is the output.
      list_pooling: how lists are pooled.
      dropout: share of the hidden values set to 0 in training.
      powers: whether numbers also come squared and as a root.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, output_units)`, or the width of the last hidden layer.

    Example:
      >>> import numpy as np
      >>> age = Field("age", "numeric", "query")
      >>> DenseTower([age], 4, hidden_units=[3])({"age": np.zeros(2, np.float32)}).shape
      TensorShape([2, 3])
    """

    def __init__(
        self,
        fields: Iterable[Field],
        embedding_dim: int,
        hidden_units: Sequence[int],
        output_units: int | None = None,
        list_pooling: Pooling = "mean",
        dropout: float = 0.0,
        powers: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        fields = tuple(fields)
        self.numbers = tuple(field.name for field in fields if field.kind == "numeric")
        self.powers = powers
        tokens = tuple(field for field in fields if field.kind != "numeric")
        self.vectors = FieldVectors(tokens, embedding_dim, list_pooling) if tokens else None
        self.stack = DenseStack(hidden_units, output_units, dropout=dropout)

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Return the last layer's outputs."""
        parts = [features[name][:, None] for name in self.numbers]
        if self.powers:
            parts += [part for x in parts for part in (ops.square(x), ops.sign(x) * ops.sqrt(ops.abs(x)))]
        if self.vectors is not None:
            vectors = self.vectors(features)
            parts.append(ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2])))
        return self.stack(ops.concatenate(parts, axis=1), training=training)
