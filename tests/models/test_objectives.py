from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.feature_space import CATALOGUE_INDEX
from models.layers.token_embedding import TokenEmbedding
from models.objectives import LABEL, PositionObjective, RetrievalObjective, RowObjective, WithEmbeddingPenalty
from models.training_data import Arrays, Catalogue, Rows
from settings.training import TrainingSettings

# Four items as points of a plane, and three queries.
ITEMS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0]], np.float32)
QUERIES = np.array([[0.5, 1], [2, 0], [0, -1]], np.float32)
SCORES = QUERIES @ ITEMS.T
CHOSEN = np.array([1, 1, 3])
CATALOGUE = Catalogue(
    np.array([b"a", b"b", b"c", b"d"], object),
    np.full(4, b"", object),
    {"point": ITEMS, "token": np.array([4, 3, 2, 1]), CATALOGUE_INDEX: np.arange(4)},
)


class Plane(RetrievalModel):
    def encode_query(self, features: Any, training: bool = False) -> Any:
        return features["query"]

    def encode_candidate(self, features: Any, training: bool = False) -> Any:
        return features["point"]


def rows(features: Arrays, **columns: Any) -> Rows:
    n = len(next(iter(features.values())))
    ones = np.ones(n, np.float32)
    defaults = {
        "relevant": ones,
        "liked": ones,
        "rating": ones,
        "sequence_end": ones > 0,
        "user_id": np.full(n, b"u", object),
        "timestamp": np.zeros(n, np.int64),
    }
    return Rows(features, **(defaults | columns))


ROWS = rows({"query": QUERIES, CATALOGUE_INDEX: CHOSEN})


def objective(name: str, counts: Any = (1, 1, 1, 1), **settings: Any) -> RetrievalObjective:
    training = TrainingSettings(**{"num_negatives": 2, "seed": 3, **settings})
    return RetrievalObjective(name, training, ROWS, ROWS, CATALOGUE, np.array(counts))


def log_sum_exp(values: Any) -> float:
    return float(np.log(np.sum(np.exp(values))))


def test_full_softmax_runs_over_the_catalogue() -> None:
    total, weight = objective("softmax").loss(Plane(), ROWS.features, True)
    expected = sum(log_sum_exp(scores) - scores[item] for scores, item in zip(SCORES, CHOSEN, strict=True))
    np.testing.assert_allclose([total, weight], [expected, 3], rtol=1e-5)


def test_in_batch_softmax_corrects_by_the_share_and_removes_the_other_row_of_the_same_item() -> None:
    total, _ = objective("in_batch_softmax", counts=(5, 3, 1, 1)).loss(Plane(), ROWS.features, True)
    own, other = -np.log(0.3), -np.log(0.1)  # corrections of items 1 and 3
    # Row 0: its own item and item 3 of row 2; item 1 of row 1 is an accidental hit. Row 1 likewise.
    expected = 0.0
    for row in (0, 1):
        logits = [SCORES[row, 1] + own, SCORES[row, 3] + other]
        expected += log_sum_exp(logits) - logits[0]
    logits = [SCORES[2, 1] + own, SCORES[2, 1] + own, SCORES[2, 3] + other]
    expected += log_sum_exp(logits) - logits[2]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["sampled_softmax", "bce", "bpr"])
def test_sampled_losses_take_uniform_negatives_without_the_positive(name: str) -> None:
    drawn = np.asarray(keras.random.randint((2,), 0, 4, seed=keras.random.SeedGenerator(3)))
    total, _ = objective(name).loss(Plane(), ROWS.features, True)
    expected = 0.0
    for scores, item in zip(SCORES, CHOSEN, strict=True):
        positive, negatives = scores[item], [scores[j] for j in drawn if j != item]
        if name == "sampled_softmax":
            corrected = [negative + np.log(4 / 2) for negative in negatives]
            expected += log_sum_exp([positive, *corrected]) - positive
        elif name == "bce":
            expected += np.log1p(np.exp(-positive)) + sum(np.log1p(np.exp(s)) for s in negatives) / 2
        else:
            expected += sum(np.log1p(np.exp(s - positive)) for s in negatives) / 2
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def drawn_by(name: str, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return many draws of negatives and the log of each one's probability."""
    many = objective(name, counts=(1, 1, 2, 4), num_negatives=4000, **settings)
    drawn, log_probability = many._draw(np.array(CHOSEN))
    return np.asarray(drawn), np.broadcast_to(np.asarray(log_probability), np.shape(drawn))


def test_popular_items_are_drawn_by_their_share() -> None:
    drawn, log_probability = drawn_by("bpr", negatives="popularity")
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 8, 1 / 8, 1 / 4, 1 / 2], atol=0.03)
    np.testing.assert_allclose(np.exp(log_probability), np.array([1, 1, 2, 4])[drawn] / 8, rtol=1e-5)


