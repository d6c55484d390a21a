"""What is removed from a catalogue's scores and how the rest is ordered: one rule for evaluation and serving.

Scores are float32 `(num_rows, num_items)`, in catalogue order. Of equal scores the earlier item comes first.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from serving.graph_operations import row_ids

_REMOVED = float("-inf")
# Items whose highest score stands for them in a first pass; and how many more items than the second pass reads there
# must be for two passes to be worth it.
_ITEMS_A_BLOCK, _FEWER = 64, 8


def without_seen(scores: tf.Tensor, seen: tf.RaggedTensor) -> tf.Tensor:
    """Return the scores with minus infinity where an item was seen, and where a score is no finite number.

    Args:
      scores: float32 `(num_rows, num_items)`.
      seen: integer, ragged `(num_rows, None)`, catalogue positions; those outside the catalogue are passed over.

    Example:
      >>> without_seen(tf.constant([[3.0, float("nan"), 1.0]]), tf.ragged.constant([[0, 3]])).numpy().tolist()
      [[-inf, -inf, 1.0]]
    """
    finite = tf.math.is_finite(scores)
    # A pass over all scores is what time goes into: one that changes nothing is left out.
    finite = tf.cond(
        tf.reduce_all(finite), lambda: scores, lambda: tf.where(finite, scores, tf.fill(tf.shape(scores), _REMOVED))
    )
    places = tf.stack([row_ids(seen), tf.cast(seen.flat_values, tf.int64)], axis=1)
    places = tf.boolean_mask(places, places[:, 1] < tf.shape(scores, tf.int64)[1])
    return tf.tensor_scatter_nd_update(finite, places, tf.fill([tf.shape(places)[0]], _REMOVED))


def rank_of(item: tf.Tensor, scores: tf.Tensor, seen: tf.RaggedTensor) -> tf.Tensor:
    """Return the 1-based rank of one item a row, among the items not seen; the item itself is never removed.

    Args:
      item: int64 `(num_rows,)`, catalogue positions.
      scores: float32 `(num_rows, num_items)`.
      seen: as for `without_seen`.

    Returns:
      float32 `(num_rows,)`; `num_items + 1` where the item is not in the catalogue or a score of the row is not finite.

    Example:
      >>> scores = tf.constant([[1.0, 2.0, 2.0]] * 4)
      >>> seen = tf.ragged.constant([[], [1], [], [2]], dtype=tf.int64)
      >>> rank_of(tf.constant([2, 2, 3, 2], tf.int64), scores, seen).numpy().tolist()
      [2.0, 1.0, 4.0, 2.0]
    """
    num_items = tf.shape(scores, tf.int64)[1]
    inside = item < num_items
    own = tf.gather(scores, tf.minimum(item, num_items - 1), batch_dims=1)[:, tf.newaxis]
    others = without_seen(scores, seen)
    earlier = tf.range(num_items)[tf.newaxis] < item[:, tf.newaxis]
    ahead = tf.logical_or(others > own, tf.logical_and(others == own, earlier))
    rank = 1.0 + tf.reduce_sum(tf.cast(ahead, tf.float32), axis=1)
    valid = tf.logical_and(inside, all_finite(scores))
    return tf.where(valid, rank, tf.fill(tf.shape(rank), tf.cast(num_items + 1, tf.float32)))


def best(scores: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the k items of the highest scores among those not seen.

    Args:
      scores: float32 `(num_rows, num_items)`.
      seen: as for `without_seen`.
      k: int32 scalar; below 0 counts as 0.

    Returns:
      int32 positions and float32 scores, both `(num_rows, k)`. Where there are fewer than k items, what is left over
      has position `num_items` and score minus infinity.

    Example:
      >>> items, scores = best(tf.constant([[1.0, 2.0, 2.0]]), tf.ragged.constant([[0]]), tf.constant(4))
      >>> items.numpy().tolist(), scores.numpy().tolist()
      ([[1, 2, 3, 3]], [[2.0, 2.0, -inf, -inf]])
    """
    k = tf.maximum(k, 0)
    num_items = tf.shape(scores)[1]
    values, items = _top(without_seen(scores, seen), tf.minimum(k, num_items))
    items = tf.where(tf.math.is_finite(values), items, tf.fill(tf.shape(items), num_items))
    behind = [[0, 0], [0, k - tf.shape(items)[1]]]
    return tf.pad(items, behind, constant_values=num_items), tf.pad(values, behind, constant_values=_REMOVED)


