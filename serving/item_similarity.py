"""How alike two items are, for models with item vectors and for those without."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.feature_space import CATALOGUE_INDEX
from models.training_data import Rows
from serving.graph_operations import gathered

_DIMENSIONS = 32


class ItemSimilarity(tf.Module):
    """Cosines between item vectors.

        similarity(a, b) = a·b / (|a| |b|),   0 where one of them is 0

    Args:
      vectors: float32 `(num_items, dim)`; kept, not copied.
    """

    def __init__(self, vectors: tf.Variable) -> None:
        super().__init__()
        self._vectors = vectors
        lengths = np.linalg.norm(vectors.numpy(), axis=1)
        inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=np.isfinite(lengths) & (lengths > 0))
        # One more, 0: the item that is not there is like nothing.
        self._inverse_lengths = tf.Variable(np.append(inverse, 0.0).astype(np.float32), trainable=False, name="inverse")

    def unit(self, items: tf.Tensor) -> tf.Tensor:
        """Return vectors of length 1, or 0 for items outside the catalogue, float32 `(..., dim)`."""
        inside = tf.minimum(items, tf.cast(tf.shape(self._vectors)[0] - 1, items.dtype))
        return gathered(self._vectors, inside) * gathered(self._inverse_lengths, items)[..., tf.newaxis]

    def of_catalogue(self, liked: tf.RaggedTensor) -> tf.Tensor:
        """Return each row's mean similarity of every item to the row's items, float32 `(batch_size, num_items)`.

        Args:
          liked: int64, ragged `(batch_size, None)`, catalogue positions.
        """
        units = liked.with_flat_values(self.unit(liked.flat_values))
        counts = tf.maximum(tf.cast(liked.row_lengths(), tf.float32), 1.0)
        query = tf.reduce_sum(units, axis=1) / counts[:, tf.newaxis]
        return tf.matmul(query, self._vectors, transpose_b=True) * self._inverse_lengths[:-1]

    def closest(self, items: tf.Tensor, liked: tf.RaggedTensor, none: int) -> tf.Tensor:
        """Return for each item the one of the row's liked items that it is most like, the newest of equals.

        Args:
          items: int32 `(batch_size, k)`, catalogue positions.
          liked: int64, ragged `(batch_size, None)`, the newest last.
          none: what is returned where the row has none or nothing is alike.

        Returns:
          int32 `(batch_size, k)`, catalogue positions.
        """
        newest_first = tf.cast(tf.reverse(liked.to_tensor(none), [1]), tf.int32)
        newest_first = tf.pad(newest_first, [[0, 0], [0, 1]], constant_values=none)
        cosines = tf.matmul(self.unit(items), self.unit(newest_first), transpose_b=True)  # (batch_size, k, length)
        # Barely alike is no reason to name.
        found = tf.gather(newest_first, tf.argmax(cosines, axis=2), batch_dims=1)
        alike = (tf.reduce_max(cosines, axis=2) > 0.0) & (items < none)
        return tf.where(alike, found, tf.fill(tf.shape(found), none))


def vectors_from_users(train: Rows, num_items: int, seed: int = 0) -> np.ndarray:
    """Return item vectors for a model that has none of its own: items chosen by the same users are alike.

    The truncated singular value decomposition of the 0/1 matrix of users and items, `X ≈ U S V'`; an item's vector is
    its row of `V S`. Items without an event have vectors of zeros.

    Returns:
      float32 `(num_items, dim)`, `dim` at most 32.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    items = train.features[CATALOGUE_INDEX]
    inside = (items < num_items) & (train.relevant > 0)
    users, items = np.unique(train.user_id[inside], return_inverse=True)[1], items[inside]
    shape = (int(users.max(initial=0)) + 1, num_items)
    chosen = csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=shape)
    chosen.data[:] = 1.0  # chosen twice counts once
    dim = min(_DIMENSIONS, min(shape) - 1)
    if dim < 1 or not len(items):
        return np.zeros((num_items, 1), np.float32)
    _, values, right = svds(chosen, k=dim, v0=np.ones(min(shape), np.float32), random_state=seed)
    return np.ascontiguousarray((right.T * values).astype(np.float32))
