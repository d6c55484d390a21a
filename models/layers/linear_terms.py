"""The first-order part of a ranking model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import keras

from models.feature_space import Field
from models.layers.field_vectors import FieldVectors


class LinearTerms(keras.layers.Layer):
    """One weight a token and a number, and a bias: `w0 + sum_f w_f x_f`.

    The tokens of a list share their field's weight evenly: `1/n` each. A vector has a weight a number; an image has
    none, unless there is nothing else.

    Args:
      fields: at least one.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, 1)`.
    """

    def __init__(self, fields: Iterable[Field], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        fields = [replace(field, encoding="pooled") for field in fields]
        self.weights_of_fields = FieldVectors([f for f in fields if f.kind != "image"] or fields, embedding_dim=1)

    def build(self, features_shape: Mapping[str, Any]) -> None:
        """Create the bias."""
        self.weights_of_fields.build(features_shape)
        self.bias = self.add_weight((1,), "zeros", name="bias")

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return the sum."""
        # One after the other: side by side in one tensor they would be copied number by number.
        return sum(self.weights_of_fields.each(features), start=self.bias)
