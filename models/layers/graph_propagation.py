"""Light graph convolution over users and items."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops


def propagated(users: Any, items: Any, user: np.ndarray, item: np.ndarray, num_layers: int) -> tuple[Any, Any]:
    """Return the mean of the vectors of all layers.

        u^(k+1) = sum_(i in N_u) i^(k) / sqrt(|N_u| |N_i|),   i^(k+1) = sum_(u in N_i) u^(k) / sqrt(|N_u| |N_i|)
        output  = 1/(K+1) sum_(k=0..K) u^(k), the same for i

    Args:
      users: float32 `(num_users, embedding_dim)`, layer 0.
      items: float32 `(num_items, embedding_dim)`, layer 0.
      user: row in `users` of each edge; no edge twice.
      item: row in `items` of each edge.
      num_layers: K.

    Returns:
      users' and items' vectors, of the shapes of the inputs.

    Example:
      >>> import numpy as np
      >>> users, items = np.array([[1.0]], np.float32), np.array([[3.0], [5.0]], np.float32)
      >>> u, i = propagated(users, items, np.array([0]), np.array([1]), num_layers=1)
      >>> float(u[0, 0]), [float(x) for x in i[:, 0]]  # (1 + 5)/2;  3/2 and (5 + 1)/2
      (3.0, [1.5, 3.0])

    Reference:
      He et al.: LightGCN, 2020, https://arxiv.org/abs/2002.02126
    """
    num_users, num_items = users.shape[0], items.shape[0]
    degrees = np.bincount(user, minlength=num_users)[user] * np.bincount(item, minlength=num_items)[item]
    weight = ops.convert_to_tensor((1.0 / np.sqrt(degrees)).astype(np.float32)[:, None])
    user_of, item_of = ops.convert_to_tensor(user.astype(np.int32)), ops.convert_to_tensor(item.astype(np.int32))
    total_users, total_items = users, items
    for _ in range(num_layers):
        to_users = ops.segment_sum(ops.take(items, item_of, axis=0) * weight, user_of, num_users)
        to_items = ops.segment_sum(ops.take(users, user_of, axis=0) * weight, item_of, num_items)
        users, items = to_users, to_items
        total_users, total_items = total_users + users, total_items + items
    return total_users / (num_layers + 1), total_items / (num_layers + 1)
