"""From a query to its list: candidates from the ladder, the best of them by a second model, unlike one another."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from serving.approximate_index import ApproximateIndex
from serving.attribute_filter import AttributeFilter
from serving.catalogue_ranking import best, in_order
from serving.cold_start import MODEL, ColdStartLadder
from serving.diversity import maximal_marginal_relevance
from serving.item_similarity import ItemSimilarity
from serving.queries import Queries
from settings.serving import ServingSettings

Lists = tuple[tf.Tensor, tf.Tensor]


class Stages(tf.Module):
    """Makes the lists of `recommend`.

    1. The ladder scores the catalogue; what was seen and what lacks an attribute is removed. Where there is an index,
       it finds the model's candidates instead, but for rows with an attribute filter and for those of which the probed
       lists hold too few: these are searched exactly.
    2. With a ranker, the `num_retrieved` best of the rows that the model answers are ordered by its scores.
    3. With `diversity`, they are taken by maximal marginal relevance of those scores.

    Args:
      settings: sizes and weights.
      ladder: scores of the catalogue.
      attributes: what a request may ask an item to have.
      similarity: of items, for `diversity`.
      num_items: size of the catalogue.
      index: of the items that the model retrieves; None: exact search.
      ranker: the second stage, `Scorer.of_items`; None: there is one stage.
    """

    def __init__(
        self,
        settings: ServingSettings,
        ladder: ColdStartLadder,
        attributes: AttributeFilter,
        similarity: ItemSimilarity,
        num_items: int,
        index: ApproximateIndex | None = None,
        ranker: Callable[[dict[str, tf.Tensor], tf.Tensor], tf.Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._diversity, self._num_retrieved = settings.diversity, settings.num_retrieved
        self._ladder = ladder
        self._attributes = attributes
        self._similarity = similarity
        self._num_items = num_items
        self._index = index
        self._ranker = ranker

    @property
    def candidates_a_row(self) -> int:
        """Candidates of a row that a later stage holds features or vectors of; 1 where there is none."""
        return self._num_retrieved if self._ranker or self._diversity else 1

    def lists(self, queries: Queries, wanted: tf.Tensor, k: tf.Tensor) -> Lists:
        """Return the k items of each query; shapes and what stands for no item are those of `catalogue_ranking.best`.

        Args:
          queries: who asks.
          wanted: string `(batch_size, num_wanted)`, attributes; empty ones are passed over.
          k: int32 scalar.
        """
        if not (self._ranker or self._diversity):
            return self._candidates(queries, wanted, k)
        items, scores = self._candidates(queries, wanted, tf.maximum(k, self._num_retrieved))
        by_model = (self._ladder.rung(queries) == MODEL)[:, tf.newaxis]
        items, scores = tf.cond(
            tf.reduce_any(by_model),
            lambda: self._ordered_anew(queries, by_model, items, scores, k),
            lambda: (items, scores),
        )
        return items[:, :k], scores[:, :k]

    def _ordered_anew(
        self, queries: Queries, by_model: tf.Tensor, items: tf.Tensor, scores: tf.Tensor, k: tf.Tensor
    ) -> Lists:
        if self._ranker:
            ranked = self._ranker(queries.features, tf.cast(tf.minimum(items, self._num_items - 1), tf.int64))
            ranked = tf.where((items < self._num_items) & tf.math.is_finite(ranked), ranked, float("-inf"))
            scores = tf.where(by_model, ranked, scores)
            items, scores = in_order(tf.where(tf.math.is_finite(scores), items, self._num_items), scores)
        if self._diversity:
            places = maximal_marginal_relevance(scores, self._similarity.unit(items), self._diversity, tf.maximum(k, 0))
            places = tf.where(by_model, places, tf.range(tf.maximum(k, 0))[tf.newaxis])
            items, scores = tf.gather(items, places, batch_dims=1), tf.gather(scores, places, batch_dims=1)
        return items, scores

    def _candidates(self, queries: Queries, wanted: tf.Tensor, k: tf.Tensor) -> Lists:
        if self._index is None:
            return self._exact(queries, wanted, k)
        by_index = (self._ladder.rung(queries) == MODEL) & ~tf.reduce_any(wanted != b"", axis=1)
        rows, others = tf.where(by_index)[:, 0], tf.where(~by_index)[:, 0]
        found, values = _if_any(rows, k, lambda: self._indexed(queries.at(rows), k))
        others = tf.concat([others, tf.boolean_mask(rows, ~tf.reduce_all(tf.math.is_finite(values), axis=1))], axis=0)
        exact, exact_values = _if_any(others, k, lambda: self._exact(queries.at(others), tf.gather(wanted, others), k))
        shape = [tf.size(by_index), tf.shape(found)[1]]
        items, scores = tf.zeros(shape, tf.int32), tf.zeros(shape)
        # A row found too short stands in both; the exact one is put last.
        for places, some, their in ((rows, found, values), (others, exact, exact_values)):
            items = tf.tensor_scatter_nd_update(items, places[:, tf.newaxis], some)
            scores = tf.tensor_scatter_nd_update(scores, places[:, tf.newaxis], their)
        return items, scores

    def _indexed(self, queries: Queries, k: tf.Tensor) -> Lists:
        assert self._index is not None
        return self._index.search(queries.vectors, queries.seen, k)

    def _exact(self, queries: Queries, wanted: tf.Tensor, k: tf.Tensor) -> Lists:
        return best(self._attributes.without_others(self._ladder.scores(queries), wanted), queries.seen, k)


def _if_any(rows: tf.Tensor, k: tf.Tensor, work: Callable[[], Lists]) -> Lists:
    """Return what `work` returns, or no rows without doing it."""
    width = tf.maximum(k, 0)
    return tf.cond(tf.size(rows) > 0, work, lambda: (tf.zeros([0, width], tf.int32), tf.zeros([0, width])))
