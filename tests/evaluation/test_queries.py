from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_model_analysis.proto import config_pb2

from evaluation import queries
from settings.errors import DataError

ROW = {"query_id": [b"u@1"], "user_id": [b"u"], "item_id": [b"i"], "relevant": [1.0], "liked": [1.0]}


def _row(rank: float, item: str, query: str = "u@1", relevant: float = 1.0, **columns: Any) -> dict[str, Any]:
    own = {"item_id": [item.encode()], "query_id": [query.encode()], "relevant": [relevant]}
    return {**ROW, **own, "rank": rank, **columns}


def _slices(batches: Sequence[list[dict]], by=queries.by_request, **specs: Sequence[str]) -> dict[str, list]:
    """Run what stands before and behind the prediction, around one that echoes `rank`.

    Args:
      batches: rows of each RecordBatch.
      by: what a query is.
      specs: from column to its buckets; none: each value.

    Returns:
      The (label, rank) rows of each query, by slice.
    """
    slicing = [config_pb2.SlicingSpec()]
    for name, buckets in specs.items():
        cut = [config_pb2.SlicingSpec(feature_values={name: bucket}) for bucket in buckets]
        slicing += cut or [config_pb2.SlicingSpec(feature_keys=[name])]
    eval_config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(name="candidate", label_key="relevant")], slicing_specs=slicing
    )
    read, _, group = by(None, eval_config)
    parts = defaultdict(list)
    for rows in batches:
        for extracts in read.ptransform.fn.process({"arrow_record_batch": _record_batch(rows)}):
            extracts["predictions"] = {"rank": np.array([float(text) for text in extracts["input"]])}
            for query, part in queries._split_by_query(extracts):
                parts[query].append(part)
    found = defaultdict(list)
    for query in parts.items():
        for extract in queries._slice_query(query, group.ptransform._distinct_items):
            rows = sorted(zip(extract["labels"].tolist(), extract["predictions"]["rank"].tolist(), strict=True))
            for key in extract["_slice_key_types"]:
                found[",".join(f"{name}={value}" for name, value in key) or "overall"].append(rows)
    return {name: sorted(rows) for name, rows in found.items()}


def _record_batch(rows: list[dict]) -> pa.RecordBatch:
    names = sorted({name for row in rows for name in row} - {"rank"})
    arrays = [pa.array([row.get(name) for row in rows]) for name in names]
    raw = pa.array([[str(row["rank"]).encode()] for row in rows])
    return pa.RecordBatch.from_arrays([*arrays, raw], [*names, "__raw_record__"])


def test_rows_of_one_request_are_one_query_even_from_several_batches():
    batches = [[_row(3, "a"), _row(9, "b", "u@2")], [_row(5, "c")]]

    assert _slices(batches) == {"overall": [[(1, 3), (1, 5)], [(1, 9)]]}


@pytest.mark.parametrize("distinct_items", [True, False])
def test_rows_that_name_an_item_again_are_counted(distinct_items: bool):
    part = queries._Part([b"a", b"b"], [((),)] * 2, (("labels",),), np.ones((2, 1)))
    (extract,) = queries._slice_query((b"u@1", [part, part]), distinct_items)

    assert extract["features"]["num_repeated_items"] == 2
    assert len(extract["labels"]) == (2 if distinct_items else 4)


def test_all_rows_of_one_user_are_one_query():
    batches = [[_row(3, "a"), _row(9, "b", "u@2"), _row(4, "a", "u@2")]]

    assert _slices(batches, queries.by_user) == {"overall": [[(1, 3), (1, 4), (1, 9)]]}


def test_repeated_items_of_a_request_count_once_and_as_relevant_where_one_row_is():
    batches = [[_row(3, "a", relevant=0.0), _row(7, "b")], [_row(3, "a", relevant=1.0)]]

    assert _slices(batches) == {"overall": [[(1, 3), (1, 7)]]}


def test_slices_of_the_user_hold_all_rows_of_the_query():
    batches = [[_row(3, "a", gender=[b"F"]), _row(4, "b", gender=[b"F"]), _row(5, "c", "v@1", gender=[b"M"])]]
    slices = _slices(batches, gender=())

    assert slices["gender=F"] == [[(1, 3), (1, 4)]]
    assert slices["gender=M"] == [[(1, 5)]]
    assert slices["overall"] == [[(1, 3), (1, 4)], [(1, 5)]]


def test_slices_of_the_item_hold_only_its_rows():
    batches = [[_row(3, "a", genres=[b"Comedy"]), _row(4, "b", genres=[b"Comedy", b"Drama"]), _row(5, "c")]]

    assert _slices(batches, genres=()) == {
        "overall": [[(1, 3), (1, 4), (1, 5)]],
        "genres=Comedy": [[(1, 3), (1, 4)]],
        "genres=Drama": [[(1, 4)]],
        "genres=missing": [[(1, 5)]],
    }


def test_numbers_are_cut_row_by_row():
    batches = [[_row(3, "a", user_event_count=[9]), _row(4, "b", user_event_count=[10]), _row(5, "c")]]
    slices = _slices(batches, queries.by_user, user_event_count=("<10", ">=10"))

    assert slices["user_event_count=<10"] == [[(1, 3)]]
    assert slices["user_event_count=>=10"] == [[(1, 4)]]
    assert slices["user_event_count=missing"] == [[(1, 5)]]


def test_column_that_a_batch_lacks_is_missing_there():
    slices = _slices([[_row(3, "a", gender=[b"F"])], [_row(4, "b", "v@1")]], gender=())

    assert slices["gender=missing"] == [[(1, 4)]]


def test_column_that_every_row_needs_is_named_where_it_is_absent():
    with pytest.raises(DataError, match="no row holds the column 'query_id'"):
        _slices([[{name: value for name, value in _row(1, "a").items() if name != "query_id"}]])


@pytest.mark.parametrize("label", [[], [1.0, 0.0], None])
def test_row_without_exactly_one_label_is_refused(label):
    with pytest.raises(DataError, match="column 'relevant': some rows hold no value or several"):
        _slices([[_row(1, "a"), _row(2, "b") | {"relevant": label}]])
