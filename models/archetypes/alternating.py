"""Matrix factorization by alternating least squares, queries folded in from their history."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.item_weights import popularity
from models.archetypes.retrieval import Features
from models.feature_space import CATALOGUE_INDEX, Field


class AlternatingModel(ClosedFormModel):
    """User and item vectors that minimise a squared error over the chosen pairs S and over all pairs.

        sum_S (w_u·h_i - 1)^2 + a sum_(u,i) (w_u·h_i)^2
            + l2 (sum_u (|S_u| + a num_items) |w_u|^2 + sum_i (|S_i| + a num_users) |h_i|^2)

    A query's vector is solved for from its history as training solves for a user's, so no user table is kept:

        w = (sum_(i in history) h_i h_i' + a H'H + l2 (|history| + a num_items) I)^-1 sum_(i in history) h_i

    Vectors carry one number more, which gives a history without a known item the log counts of the items.

    Args:
      history: the sequence of item ids.
      num_items: size of the catalogue.
      embedding_dim: length of w and h.
      num_sweeps: times that all users, then all items, are solved for.
      unobserved_weight: a.
      l2: of the penalty.
    """

    def __init__(
        self,
        history: Field,
        num_items: int,
        embedding_dim: int,
        num_sweeps: int,
        unobserved_weight: float,
        l2: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.history = history
        self.num_sweeps = num_sweeps
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.num_items = num_items
        shape = (history.vocabulary_size, embedding_dim)
        self.token_vectors = self.add_weight(shape, "zeros", trainable=False, name="token_vectors")
        self.candidates = self.add_weight(
            (num_items + 1, embedding_dim + 1), "zeros", trainable=False, name="candidates"
        )
        self.gram = self.add_weight((embedding_dim, embedding_dim), "identity", trainable=False, name="gram")

    def fit_interactions(self, interactions: Interactions, seed: int) -> None:
        """Sweep, from random item vectors."""
        dim = self.gram.shape[0]
        items = np.random.default_rng(seed).normal(0.0, 0.1 / dim**0.5, (interactions.num_items, dim))
        pairs = np.unique(np.stack([interactions.user, interactions.item]), axis=1)
        for _ in range(self.num_sweeps):
            users = solved(items, pairs[0], pairs[1], interactions.num_users, self.unobserved_weight, self.l2)
            items = solved(users, pairs[1], pairs[0], interactions.num_items, self.unobserved_weight, self.l2)
        known = interactions.token > self.history.num_oov
        tokens = np.zeros(self.token_vectors.shape, np.float32)
        tokens[interactions.token[known]] = items[known]
        self.token_vectors.assign(tokens)
        self.gram.assign(items.T @ items)
        candidates = np.concatenate([items, popularity(interactions)[:, None]], axis=1)
        self.candidates.assign(np.concatenate([candidates, np.zeros((1, dim + 1))]))

    def encode_query(self, features: Features, training: bool = False) -> Any:
        """Return the vectors solved for from the histories, and 1 for a history without a known item."""
        ids = features[self.history.name]
        known = ops.logical_and(ids > self.history.num_oov, ids < self.history.vocabulary_size)
        earlier = ops.tril(ops.ones((ids.shape[1], ids.shape[1]), "bool"), k=-1)
        again = ops.any(ops.logical_and(ids[:, :, None] == ids[:, None, :], earlier), axis=2)
        once = ops.cast(ops.logical_and(known, ops.logical_not(again)), "float32")
        vectors = ops.take(self.token_vectors, ops.where(known, ids, ops.zeros_like(ids)), axis=0) * once[..., None]
        count = ops.sum(once, axis=1)
        ridge = self.l2 * (count + self.unobserved_weight * self.num_items)
        left = ops.einsum("bld,ble->bde", vectors, vectors) + self.unobserved_weight * ops.convert_to_tensor(self.gram)
        left = left + ridge[:, None, None] * ops.eye(self.gram.shape[0])
        solution = ops.solve(left, ops.sum(vectors, axis=1)[..., None])[..., 0]
        return ops.concatenate([solution, ops.cast(count == 0, "float32")[:, None]], axis=1)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' vectors."""
        return ops.take(self.candidates, features[CATALOGUE_INDEX], axis=0)


def solved(
    fixed: np.ndarray, row: np.ndarray, column: np.ndarray, num_rows: int, unobserved_weight: float, l2: float
) -> np.ndarray:
    """Return the best vector of each row, the columns' being fixed, `(num_rows, dim)`.

    Args:
      fixed: the columns' vectors, `(num_columns, dim)`.
      row: row of each chosen pair.
      column: column of each chosen pair.
      num_rows: how many rows there are.
      unobserved_weight: of all pairs.
      l2: of the penalty.
    """
    num_columns, dim = fixed.shape
    gram = unobserved_weight * fixed.T @ fixed
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(num_rows + 1))
    found = np.zeros((num_rows, dim))
    for number in range(num_rows):
        chosen = fixed[column[order[starts[number] : starts[number + 1]]]]
        ridge = l2 * (len(chosen) + unobserved_weight * num_columns)
        found[number] = np.linalg.solve(chosen.T @ chosen + gram + ridge * np.eye(dim), chosen.sum(axis=0))
    return found
