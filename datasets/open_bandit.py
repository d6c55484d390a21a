"""The Open Bandit Dataset in its official files: https://arxiv.org/abs/2008.07146."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets import columns as c
from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.pages import POSITION
from datasets.quarantine import Quarantine, shown
from datasets.records import Column, Convert, as_seconds, number
from settings.data import OpenBanditSource
from settings.errors import DataError

PROPENSITY = "propensity_score"
AFFINITY = "user_item_affinity"
_CLICK = "click"
_NUMBER = "item_feature_0"
_AFFINITY_PREFIX = "user-item_affinity_"
_USER = [f"user_feature_{number}" for number in range(4)]
_REMEDY = "Expected the data set's own columns; transfer the file again"


def open_bandit_files(source: OpenBanditSource) -> tuple[Path, Path]:
    """Return the files of impressions and of items.

    Raises:
      DataError: one of them is not there.
    """
    folder = Path(source.path).expanduser() / source.policy / source.campaign
    names = [f"{source.campaign}.csv", f"{source.campaign}.csv.gz"]
    impressions = next((folder / name for name in names if (folder / name).is_file()), None)
    items = folder / "item_context.csv"
    if impressions is None or not items.is_file():
        raise DataError(
            f"{folder}: lacks {names[0]} (or .gz) or {items.name}. Check data.source.path, policy and campaign, or "
            "give --data-path"
        )
    return impressions, items


def read_open_bandit(source: OpenBanditSource, quarantine: Quarantine) -> Interactions:
    """Read one policy's impressions of one campaign.

    One event an impression, rating 1.0 where it was clicked. The data set names no users: those with the same four
    features count as one. Each event keeps `position` (1 to 3), `propensity_score` (the probability with which the
    policy showed this item in this slot), the four user features, and `user_item_affinity` of its own item.

    Raises:
      DataError: a file is missing, or too many rows are damaged; names the lines.
    """
    impressions, items = (read_delimited(path, quarantine=quarantine) for path in open_bandit_files(source))
    impressions.require([c.TIMESTAMP, c.ITEM_ID, POSITION, _CLICK, PROPENSITY, *_USER], _REMEDY)
    items.require([c.ITEM_ID, _NUMBER], _REMEDY)
    affinities = [name for name in impressions.table.column_names if name.startswith(_AFFINITY_PREFIX)]
    rows = impressions.typed(
        *(impressions.ids(name) for name in (c.ITEM_ID, *_USER)),
        _time(c.TIMESTAMP),
        number(POSITION, pa.int64()),
        _share(_CLICK, lambda part: pc.is_in(part, pa.array([0, 1], pa.float32())), "0 or 1"),
        _share(PROPENSITY, lambda part: pc.and_(pc.greater(part, 0), pc.less_equal(part, 1)), "a probability above 0"),
        *(number(name, pa.float32()) for name in affinities),
    ).table
    users = (pc.utf8_slice_codeunits(rows[name], 0, 8) for name in _USER)
    events = {
        c.USER_ID: pc.binary_join_element_wise(*users, "-"),
        c.ITEM_ID: rows[c.ITEM_ID],
        c.TIMESTAMP: rows[c.TIMESTAMP],
        c.RATING: rows[_CLICK],
        c.CHOSEN: pc.equal(rows[_CLICK], 1),
        c.REQUEST_ID: pc.cast(pa.array(np.arange(rows.num_rows)), pa.string()),
        AFFINITY: _own_affinity(rows, affinities),
        **{name: rows[name] for name in (POSITION, PROPENSITY, *_USER)},
    }
    known = items.typed(items.ids(c.ITEM_ID), number(_NUMBER, pa.float32())).table
    features = [name for name in known.column_names if name.startswith("item_feature_")]
    return Interactions(
        pa.table(events),
        None,
        known.select([c.ITEM_ID, *features]),
        f"Open Bandit Dataset, policy {source.policy}, campaign {source.campaign}, in {source.path}",
        state=(*_USER,),
    )


def _own_affinity(rows: pa.Table, names: list[str]) -> pa.ChunkedArray:
    """Return each row's affinity of the user to the row's own item; 0 where the file has none."""
    none = pa.chunked_array([pa.array(np.zeros(rows.num_rows, np.float32))])

    def with_item(result: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        return pc.if_else(pc.equal(rows[c.ITEM_ID], name.removeprefix(_AFFINITY_PREFIX)), rows[name], result)

    return reduce(with_item, names, none)


def _share(name: str, usable: Convert, expected: str) -> Column:
    """Return a column of numbers that must also be usable."""
    return Column(
        name, number(name, pa.float32()).convert, usable, lambda v: f"should be {expected}. Received: {shown(v)}"
    )


def _time(name: str) -> Column:
    """Return a column of int64 seconds since 1970, of `2019-11-24 00:00:34.762830+00:00`."""
    return Column(
        name,
        lambda part: as_seconds(pc.cast(part, pa.timestamp("us", "UTC"))),
        pc.is_valid,
        lambda value: f"should be a time with its zone. Received: {shown(value)}",
    )
