"""What a model could know that it will not know when it serves: looked for in every run, before anything is trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from datasets import columns as c
from datasets.timeline import Timeline

Floats = NDArray[np.float64]
# A column that alone orders the labels like this is taken for one that was made of them.
SUSPICIOUS_AUC = 0.99
_MIN_ROWS = 50
# Rows of train that columns are judged by: enough to tell 0.99, and no second pass over the data.
_SAMPLED_ROWS = 20_000
# A token must have been seen this often to tell of a label.
_MIN_ROWS_A_TOKEN = 5
_LABELS = (c.RATING, c.RELEVANT, c.LIKED)


class SuspiciousColumn(BaseModel):
    """A column that predicts a label too well to be innocent."""

    column: str
    label: str
    auc: float


class LeakageReport(BaseModel):
    """What was found.

    Attributes:
      pairs_across_splits: rows of eval and test whose user and item also meet in train: fair where interactions repeat
        (watching again), a leak where each is to happen once.
      rows_across_splits: rows of eval and test that are a row of train: same user, item and time.
      in_order: whether every train event is earlier than every eval event, and that than every test event.
      target_derived: columns that alone order the labels of train almost perfectly.
    """

    pairs_across_splits: int
    rows_across_splits: int
    in_order: bool
    target_derived: list[SuspiciousColumn]


def leakage_report(timeline: Timeline) -> LeakageReport:
    """Look for leaks in the rows that are to be written."""
    summary = timeline.summary()
    train, evaluation, test = (summary[name] for name in c.EVENT_SPLITS)
    in_order = (
        train["last_timestamp"] < evaluation["first_timestamp"]
        and evaluation["last_timestamp"] < test["first_timestamp"]
    )
    later = timeline.split > 0
    pairs, rows = (
        int((later & np.isin(keys, keys[~later])).sum())
        for keys in (
            _keys(timeline.users[1], timeline.items[1]),
            _keys(timeline.users[1], timeline.items[1], timeline.time),
        )
    )
    return LeakageReport(
        pairs_across_splits=pairs,
        rows_across_splits=rows,
        in_order=in_order,
        target_derived=target_derived(timeline.sample(c.EVENT_SPLITS[0], _SAMPLED_ROWS)),
    )


def target_derived(rows: pa.RecordBatch) -> list[SuspiciousColumn]:
    """Return the columns of rows with which alone one could order the labels: `auc` 0.99 and more.

    Numbers count by their size, either way round; tokens by the mean label of the other rows that hold them. Columns
    with several values a row, ids and the labels themselves are passed over.
    """
    found = []
    labels = {name: _first(rows[name]).to_numpy(zero_copy_only=False).astype(np.float64) for name in _LABELS}
    for name in rows.schema.names:
        if name in {*_LABELS, c.USER_ID, c.ITEM_ID, c.QUERY_ID, c.REQUEST_ID, c.HISTORY, c.SEEN}:
            continue
        if (pc.max(pc.list_value_length(rows[name])).as_py() or 0) > 1:
            continue
        values = _first(rows[name])
        for label, target in labels.items():
            auc = _auc_of(values, target > np.median(target) if label == c.RATING else target > 0.5)
            if auc >= SUSPICIOUS_AUC:
                found.append(SuspiciousColumn(column=name, label=label, auc=round(auc, 6)))
                break
    return found


def _auc_of(values: pa.Array, positive: NDArray[np.bool_]) -> float:
    """Return how well a column orders the rows that have it: 0.5 is not at all."""
    present = np.asarray(values.is_valid())
    positive = positive[present]
    if present.sum() < _MIN_ROWS or positive.all() or not positive.any():
        return 0.5
    values = values.filter(pa.array(present))
    if pa.types.is_binary(values.type) or pa.types.is_string(values.type):
        return _auc(_mean_label_of_others(values, positive), positive)
    auc = _auc(values.to_numpy(zero_copy_only=False).astype(np.float64), positive)
    return max(auc, 1 - auc)


def _mean_label_of_others(tokens: pa.Array, positive: NDArray[np.bool_]) -> Floats:
    """Return for each row the mean label of the other rows with its token; of rare tokens the overall mean."""
    codes = tokens.dictionary_encode().indices.to_numpy()
    count, total = np.bincount(codes)[codes], np.bincount(codes, weights=positive)[codes]
    others = np.where(count > 1, (total - positive) / np.maximum(count - 1, 1), 0.0)
    return np.where(count >= _MIN_ROWS_A_TOKEN, others, positive.mean())


def _auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Return the share of pairs of a positive and a negative row that the scores order rightly; ties count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    num_positive = positive.sum()
    num_negative = len(positive) - num_positive
    return float((rank[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def _first(lists: pa.Array) -> pa.Array:
    """Return lists of at most one value as values, an absent one as missing."""
    return pc.list_element(pc.if_else(pc.equal(pc.list_value_length(lists), 0), None, lists), 0)


def _keys(*parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one comparable value a row."""
    keys = parts[0]
    for part in parts[1:]:
        # Numbered anew each time, so that the product stays small.
        keys = pd.factorize(keys * (part.max() - part.min() + 1) + part - part.min())[0]
    return keys