def test_a_sampled_softmax_is_corrected_for_popular_draws() -> None:
    with_seed = objective("sampled_softmax", counts=(1, 1, 2, 4), negatives="popularity", num_negatives=3)
    drawn = np.asarray(objective("bpr", counts=(1, 1, 2, 4), negatives="popularity", num_negatives=3)._draw(CHOSEN)[0])
    share = np.array([1, 1, 2, 4]) / 8
    expected = 0.0
    for scores, item in zip(SCORES, CHOSEN, strict=True):
        negatives = [scores[j] - np.log(3 * share[j]) for j in drawn if j != item]
        expected += log_sum_exp([scores[item], *negatives]) - scores[item]
    np.testing.assert_allclose(with_seed.loss(Plane(), ROWS.features, True)[0], expected, rtol=1e-5)


def test_the_batch_gives_the_negatives() -> None:
    total, _ = objective("bpr", negatives="in_batch").loss(Plane(), ROWS.features, True)
    # Items 1, 1, 3: rows 0 and 1 have only item 3 left, row 2 has item 1 twice; a removed one costs nothing.
    pairs = [(0, [3]), (1, [3]), (2, [1, 1])]
    expected = sum(np.log1p(np.exp(SCORES[r, j] - SCORES[r, CHOSEN[r]])) / 3 for r, others in pairs for j in others)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["hinge", "in_batch_softmax"])
def test_only_the_hardest_negatives_count(name: str) -> None:
    found = objective(name, negatives="in_batch" if name == "hinge" else "uniform", num_hard_negatives=1)
    total, _ = found.loss(Plane(), ROWS.features, True)
    expected = 0.0
    for row, item in enumerate(CHOSEN):
        corrected = SCORES[row] - (np.log(0.25) if name == "in_batch_softmax" else 0.0)
        hardest = max(corrected[j] for j in CHOSEN if j != item)
        if name == "hinge":
            expected += max(0.0, 0.5 - corrected[item] + hardest)
        else:
            expected += log_sum_exp([corrected[item], hardest]) - corrected[item]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


class Reader(SequenceModel):
    """Says at each position the point of the token that it reads."""

    def encode_positions(self, features: Any, training: bool = False) -> Any:
        points = np.concatenate([[[0, 0]], ITEMS[::-1]]).astype(np.float32)
        return keras.ops.take(points, features[self.history], axis=0)

    def encode_candidate(self, features: Any, training: bool = False) -> Any:
        return features["point"]


@pytest.mark.parametrize("jit", [False, True])
def test_every_position_learns_what_came_next_and_the_last_one_the_rows_item(jit: bool) -> None:
    # Tokens 4, 3, 2 are the items 0, 1, 2; token 1 is out of vocabulary, 0 is padding.
    histories = rows({"past": np.array([[0, 4, 1, 2]]), CATALOGUE_INDEX: np.array([1])})
    objective = PositionObjective(
        "past",
        "token",
        1,
        name="softmax",
        settings=TrainingSettings(jit=jit),
        train=histories,
        evaluation=histories,
        catalogue=CATALOGUE,
        item_counts=np.ones(4),
    )
    np.testing.assert_array_equal(objective.train[LABEL], [[0, -1, 2, 1]])
    total, weight = objective.loss(Reader("past"), objective.train, True)
    # Position 0 is the padding before the first item: four scores of 0. Position 2 reads the OOV token, whose point is
    # that of item 3, and should say item 2; position 3 reads 2, says 1.
    at_2, at_3 = ITEMS[3] @ ITEMS.T, ITEMS[2] @ ITEMS.T
    expected = np.log(4) + log_sum_exp(at_2) - at_2[2] + log_sum_exp(at_3) - at_3[1]
    np.testing.assert_allclose([total, weight], [expected, 3], rtol=1e-5)
    assert LABEL not in objective.eval


