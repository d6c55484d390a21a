"""What every reader returns: events, and what is known of users and items."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Interactions:
    """A data set in memory.

    Attributes:
      events: one row an event, in file order: `user_id`, `item_id` (string), `timestamp` (int64, seconds), `rating`
        (float32). None of them is missing. `chosen` (bool), where it is there, is False for what was shown and not
        chosen: such a row is an example, and enters nobody's history, seen items or counts. Any other column tells
        of the moment (the page, the position) and is handed on as it is.
      users: one row a user: `user_id` and any columns; None where nothing is known.
      items: one row an item: `item_id` and any columns; None where nothing is known.
      source: where they came from, in words.
      state: columns of `events` that tell how the user was at the moment; a user keeps those of the last event.
      counts: what the reader counted on its way, by name.

    Other columns of `events`, `users` and `items` are string, int64, float32, or lists of one of these; values may be
    missing. Of several users or items with one id the first counts.
    """

    events: pa.Table
    users: pa.Table | None
    items: pa.Table | None
    source: str
    state: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
