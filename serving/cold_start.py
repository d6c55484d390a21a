"""The ladder of answers: the less is known of who asks, the plainer the rule that answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from serving.item_similarity import ItemSimilarity
from serving.queries import Queries
from settings.serving import ServingSettings

# In the order of their numbers.
RUNGS = ("popularity", "similar_items", "model")
_POPULARITY, _SIMILAR_ITEMS, MODEL = range(len(RUNGS))


class ColdStartLadder(tf.Module):
    """Scores the catalogue for each query by the highest rung that the query reaches.

    | rung            | from                              | score                                             |
    |-----------------|-----------------------------------|---------------------------------------------------|
    | `popularity`    | nothing                           | relevant train events, windowed, of one's segment |
    | `similar_items` | `min_events_for_similar_items`    | mean similarity to the newest events' items       |
    | `model`         | `min_events_for_model`            | the model's                                       |

    Args:
      settings: the thresholds.
      popularity: float32 `(num_segments, num_items)`; `settings.popularity_segment` names the field of the row, and
        without it there is one.
      similarity: of items.
      of_catalogue: the model's scores of every item, float32 `(batch_size, num_items)`.
    """

    def __init__(
        self,
        settings: ServingSettings,
        popularity: np.ndarray,
        similarity: ItemSimilarity,
        of_catalogue: Callable[[Queries], tf.Tensor],
    ) -> None:
        super().__init__()
        self._settings = settings
        self._popularity = tf.Variable(popularity, trainable=False, name="popularity")
        self._similarity = similarity
        self._of_catalogue = of_catalogue

    def rung(self, queries: Queries) -> tf.Tensor:
        """Return the position in `RUNGS` of the rung that answers each query, int32 `(batch_size,)`."""
        enough = queries.described & (queries.num_events >= self._settings.min_events_for_model)
        some = queries.num_events >= self._settings.min_events_for_similar_items
        return tf.where(enough, MODEL, tf.where(some, _SIMILAR_ITEMS, _POPULARITY))

    def scores(self, queries: Queries) -> tf.Tensor:
        """Return float32 `(batch_size, num_items)`."""
        rung = self.rung(queries)
        segment = self._settings.popularity_segment
        rows = queries.features[segment] if segment else tf.zeros_like(rung)
        # Nothing is computed that nobody is answered with, and nothing mixed where all are answered by one rung.
        one_above = tf.reduce_all(rung == rung[:1]) & tf.reduce_any(rung > _POPULARITY)
        scores = tf.cond(one_above, lambda: tf.zeros([tf.size(rung), 0]), lambda: tf.gather(self._popularity, rows))

        def put(where: int, others: Callable[[], tf.Tensor], scores: tf.Tensor) -> tf.Tensor:
            on_rung = rung == where

            def mixed() -> tf.Tensor:
                found = others()
                return tf.cond(one_above, lambda: found, lambda: tf.where(on_rung[:, tf.newaxis], found, scores))

            return tf.cond(tf.reduce_any(on_rung), mixed, lambda: scores)

        scores = put(_SIMILAR_ITEMS, lambda: self._similarity.of_catalogue(queries.recent), scores)
        return put(MODEL, lambda: self._of_catalogue(queries), scores)
