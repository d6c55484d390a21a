"""The gradient-free retrieval models against NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.archetypes.alternating import AlternatingModel, solved
from models.archetypes.closed_form import ClosedFormModel, Interactions
from models.archetypes.item_weights import ItemWeightsModel
from models.baselines.ease import Ease
from models.baselines.item_knn import ItemKnn
from models.feature_space import CATALOGUE_INDEX, Field

NUM_USERS, NUM_ITEMS = 9, 6
# Catalogue position -> id of the vocabulary; position 5 is out of vocabulary.
TOKEN = np.array([4, 2, 6, 3, 5, 1])
HISTORY = Field("history", "sequence", "query", "item_id", vocabulary_size=7, length=4, num_oov=1)


def choices() -> np.ndarray:
    return (np.random.default_rng(3).random((NUM_USERS, NUM_ITEMS)) < 0.5).astype(float)


def interactions() -> Interactions:
    """Return the choices as events, each twice: a repetition must change nothing."""
    user, item = np.nonzero(choices())
    return Interactions(np.repeat(user, 2), np.repeat(item, 2), NUM_USERS, NUM_ITEMS, TOKEN)


def scores(model: ClosedFormModel, history: Sequence[int]) -> np.ndarray:
    """Return the scores of the catalogue, and of an item outside it, for one history of ids."""
    query = model.encode_query({"history": np.array([history])})
    candidate = model.encode_candidate({CATALOGUE_INDEX: np.arange(NUM_ITEMS + 1)})
    return np.asarray(model.score(query, candidate))[0]


def test_ease_against_one_regression_an_item() -> None:
    x, l2 = choices(), 2.0
    found = Ease(l2=l2).item_weights(interactions())
    for target in range(NUM_ITEMS):
        others = [i for i in range(NUM_ITEMS) if i != target]
        rest = x[:, others]
        expected = np.linalg.solve(rest.T @ rest + l2 * np.eye(NUM_ITEMS - 1), rest.T @ x[:, target])
        np.testing.assert_allclose(found[target, others], expected, atol=1e-10)
        assert found[target, target] == 0.0


@pytest.mark.parametrize("num_neighbors", [2, 5])
def test_item_knn_against_cosines(num_neighbors: int) -> None:
    x, shrinkage = choices(), 1.5
    found = ItemKnn(num_neighbors=num_neighbors, shrinkage=shrinkage).item_weights(interactions())
    for voter in range(NUM_ITEMS):
        own = x[:, voter]
        votes = {
            i: float(x[:, i] @ own / (np.linalg.norm(x[:, i]) * np.linalg.norm(own) + shrinkage))
            for i in range(NUM_ITEMS)
            if i != voter
        }
        nearest = sorted(votes, key=lambda i: (-votes[i], i))[:num_neighbors]
        expected = [votes[i] if i in nearest else 0.0 for i in range(NUM_ITEMS)]
        np.testing.assert_allclose(found[:, voter], expected, atol=1e-12)


def test_item_weights_are_summed_over_the_known_items_of_the_history() -> None:
    weights = np.arange(36.0).reshape(6, 6)
    model = ItemWeightsModel(HISTORY, NUM_ITEMS, lambda _: weights)
    model.fit_interactions(interactions(), seed=0)
    # Ids 6 (twice), 4 and the unknown 1 are positions 2 and 0.
    np.testing.assert_allclose(scores(model, [6, 1, 4, 6]), [*(weights[:, 2] + weights[:, 0]), 0.0])
    log_counts = np.log1p(2 * choices().sum(axis=0))
    np.testing.assert_allclose(scores(model, [0, 0, 0, 1]), [*(log_counts / log_counts.max()), 0.0], rtol=1e-6)


def test_a_sweep_of_ials_solves_the_weighted_regression_of_each_row() -> None:
    x, a, l2 = choices(), 0.3, 0.05
    items = np.random.default_rng(5).standard_normal((NUM_ITEMS, 3))
    user, item = np.nonzero(x)
    found = solved(items, user, item, NUM_USERS, a, l2)
    for number in range(NUM_USERS):
        # All cells: target x, weight a for 0; a chosen cell is (w.h - 1)^2 + a (w.h)^2.
        left, right = np.zeros((3, 3)), np.zeros(3)
        for j in range(NUM_ITEMS):
            left += (x[number, j] + a) * np.outer(items[j], items[j])
            right += x[number, j] * items[j]
        left += l2 * (x[number].sum() + a * NUM_ITEMS) * np.eye(3)
        np.testing.assert_allclose(found[number], np.linalg.inv(left) @ right, atol=1e-10)


def ials_loss(x: np.ndarray, users: np.ndarray, items: np.ndarray, a: float, l2: float) -> float:
    predicted = users @ items.T
    fit = (x * (predicted - 1) ** 2).sum() + a * (predicted**2).sum()
    of_users = ((x.sum(axis=1) + a * x.shape[1]) * (users**2).sum(axis=1)).sum()
    of_items = ((x.sum(axis=0) + a * x.shape[0]) * (items**2).sum(axis=1)).sum()
    return float(fit + l2 * (of_users + of_items))


def test_ials_reaches_a_minimum_and_folds_a_history_in_as_it_trained() -> None:
    x, a, l2 = choices(), 0.3, 0.05
    model = AlternatingModel(HISTORY, NUM_ITEMS, 2, num_sweeps=300, unobserved_weight=a, l2=l2)
    model.fit_interactions(interactions(), seed=1)
    items = np.asarray(model.candidates)[:NUM_ITEMS, :2].astype(float)
    user, item = np.nonzero(x)
    users = solved(items, user, item, NUM_USERS, a, l2)
    best = ials_loss(x, users, items, a, l2)
    generator = np.random.default_rng(0)
    for _ in range(20):
        moved = ials_loss(
            x,
            users + 0.01 * generator.standard_normal(users.shape),
            items + 0.01 * generator.standard_normal(items.shape),
            a,
            l2,
        )
        assert moved > best
    # A user whose items fit the history, all in the vocabulary: the history holds all of them, one twice.
    number = next(u for u in range(NUM_USERS) if x[u, 5] == 0 and 1 <= x[u].sum() <= 3)
    ids = TOKEN[np.flatnonzero(x[number])].tolist()
    history = [0] * (3 - len(ids)) + ids + ids[:1]
    np.testing.assert_allclose(scores(model, history), [*(items @ users[number]), 0.0], rtol=1e-4, atol=1e-5)


def test_ials_answers_an_empty_history_by_popularity() -> None:
    model = AlternatingModel(HISTORY, NUM_ITEMS, 2, num_sweeps=2, unobserved_weight=0.1, l2=0.1)
    model.fit_interactions(interactions(), seed=1)
    log_counts = np.log1p(2 * choices().sum(axis=0))
    np.testing.assert_allclose(scores(model, [0, 0, 1, 0]), [*(log_counts / log_counts.max()), 0.0], rtol=1e-5)