def _top(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the k highest scores of each row and their positions; k is at most the number of items."""
    # Of equal elements top_k returns the one of the lower index first: the tie rule.
    return tf.cond(
        _FEWER * _ITEMS_A_BLOCK * k <= tf.shape(scores)[1],
        lambda: _top_of_blocks(scores, k),
        lambda: tuple(tf.math.top_k(scores, k)),
    )


def _top_of_blocks(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the same, from the k blocks of the highest maxima: any other block's items have k better ones there."""
    num_rows, num_items = tf.unstack(tf.shape(scores))
    num_blocks = (num_items + _ITEMS_A_BLOCK - 1) // _ITEMS_A_BLOCK
    behind = [[0, 0], [0, num_blocks * _ITEMS_A_BLOCK - num_items]]
    blocks = tf.pad(scores, behind, constant_values=_REMOVED)
    blocks = tf.reshape(blocks, [num_rows, num_blocks, _ITEMS_A_BLOCK])
    # In catalogue order again, so that it still decides ties.
    chosen = tf.sort(tf.math.top_k(tf.reduce_max(blocks, axis=2), k).indices, axis=1)
    left = tf.reshape(tf.gather(blocks, chosen, batch_dims=1), [num_rows, k * _ITEMS_A_BLOCK])
    values, places = tf.math.top_k(left, k)
    items = tf.gather(chosen, places // _ITEMS_A_BLOCK, batch_dims=1) * _ITEMS_A_BLOCK + places % _ITEMS_A_BLOCK
    return values, items


def best_of(
    items: tf.Tensor, scores: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor, num_items: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `best` does, of some items of the catalogue; of equal scores the earlier item of the k comes first.

    Args:
      items: int32 `(num_rows, num_candidates)`, catalogue positions, each once a row.
      scores: float32 `(num_rows, num_candidates)`.
      seen: as for `without_seen`.
      k: int32 scalar; below 0 counts as 0.
      num_items: size of the catalogue.

    Example:
      >>> items, scores = tf.constant([[7, 4, 2]]), tf.constant([[1.0, 2.0, 2.0]])
      >>> best_of(items, scores, tf.ragged.constant([[7]]), tf.constant(3), 9)[0].numpy().tolist()
      [[2, 4, 9]]
    """
    k = tf.maximum(k, 0)
    removed = tf.cast(seen.to_tensor(-1), tf.int32)
    scores = tf.where(tf.math.is_finite(scores), scores, tf.fill(tf.shape(scores), _REMOVED))
    # Of so many at least k are not seen, if there are k.
    values, places = tf.math.top_k(scores, tf.minimum(k + tf.shape(removed)[1], tf.shape(scores)[1]))
    items = tf.gather(items, places, batch_dims=1)
    was_seen = tf.reduce_any(items[:, :, tf.newaxis] == removed[:, tf.newaxis], axis=2)
    values = tf.where(was_seen, tf.fill(tf.shape(values), _REMOVED), values)
    items = tf.where(tf.math.is_finite(values), items, tf.fill(tf.shape(items), num_items))
    items, values = in_order(items, values)
    items, values = items[:, :k], values[:, :k]
    behind = [[0, 0], [0, k - tf.shape(items)[1]]]
    return tf.pad(items, behind, constant_values=num_items), tf.pad(values, behind, constant_values=_REMOVED)


def in_order(items: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return each row's items and scores, the highest score first; of equal scores the earlier item comes first.

    Example:
      >>> items, scores = in_order(tf.constant([[7, 4, 2]]), tf.constant([[3.0, 2.0, 2.0]]))
      >>> items.numpy().tolist()
      [[7, 2, 4]]
    """
    by_item = tf.argsort(items, axis=1, stable=True)
    items, scores = tf.gather(items, by_item, batch_dims=1), tf.gather(scores, by_item, batch_dims=1)
    by_score = tf.argsort(scores, axis=1, direction="DESCENDING", stable=True)
    return tf.gather(items, by_score, batch_dims=1), tf.gather(scores, by_score, batch_dims=1)


def all_finite(scores: tf.Tensor) -> tf.Tensor:
    """Return whether all scores of a row are finite, bool `(num_rows,)`."""
    return tf.reduce_all(tf.math.is_finite(scores), axis=1)


def spread(scores: tf.Tensor) -> tf.Tensor:
    """Return the highest minus the lowest score of each row, float32 `(num_rows,)`; 0 where one is not finite."""
    difference = tf.reduce_max(scores, axis=1) - tf.reduce_min(scores, axis=1)
    return tf.where(all_finite(scores), difference, tf.zeros_like(difference))


def in_blocks(
    work: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
    outputs: dict[str, tf.TensorSpec],
    num_rows: tf.Tensor,
    rows_a_block: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Return the outputs of `work` over all rows, never holding more than a block of its intermediates.

    Args:
      work: maps int32 scalars (first row, row after the last) to tensors with one element a row.
      outputs: what `work` returns; the first dimension is the rows'.
      num_rows: int32 scalar; may be 0.
      rows_a_block: int32 scalar, at least 1.

    Example:
      >>> row = {"row": tf.TensorSpec([None], tf.int32)}
      >>> rows = in_blocks(lambda start, end: {"row": tf.range(start, end)}, row, tf.constant(5), tf.constant(2))
      >>> rows["row"].numpy().tolist()
      [0, 1, 2, 3, 4]
    """
    # One block for no rows at all, too: there would be nothing to concatenate otherwise.
    num_blocks = tf.maximum((num_rows + rows_a_block - 1) // rows_a_block, 1)
    names = sorted(outputs)
    arrays = [
        tf.TensorArray(outputs[name].dtype, size=num_blocks, infer_shape=False, element_shape=outputs[name].shape)
        for name in names
    ]

    def body(block: tf.Tensor, *arrays: tf.TensorArray) -> list[object]:
        start = block * rows_a_block
        found = work(start, tf.minimum(start + rows_a_block, num_rows))
        return [block + 1, *(array.write(block, found[name]) for array, name in zip(arrays, names, strict=True))]

    _, *arrays = tf.while_loop(
        lambda block, *_: block < num_blocks, body, [tf.constant(0), *arrays], parallel_iterations=1
    )
    return {name: array.concat() for array, name in zip(arrays, names, strict=True)}
