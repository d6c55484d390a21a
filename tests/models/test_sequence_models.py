from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models.archetypes.retrieval import SequenceModel
from models.feature_space import FeatureSpace, Field
from models.fitting import build, fit
from models.registry import parse_params, registry
from settings.training import TrainingSettings
from tests.models.toy_data import loaded

LENGTH = 6
SPACE = FeatureSpace(
    (
        Field("user_id", "categorical", "query", "user_id", 5, 1, 1, "user_id"),
        Field("history", "sequence", "query", "item_id", 12, LENGTH, 1, "history_item_ids"),
        Field("item_id", "categorical", "candidate", "item_id", 12, 1, 1, "item_id"),
    ),
    "item_id",
    num_items=10,
)


@pytest.fixture(
    params=[name for name, params in registry().items() if params.__module__.startswith("models.sequential")]
)
def model(request: pytest.FixtureRequest) -> SequenceModel:
    generator = np.random.default_rng(0)
    made = build(parse_params({"name": request.param, "embedding_dim": 8}), SPACE)
    weights = made.get_weights()
    made.set_weights([generator.normal(0, 1.0, w.shape) if w.dtype.kind == "f" else w for w in weights])
    if not isinstance(made, SequenceModel):
        pytest.skip("does not read position by position")
    return made


def positions(model: SequenceModel, *history: int) -> np.ndarray:
    batch = {name: tf.constant(values) for name, values in SPACE.sample(1).items()}
    batch["history"] = tf.constant([history], tf.int64)
    return model.encode_positions(batch).numpy()[0]


def test_a_later_item_changes_no_earlier_position(model: SequenceModel) -> None:
    before = positions(model, 0, 2, 3, 4, 5, 6)
    after = positions(model, 0, 2, 3, 4, 9, 6)
    np.testing.assert_allclose(before[:4], after[:4], atol=1e-6)
    assert np.abs(before[4:] - after[4:]).min(axis=0).max() > 1e-3


def test_the_query_is_the_last_position(model: SequenceModel) -> None:
    batch = {name: tf.constant(values) for name, values in SPACE.sample(1).items()}
    batch["history"] = tf.constant([[0, 2, 3, 4, 5, 6]], tf.int64)
    np.testing.assert_allclose(model.encode_query(batch)[0], positions(model, 0, 2, 3, 4, 5, 6)[-1], atol=1e-6)


def test_padding_says_nothing(model: SequenceModel) -> None:
    before = positions(model, 0, 0, 0, 4, 5, 6)
    empty = positions(model, 0, 0, 0, 0, 0, 0)
    np.testing.assert_allclose(before[:3], empty[:3], atol=1e-6)
    for weight in model.weights:
        if weight.path.endswith("tokens/table"):
            table = np.array(weight.numpy())
            table[0] = 100.0
            weight.assign(table)
    np.testing.assert_allclose(positions(model, 0, 0, 0, 4, 5, 6), before, atol=1e-6)


def test_an_empty_history_has_a_finite_score(model: SequenceModel) -> None:
    assert np.isfinite(positions(model, 0, 0, 0, 0, 0, 0)).all()


def test_scaled_items_are_read_larger_and_scored_as_they_are() -> None:
    plain = build(parse_params({"name": "sasrec", "embedding_dim": 4, "num_heads": 1}), SPACE)
    scaled = build(parse_params({"name": "sasrec", "embedding_dim": 4, "num_heads": 1, "scaled_items": True}), SPACE)
    batch = {name: tf.constant(values) for name, values in SPACE.sample(3).items()}
    batch["history"] = tf.constant([[0, 2, 3, 4, 5, 6]] * 3, tf.int64)
    scaled.set_weights(plain.get_weights())
    np.testing.assert_array_equal(scaled.encode_candidate(batch), plain.encode_candidate(batch))
    assert np.abs(scaled.encode_query(batch) - plain.encode_query(batch)).max() > 1e-4
    plain.tokens.table.assign(2.0 * plain.tokens.table)  # sqrt(4)
    np.testing.assert_allclose(scaled.encode_query(batch), plain.encode_query(batch), atol=1e-6)


def test_the_newest_window_alone_is_learnt_from() -> None:
    toy = loaded()
    train = toy.data.train
    everywhere = np.ones(len(train), bool)
    last = {user: train.timestamp[train.user_id == user].max() for user in set(train.user_id)}
    newest = np.array([time == last[user] for user, time in zip(train.user_id, train.timestamp, strict=True)])

    def losses(sequence_end: np.ndarray, newest_window_only: bool) -> list[float]:
        settings = TrainingSettings(epochs=2, batch_size=8, newest_window_only=newest_window_only)
        data = replace(toy.data, train=replace(train, sequence_end=sequence_end))
        return [epoch["loss"] for epoch in fit(parse_params({"name": "sasrec"}), settings, toy.space, data)[1].epochs]

    assert losses(everywhere, newest_window_only=True) == losses(newest, newest_window_only=False)
    assert losses(everywhere, newest_window_only=True) != losses(everywhere, newest_window_only=False)
