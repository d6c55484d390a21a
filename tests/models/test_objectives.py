from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.feature_space import CATALOGUE_INDEX
from models.objectives import LABEL, PositionObjective, RetrievalObjective, RowObjective
from models.training_data import Arrays, Catalogue, Rows

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


def objective(name: str, num_negatives: int = 2, counts: Any = (1, 1, 1, 1)) -> RetrievalObjective:
    return RetrievalObjective(name, num_negatives, ROWS, ROWS, CATALOGUE, np.array(counts), seed=3)


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


class Reader(SequenceModel):
    """Says at each position the point of the token that it reads."""

    def encode_positions(self, features: Any, training: bool = False) -> Any:
        points = np.concatenate([[[0, 0]], ITEMS[::-1]]).astype(np.float32)
        return keras.ops.take(points, features[self.history], axis=0)

    def encode_candidate(self, features: Any, training: bool = False) -> Any:
        return features["point"]


def test_every_position_learns_what_came_next_and_the_last_one_the_rows_item() -> None:
    # Tokens 4, 3, 2 are the items 0, 1, 2; token 1 is out of vocabulary, 0 is padding.
    histories = rows({"past": np.array([[0, 4, 1, 2]]), CATALOGUE_INDEX: np.array([1])})
    objective = PositionObjective(
        "past",
        "token",
        1,
        name="softmax",
        num_negatives=1,
        train=histories,
        evaluation=histories,
        catalogue=CATALOGUE,
        item_counts=np.ones(4),
        seed=0,
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
    objective = RowObjective("mse", some, some, "rating")
    assert [float(v) for v in objective.loss(Constant(), objective.train, True)] == [9 + 4 + 30, 2]
    assert [float(v) for v in objective.loss(Constant(), objective.train, False)] == [9 + 4, 2]
