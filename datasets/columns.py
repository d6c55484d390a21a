"""The one home of raw column names: what ExampleGen writes and everything else reads."""

USER_ID = "user_id"
ITEM_ID = "item_id"
TIMESTAMP = "timestamp"
RATING = "rating"
RELEVANT = "relevant"
LIKED = "liked"
QUERY_ID = "query_id"
HISTORY = "history_item_ids"
SEEN = "seen_item_ids"
USER_EVENT_COUNT = "user_event_count"
USER_RATING_MEAN = "user_rating_mean"
ITEM_EVENT_COUNT = "item_event_count"
ITEM_RATING_MEAN = "item_rating_mean"
SECONDS_SINCE_LAST_EVENT = "seconds_since_last_event"
SEQUENCE_END = "is_sequence_end"
# Of events alone: read, and not written under this name.
CHOSEN = "chosen"
REQUEST_ID = "request_id"

EVENT_SPLITS = ("train", "eval", "test")
ITEMS_SPLIT = "items"
USERS_SPLIT = "users"
