"""Several vectors a row to one, by reading them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from settings.features import ListEncoding


@keras.saving.register_keras_serializable(package="shortlist")
class ListEncoder(keras.layers.Layer):
    """Read the vectors of a row, leaving padding out; a row of nothing but padding gives zeros.

        recurrent:  output = last state of a GRU over the present vectors, in their order
        attention:  output = sum_t a_t vector_t,   a = softmax_t(q'tanh(W vector_t + b)) over the present ones

    Args:
      encoding: `recurrent` or `attention`.

    Call arguments:
      vectors: float32 `(batch_size, length, embedding_dim)`.
      mask: bool `(batch_size, length)`, False for padding, in front or behind.

    Returns:
      float32 `(batch_size, embedding_dim)`.

    Example:
      >>> import numpy as np
      >>> vectors = np.array([[[1.0], [3.0], [9.0]]], np.float32)
      >>> layer = ListEncoder("attention")
      >>> _ = layer(vectors, np.array([[True, True, False]]))
      >>> _ = layer.query.assign([0.0])  # all alike: the mean
      >>> float(layer(vectors, np.array([[True, True, False]]))[0, 0])
      2.0

    Reference:
      Wu et al.: Neural news recommendation with attentive multi-view learning, 2019, https://arxiv.org/abs/1907.05576
    """

    def __init__(self, encoding: ListEncoding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoding = encoding

    def build(self, vectors_shape: tuple[int | None, ...], mask_shape: Any = None) -> None:
        """Create the units."""
        dim = int(vectors_shape[2] or 0)
        if self.encoding == "recurrent":
            self.units = keras.layers.GRU(dim, use_cudnn=False)
            self.units.build(vectors_shape)
        else:
            self.inner = keras.layers.Dense(dim, "tanh")
            self.inner.build(vectors_shape)
            self.query = self.add_weight((dim,), "glorot_uniform", name="query")

    def call(self, vectors: Any, mask: Any) -> Any:
        """Return what was read."""
        if self.encoding == "recurrent":
            # A masked step leaves the state as it is: zeros at first.
            return self.units(vectors, mask=mask)
        logits = ops.einsum("bld,d->bl", self.inner(vectors), self.query)
        logits = ops.where(mask, logits, ops.full_like(logits, -3e4))
        weights = ops.softmax(logits, axis=1) * ops.cast(mask, logits.dtype)
        return ops.einsum("bl,bld->bd", weights, vectors)

    def compute_output_shape(self, vectors_shape: tuple[int | None, ...], mask_shape: Any = None) -> Any:
        """Return the shape without the length."""
        return (vectors_shape[0], vectors_shape[2])
