"""Lists whose items are good and unlike one another."""

from __future__ import annotations

import tensorflow as tf

# Below what any candidate can be worth, and below that.
_NO_CANDIDATE, _TAKEN = -4.0, -8.0


def maximal_marginal_relevance(scores: tf.Tensor, vectors: tf.Tensor, diversity: float, k: tf.Tensor) -> tf.Tensor:
    """Return the places of k candidates in the order in which maximal marginal relevance takes them.

        next = argmax_c (1 - diversity) relevance(c) - diversity max_{t taken} cos(c, t)

    `relevance` is the score, brought to 0 (the row's worst candidate) to 1 (its best), so that the weight means the
    same for every model. Carbonell and Goldstein 1998, https://doi.org/10.1145/290941.291025.

    Args:
      scores: float32 `(batch_size, num_candidates)`, minus infinity where there is no candidate; those come last.
      vectors: float32 `(batch_size, num_candidates, dim)`, of length 1 or 0.
      diversity: from 0, by score alone, to below 1.
      k: int32 scalar, at most `num_candidates`.

    Returns:
      int32 `(batch_size, k)`.

    Example:
      >>> scores, vectors = tf.constant([[3.0, 2.9, 1.0]]), tf.constant([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
      >>> maximal_marginal_relevance(scores, vectors, 0.6, tf.constant(3)).numpy().tolist()
      [[0, 2, 1]]
    """
    there = tf.math.is_finite(scores)
    lowest = tf.reduce_min(tf.where(there, scores, scores.dtype.max), axis=1, keepdims=True)
    highest = tf.reduce_max(tf.where(there, scores, scores.dtype.min), axis=1, keepdims=True)
    relevance = (1.0 - diversity) * tf.math.divide_no_nan(scores - lowest, highest - lowest)
    relevance = tf.where(there, relevance, _NO_CANDIDATE)
    num_rows, num_candidates = tf.shape(scores)[0], tf.shape(scores)[1]

    def take(step: tf.Tensor, taken: tf.TensorArray, left: tf.Tensor, likeness: tf.Tensor) -> list[object]:
        worth = tf.where(left, relevance - diversity * likeness, _TAKEN)
        place = tf.argmax(worth, axis=1, output_type=tf.int32)
        vector = tf.gather(vectors, place, batch_dims=1)
        cosines = tf.linalg.matvec(vectors, vector)
        likeness = tf.where(step > 0, tf.maximum(likeness, cosines), cosines)
        left = left & (tf.range(num_candidates)[tf.newaxis] != place[:, tf.newaxis])
        return [step + 1, taken.write(step, place), left, likeness]

    start = [
        tf.constant(0),
        tf.TensorArray(tf.int32, size=k, element_shape=[None]),
        tf.fill([num_rows, num_candidates], True),
        tf.zeros([num_rows, num_candidates]),
    ]
    _, taken, _, _ = tf.while_loop(lambda step, *_: step < k, take, start)
    return tf.ensure_shape(tf.transpose(taken.stack()), [None, None])