def test_rows_are_compared_with_their_label_and_pay_the_penalty_in_training_only() -> None:
    class Constant(keras.Model):
        def call(self, features: Any, training: bool = False) -> Any:
            return features["x"]

        def penalty(self, features: Any) -> Any:
            return features["x"] * 10

    some = rows({"x": np.array([1.0, 2.0], np.float32)}, rating=np.array([4.0, 0.0], np.float32))
    objective = RowObjective(TrainingSettings(), "mse", some, some, "rating", {}, [])
    assert [float(v) for v in objective.loss(Constant(), objective.train, True)] == [9 + 4 + 30, 2]
    assert [float(v) for v in objective.loss(Constant(), objective.train, False)] == [9 + 4, 2]


class Worth(keras.Model):
    """Says what the item of a row is worth."""

    def call(self, features: Any, training: bool = False) -> Any:
        return features["worth"]


CLICKS = rows(
    {
        "worth": np.array([1.0, -2.0, 3.0], np.float32),
        "place": np.array([0.0, 1.0, 2.0], np.float32),
        CATALOGUE_INDEX: CHOSEN,
    },
    liked=np.array([1.0, 0.0, 1.0], np.float32),
)


def test_each_click_is_told_from_random_items() -> None:
    catalogue = {"worth": np.array([5, 6, 7, 8], np.float32), CATALOGUE_INDEX: np.arange(4)}
    settings = TrainingSettings(negatives_a_click=2, seed=3)
    objective = RowObjective(settings, "bce", CLICKS, CLICKS, "liked", catalogue, ["worth"])
    seeds = keras.random.SeedGenerator(3)
    drawn = [np.asarray(keras.random.randint((3,), 0, 4, seed=seeds)) for _ in range(2)]
    counted = [
        (5 + j)
        for draws in drawn
        for j, item, click in zip(draws, CHOSEN, [1, 0, 1], strict=True)
        if click and j != item
    ]
    total, weight = objective.loss(Worth(), objective.train, True)
    expected = sum(np.log1p(np.exp(x)) for x in [-1.0, -2.0, -3.0, *counted])
    np.testing.assert_allclose([total, weight], [expected, 3 + len(counted)], rtol=1e-5)


def test_the_place_adds_its_bias_to_the_model_around_an_average_place() -> None:
    class Tenth(keras.layers.Layer):
        def call(self, features: Any) -> Any:
            return features["place"][:, None] / 10

    objective = RowObjective(TrainingSettings(), "mse", CLICKS, CLICKS, "liked", {}, [], Tenth())
    total, _ = objective.loss(Worth(), objective.train, True)
    np.testing.assert_allclose(total, (1 - 0.1 - 1) ** 2 + (-2 - 0) ** 2 + (3 + 0.1 - 1) ** 2, rtol=1e-5)


def test_every_embedding_table_pays_for_its_size_in_training() -> None:
    class TwoTables(Worth):
        def __init__(self) -> None:
            super().__init__()
            self.tables = [TokenEmbedding(2, 3), TokenEmbedding(1, 2)]
            for table in self.tables:
                table.build((None,))
                table.table.assign(keras.ops.full(table.table.shape, 2.0))

    inner = RowObjective(TrainingSettings(), "mse", CLICKS, CLICKS, "liked", {}, [])
    objective = WithEmbeddingPenalty(inner, l2=0.5)
    plain, weight = inner.loss(TwoTables(), objective.train, True)
    total, _ = objective.loss(TwoTables(), objective.train, True)
    np.testing.assert_allclose(float(total), float(plain) + 3 * 0.5 * (6 + 2) * 4, rtol=1e-6)
    assert float(objective.loss(TwoTables(), objective.eval, False)[0]) == float(plain)
    assert float(weight) == 3
