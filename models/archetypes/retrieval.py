"""A recommender that scores the whole catalogue for a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

Features = Mapping[str, Any]


class RetrievalModel(keras.Model):
    """Two encoders and a score between what they return.

    A subclass defines `encode_query` and `encode_candidate`; where the score is not the inner product, also `score` and
    `score_pairs`. Training and serving call these four and nothing else, so that candidates are encoded once and
    scored for any number of queries.
    """

    def begin(self, rows: Features, items: Features) -> None:
        """Take what the model needs to know of all rows before the first step; most need nothing.

        Args:
          rows: transformed features of the train rows, as arrays.
          items: those of the catalogue.
        """

    def finish(self) -> None:
        """Keep what serving needs of it; called once, after the last step."""

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the queries' vectors, float32 `(batch_size, dim)`, from the query fields alone."""
        raise NotImplementedError

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' vectors, float32 `(num_candidates, dim)`, from the candidate fields alone."""
        raise NotImplementedError

    def score(self, query: Any, candidate: Any) -> Any:
        """Return the score of every query with every candidate, float32 `(batch_size, num_candidates)`."""
        return ops.matmul(query, ops.transpose(candidate))

    def score_pairs(self, query: Any, candidate: Any) -> Any:
        """Return the score of each query with the candidate of the same row, float32 `(batch_size,)`."""
        return ops.sum(query * candidate, axis=-1)

    def call(self, features: Features, training: bool = False) -> Any:
        """Return the score of each row's own item, float32 `(batch_size,)`."""
        query = self.encode_query(features, training=training)
        return self.score_pairs(query, self.encode_candidate(features, training=training))


class SequenceModel(RetrievalModel):
    """A retrieval model whose query vectors come from reading a sequence; it learns from all positions at once.

    Args:
      history: name of the sequence feature, int64 `(batch_size, length)`, the newest last, 0 in front for padding.
    """

    def __init__(self, history: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history = history

    def encode_positions(self, features: Features, training: bool = False) -> Any:
        """Return what is known after each position and no later one, float32 `(batch_size, length, dim)`."""
        raise NotImplementedError

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return what is known after the last position."""
        return self.encode_positions(features, training=training)[:, -1]
