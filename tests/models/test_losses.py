from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from models import losses
from models.losses import REMOVED


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_softmax() -> None:
    logits = np.log(np.array([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]], np.float32))
    # probabilities 5/8 and 1/4
    np.testing.assert_allclose(losses.softmax(logits, np.array([2, 0])), [math.log(8 / 5), math.log(4)], rtol=1e-6)


def test_softmax_has_the_gradient_of_the_frameworks_own() -> None:
    generator = np.random.default_rng(0)
    logits = tf.constant(generator.normal(0.0, 20.0, (5, 7)).astype(np.float32))
    logits = tf.tensor_scatter_nd_update(logits, [[0, 1], [3, 3]], [REMOVED, 300.0])
    labels, weights = tf.constant([0, 3, 6, 2, 2]), tf.constant([1.0, 2.0, 0.0, 0.5, 1.0])
    found = []
    for softmax in (losses.softmax, lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(y, x)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            values = softmax(logits, labels)
            total = tf.reduce_sum(weights * values)
        found.append((values, tape.gradient(total, logits)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_sampled_softmax_counts_the_positive_and_leaves_removed_negatives_out() -> None:
    negatives = np.array([[math.log(2), math.log(3)], [math.log(2), REMOVED]], np.float32)
    # positive e^0 = 1: 1 / (1 + 2 + 3) and 1 / (1 + 2)
    np.testing.assert_allclose(losses.sampled_softmax(array(0, 0), negatives), [math.log(6), math.log(3)], rtol=1e-6)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_bce_with_negatives() -> None:
    found = losses.bce(array(0.7), np.array([[0.2, -1.5]], np.float32))
    expected = -math.log(sigmoid(0.7)) - (math.log(1 - sigmoid(0.2)) + math.log(1 - sigmoid(-1.5))) / 2
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_bpr() -> None:
    found = losses.bpr(array(0.7), np.array([[0.2, -1.5]], np.float32))
    np.testing.assert_allclose(found, [-(math.log(sigmoid(0.5)) + math.log(sigmoid(2.2))) / 2], rtol=1e-6)


def test_gbce_is_bce_with_the_positive_to_a_power() -> None:
    found = losses.gbce(array(0.7), np.array([[0.2, -1.5]], np.float32), beta=0.3)
    positive, negatives = sigmoid(0.7) ** 0.3, math.log(1 - sigmoid(0.2)) + math.log(1 - sigmoid(-1.5))
    np.testing.assert_allclose(found, [-(math.log(positive) + negatives) / 3], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(losses.WITH_NEGATIVES))
def test_a_removed_negative_costs_nothing(name: str) -> None:
    only = losses.WITH_NEGATIVES[name](array(1.5), np.full((1, 1), REMOVED, np.float32))
    reference = math.log(1 + math.exp(-1.5)) if name == "bce" else 0.0
    np.testing.assert_allclose(only, [reference], atol=1e-6)


def test_log_loss_is_the_cross_entropy_and_finite_far_out() -> None:
    expected = [-math.log(sigmoid(2.0)), -math.log(1 - sigmoid(2.0))]
    np.testing.assert_allclose(losses.log_loss(array(2, 2), array(1, 0)), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.log_loss(array(500), array(0)), [500.0])


def test_squared_error() -> None:
    np.testing.assert_allclose(losses.squared_error(array(3.5), array(5.0)), [2.25])
