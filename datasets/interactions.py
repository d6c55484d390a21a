"""What every reader returns: events, and what is known of users and items."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Interactions:
    """A data set in memory.

    Attributes:
      events: one row an event, in file order: `user_id`, `item_id` (string), `timestamp` (int64, seconds), `rating`
        (float32). None of them is missing.
      users: one row a user: `user_id` and any columns; None where nothing is known.
      items: one row an item: `item_id` and any columns; None where nothing is known.
      source: where they came from, in words.

    Other columns of `users` and `items` are string, int64, float32, or lists of one of these; values may be missing. Of
    several rows with one id the first counts.
    """

    events: pa.Table
    users: pa.Table | None
    items: pa.Table | None
    source: str
