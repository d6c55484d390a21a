"""A retrieval model whose score is a network."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from models.archetypes.retrieval import Features, RetrievalModel
from models.feature_space import Field
from models.layers.dense_stack import DenseStack
from models.layers.id_vector import IdVector

Mode = Literal["gmf", "mlp", "neumf"]
# Up to this many candidates are scored for all queries at once; more, query by query.
CANDIDATES_AT_ONCE = 512


class NeuralScoreModel(RetrievalModel):
    """Scores of user and item by neural collaborative filtering.

        gmf:    score = h·(p * q)
        mlp:    score = h·MLP([p', q'])
        neumf:  score = h·[p * q, MLP([p', q'])],   with vectors of their own in both parts

    Args:
      user: field of the user's id.
      item: field of the item's id.
      mode: which of the parts.
      embedding_dim: length of p, q, p' and q' each.
      hidden_units: of the MLP; the first layer is as wide as the first number.
      dropout: share of the hidden values set to 0 in training.
    """

    def __init__(
        self,
        user: Field,
        item: Field,
        mode: Mode,
        embedding_dim: int,
        hidden_units: tuple[int, ...],
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        width = embedding_dim * (2 if mode == "neumf" else 1)
        self.query = IdVector(user, width)
        self.candidate = IdVector(item, width)
        self.stack = None if mode == "gmf" else DenseStack(hidden_units, dropout=dropout)
        self.output_weights = keras.layers.Dense(1, use_bias=False)

    def start_from(self, gmf: NeuralScoreModel, mlp: NeuralScoreModel) -> None:
        """Take the weights of trained parts; the output weights are theirs, halved.

        Args:
          gmf: of mode `gmf`, of the same length of vectors.
          mlp: of mode `mlp`, of the same length of vectors and layers.
        """
        assert self.stack is not None
        assert mlp.stack is not None
        for side in ("query", "candidate"):
            tables = [getattr(part, side).embeddings.table for part in (gmf, mlp)]
            getattr(self, side).embeddings.table.assign(ops.concatenate(tables, axis=1))
        self.stack.set_weights(mlp.stack.get_weights())
        kernels = [0.5 * ops.convert_to_tensor(part.output_weights.kernel) for part in (gmf, mlp)]
        self.output_weights.kernel.assign(ops.concatenate(kernels, axis=0))

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return p, p' or both."""
        return self.query(features)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return q, q' or both."""
        return self.candidate(features)

    def score_pairs(self, query: Any, candidate: Any) -> Any:
        """Return the network's score of each row, float32 `(batch_size,)`."""
        return ops.squeeze(self.output_weights(self._interact(query, candidate)), -1)

    def score(self, query: Any, candidate: Any) -> Any:
        """Return the network's score of each query with each candidate, float32 `(batch_size, num_candidates)`.

        The whole catalogue goes query by query, so that memory holds `num_candidates * width` numbers and not
        `batch_size` times as many.
        """
        if candidate.shape[0] is not None and candidate.shape[0] <= CANDIDATES_AT_ONCE:
            return self._score_all(query, candidate)
        return ops.map(lambda one: self._score_all(one[None], candidate)[0], query)

    def _score_all(self, query: Any, candidate: Any) -> Any:
        """Return the scores of all pairs at once."""
        rows, columns, width = ops.shape(query)[0], ops.shape(candidate)[0], query.shape[1]
        left = ops.reshape(ops.repeat(query, columns, axis=0), (-1, width))
        right = ops.reshape(ops.tile(candidate, (rows, 1)), (-1, width))
        return ops.reshape(self.score_pairs(left, right), (rows, columns))

    def _interact(self, query: Any, candidate: Any) -> Any:
        """Return the last layer's inputs."""
        if self.stack is None:
            return query * candidate
        if self.mode == "mlp":
            return self.stack(ops.concatenate([query, candidate], axis=1))
        p, p_mlp = ops.split(query, 2, axis=1)
        q, q_mlp = ops.split(candidate, 2, axis=1)
        return ops.concatenate([p * q, self.stack(ops.concatenate([p_mlp, q_mlp], axis=1))], axis=1)
