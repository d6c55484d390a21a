"""The crossed columns of a wide model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from models.feature_space import Field
from models.layers.token_embedding import TokenEmbedding


class CrossedTerms(keras.layers.Layer):
    """One weight a pair of tokens, for chosen pairs of categorical fields: `sum_p w_p[(a_p, b_p)]`.

        row = (a * size_b + b) mod num_buckets

    Pairs that fall into one bucket share its weight; where `size_a * size_b <= num_buckets`, none do. A pair with a
    missing token (id 0) has a weight of its own, like any other.

    Args:
      pairs: of categorical fields.
      num_buckets: rows of a pair's table, at most.

    Call arguments:
      features: transformed features by name.

    Returns:
      float32 `(batch_size, 1)`.

    Example:
      >>> import numpy as np
      >>> a, b = (Field(name, "categorical", "query", name, vocabulary_size=3) for name in "ab")
      >>> CrossedTerms([(a, b)], num_buckets=100)({"a": np.array([1, 2]), "b": np.array([2, 0])}).shape
      TensorShape([2, 1])

    Reference:
      Cheng et al.: Wide & deep learning for recommender systems, 2016, equation (1), https://arxiv.org/abs/1606.07792
    """

    def __init__(self, pairs: Sequence[tuple[Field, Field]], num_buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pairs = tuple(pairs)
        self.tables = [
            TokenEmbedding(min(a.vocabulary_size * b.vocabulary_size, num_buckets), 1, scale=0.0) for a, b in self.pairs
        ]

    def call(self, features: Mapping[str, Any]) -> Any:
        """Return the sum of the weights."""
        terms = []
        for (a, b), table in zip(self.pairs, self.tables, strict=True):
            ids = features[a.name] * b.vocabulary_size + features[b.name]
            terms.append(table(ops.mod(ids, table.vocabulary_size)))
        return sum(terms[1:], start=terms[0])
