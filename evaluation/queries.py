"""TFMA extractors that turn rows into queries, slice by slice.

TFMA's own `query_key` puts all rows of a query into every slice that any of its rows touches: a query with ten relevant
items, one of them a comedy, would count with all ten in `genres=Comedy`. Here a query has, in each slice, the rows that
fall into the slice: for slices of the user or of the moment these are all rows; for slices of the item (genre, item
popularity) the relevant items are those of the slice, so that `recall@k` of `genres=Comedy` is the recall of comedies.

Each extract that leaves is one query on one or several slices that hold the same rows of it: labels and outputs are
arrays over rows. Grouping once, before TFMA's fan-out by slice, and reading no column that is not needed is what keeps
the Evaluator fast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.extractors.extractor import Extractor
from tensorflow_model_analysis.extractors.predictions_extractor import PredictionsExtractor
from tensorflow_model_analysis.extractors.slice_key_extractor import SLICE_KEY_EXTRACTOR_STAGE_NAME
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from datasets import columns
from evaluation import item_table
from evaluation.eval_config import TOP_ITEMS, features_of_metrics, recommended_items_of
from evaluation.intervals import group_of
from evaluation.metrics import row_values
from evaluation.slice_discovery import cells_of
from evaluation.slices import Bucket, slice_values
from settings.errors import DataError

# Extracts of ours, from the first stage to the last.
_QUERY, _ITEM, _SLICES, _HISTORY = "query", "item", "slices", "history"
_Path = tuple[str, ...]
_SliceKey = tuple[tuple[str, str], ...]


def by_request(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any = None
) -> list[Extractor]:
    """Return extractors for retrieval: the rows of one user at one time are a query.

    Several rows of one item in a query count once, relevant where any is.
    """
    del tensor_adapter_config
    return _extractors(eval_shared_model, eval_config, columns.QUERY_ID, distinct_items=True)


def by_user(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any = None
) -> list[Extractor]:
    """Return extractors for ranking and rating: all rows of one user are a query."""
    del tensor_adapter_config
    return _extractors(eval_shared_model, eval_config, columns.USER_ID, distinct_items=False)


def _extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, query_column: str, distinct_items: bool
) -> list[Extractor]:
    lists = _Lists.of(eval_config)
    read = _ReadRowsFn(
        query_column,
        _label_columns(eval_config),
        _families(eval_config),
        sorted(features_of_metrics(eval_config)),
        with_history=lists is not None,
    )
    return [
        Extractor("ReadRows", beam.ParDo(read)),
        PredictionsExtractor(eval_config=eval_config, eval_shared_model=eval_shared_model),
        # The name after which TFMA's evaluator starts.
        Extractor(SLICE_KEY_EXTRACTOR_STAGE_NAME, _GroupIntoQueries(distinct_items, lists)),
    ]


def _label_columns(eval_config: config_pb2.EvalConfig) -> dict[str, str]:
    """Return the label column by model name; under the empty name where there is only one model, as TFMA does."""
    specs = eval_config.model_specs
    return {spec.name if len(specs) > 1 else "": spec.label_key for spec in specs}


class _Cut(NamedTuple):
    """How the values of a column become slices: by bucket, or those kept and `other`; as they are where both are empty.

    A configuration names both kinds alike; names that all read as buckets are buckets.
    """

    buckets: tuple[Bucket, ...] = ()
    kept: frozenset[str] | None = None

    @classmethod
    def of(cls, names: Sequence[str]) -> _Cut:
        try:
            return cls(buckets=tuple(Bucket.parse(name) for name in names))
        except ValueError:
            return cls(kept=frozenset(names))


def _families(eval_config: config_pb2.EvalConfig) -> list[tuple[_Path, dict[str, _Cut]]]:
    """Return the columns of each family of slices, and how those columns are cut whose slices have names."""
    named: dict[_Path, dict[str, dict[str, None]]] = {}
    for spec in eval_config.slicing_specs:
        features = tuple(sorted([*spec.feature_keys, *spec.feature_values]))
        names = named.setdefault(features, defaultdict(dict))
        for feature, name in spec.feature_values.items():
            names[feature][name] = None
    return [
        (features, {feature: _Cut.of(list(found)) for feature, found in names.items()})
        for features, names in named.items()
    ]


class _ReadRowsFn(beam.DoFn):
    """From a RecordBatch to what the stages behind need: the serialized rows, labels, query, item and slices."""

    def __init__(
        self,
        query_column: str,
        label_columns: Mapping[str, str],
        families: Sequence[tuple[_Path, Mapping[str, _Cut]]],
        features: Sequence[str] = (),
        with_history: bool = False,
    ) -> None:
        self._query_column = query_column
        self._label_columns = dict(label_columns)
        self._families = list(families)
        self._features = list(features)
        self._with_history = with_history

    def process(self, extracts: types.Extracts) -> Iterator[types.Extracts]:
        """Yield the extracts of one batch."""
        batch = extracts[constants.ARROW_RECORD_BATCH_KEY]
        if not batch.num_rows:
            return
        labels = {model: _numbers(batch, name) for model, name in self._label_columns.items()}
        features = {name: _optional_numbers(batch, name) for name in self._features}
        features[row_values.GROUP] = np.array([group_of(user) for user in _tokens(batch, columns.USER_ID)], np.float64)
        yield {
            constants.INPUT_KEY: np.asarray(batch.column(constants.ARROW_INPUT_COLUMN).flatten()),
            constants.LABELS_KEY: labels.get("", labels),
            constants.FEATURES_KEY: features,
            _QUERY: _tokens(batch, self._query_column),
            _ITEM: _tokens(batch, columns.ITEM_ID),
            _SLICES: self._slices(batch),
            _HISTORY: cells_of(batch, columns.HISTORY) if self._with_history else None,
        }

    def _slices(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return the slice keys of each row, object `(num_rows,)` of tuples; the overall slice is the empty key."""
        names = {name for family, _ in self._families for name in family}
        values = {name: cells_of(batch, name) for name in names}
        keys: list[list[_SliceKey]] = [[] for _ in range(batch.num_rows)]
        for family, cuts in self._families:
            if not family:
                for row in keys:
                    row.append(())
                continue
            for row, cells in zip(keys, zip(*(values[name] for name in family), strict=True), strict=True):
                crossed: list[_SliceKey] = [()]
                for name, cell in zip(family, cells, strict=True):
                    found = slice_values(cell, *cuts.get(name, _Cut()))
                    crossed = [(*key, (name, value)) for key in crossed for value in found]
                row.extend(crossed)
        result = np.empty(batch.num_rows, dtype=object)
        for index, row in enumerate(keys):
            result[index] = tuple(row)
        return result


class _Part(NamedTuple):
    """Some rows of a query.

    Attributes:
      items: item of each row.
      slices: slice keys of each row.
      paths: what the columns of `values` are: extract key, then model and output where there are several.
      values: float64 `(num_rows, num_paths)`.
      lists: int32 `(num_models, length)`, each model's recommended items by their place in the item table; None where
        they are not looked at. All rows of a query have the same.
      history: int32 `(history_length,)`, likewise.
    """

    items: list[bytes]
    slices: list[tuple[_SliceKey, ...]]
    paths: tuple[_Path, ...]
    values: np.ndarray
    lists: np.ndarray | None = None
    history: np.ndarray | None = None


class _Lists(NamedTuple):
    """Which recommended items are looked at.

    Attributes:
      model_names: the candidate's first; one empty name where TFMA passes over the level of models.
      items_path: the item table.
      length: how many items of each list.
    """

    model_names: tuple[str, ...]
    items_path: str
    length: int

    @classmethod
    def of(cls, eval_config: config_pb2.EvalConfig) -> _Lists | None:
        arguments = recommended_items_of(eval_config)
        if arguments is None:
            return None
        names = [spec.name for spec in eval_config.model_specs]
        return cls(tuple(names) if len(names) > 1 else ("",), arguments["items_path"], max(arguments["top_k"]))

    def take(self, extracts: types.Extracts, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lists of all models and the history of a row."""
        table = item_table.load(self.items_path)
        predictions = extracts[constants.PREDICTIONS_KEY]
        by_model = [(predictions[name] if name else predictions)[TOP_ITEMS] for name in self.model_names]
        lists = table.find(np.array([np.asarray(items[row])[: self.length] for items in by_model], dtype=object))
        history = table.find(np.array(extracts[_HISTORY][row] or [], dtype=object))
        return lists, history


class _GroupIntoQueries(beam.PTransform):
    """From extracts of batches to extracts of queries."""

    def __init__(self, distinct_items: bool, lists: _Lists | None) -> None:
        super().__init__()
        self._distinct_items = distinct_items
        self._lists = lists

    def expand(self, extracts: beam.PCollection) -> beam.PCollection:
        """Group by query, then yield an extract for each distinct set of rows."""
        return (
            extracts
            | "SplitByQuery" >> beam.FlatMap(_split_by_query, self._lists)
            | "GroupByQuery" >> beam.GroupByKey()
            | "SliceQueries" >> beam.FlatMap(_slice_query, self._distinct_items)
        )


def _split_by_query(extracts: types.Extracts, lists: _Lists | None = None) -> Iterator[tuple[bytes, _Part]]:
    """Yield the rows of a batch by query."""
    kept = (constants.LABELS_KEY, constants.FEATURES_KEY, constants.PREDICTIONS_KEY)
    leaves = {path: array for key in kept for path, array in _leaves(extracts[key], (key,)) if path[-1] != TOP_ITEMS}
    values = np.stack([np.asarray(array, np.float64).reshape(-1) for array in leaves.values()], axis=1)
    rows: dict[bytes, list[int]] = defaultdict(list)
    for index, query in enumerate(extracts[_QUERY]):
        rows[query].append(index)
    items, slices = extracts[_ITEM], extracts[_SLICES]
    for query, indices in rows.items():
        taken = lists.take(extracts, indices[0]) if lists else ()
        part = _Part([items[i] for i in indices], [slices[i] for i in indices], tuple(leaves), values[indices], *taken)
        yield query, part


def _slice_query(query: tuple[bytes, Iterable[_Part]], distinct_items: bool) -> Iterator[types.Extracts]:
    """Yield an extract for each distinct set of rows that one or more slices have of a query."""
    parts = list(query[1])
    paths = parts[0].paths
    items = [item for part in parts for item in part.items]
    slices = [keys for part in parts for keys in part.slices]
    values = np.concatenate([part.values for part in parts])
    # A fixed order, so that sums do not depend on how the rows arrived.
    order = sorted(range(len(items)), key=lambda i: (items[i], values[i].tolist()))
    if distinct_items:
        order = _distinct(order, items, paths, values)
    members: dict[_SliceKey, list[int]] = defaultdict(list)
    for index in order:
        for key in slices[index]:
            members[key].append(index)
    sharing: dict[tuple[int, ...], list[_SliceKey]] = defaultdict(list)
    for key, indices in members.items():
        sharing[tuple(indices)].append(key)
    num_repeated = len(items) - len(set(items))
    for rows_of_slices, keys in sharing.items():
        extract = _nested(paths, values[list(rows_of_slices)])
        extract[constants.FEATURES_KEY][row_values.REPEATED] = num_repeated
        if parts[0].lists is not None:
            extract[constants.FEATURES_KEY] |= {
                row_values.LISTS: parts[0].lists,
                row_values.HISTORY: parts[0].history,
            }
        extract[constants.SLICE_KEY_TYPES_KEY] = slicer_lib.slice_keys_to_numpy_array(keys)
        yield extract


def _distinct(order: list[int], items: Sequence[bytes], paths: Sequence[_Path], values: np.ndarray) -> list[int]:
    """Return the rows with each item once: the one with the highest label."""
    label = next(i for i, path in enumerate(paths) if path[0] == constants.LABELS_KEY)
    best: dict[bytes, int] = {}
    for index in order:
        item = items[index]
        if item not in best or values[index, label] > values[best[item], label]:
            best[item] = index
    return list(best.values())


def _leaves(tree: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Yield path and array of each leaf of nested dicts."""
    if isinstance(tree, Mapping):
        for name in sorted(tree):
            yield from _leaves(tree[name], (*path, name))
    else:
        yield path, tree


def _nested(paths: Sequence[_Path], values: np.ndarray) -> types.Extracts:
    """Return nested dicts again, the inverse of `_leaves`."""
    result: types.Extracts = {}
    for column, (*parents, leaf) in enumerate(paths):
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = values[:, column]
    result.setdefault(constants.FEATURES_KEY, {})
    return result


def _numbers(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return a column with exactly one number a row, float64 `(num_rows,)`."""
    return _one_a_row(batch, name, lambda values: values.to_numpy(zero_copy_only=False).astype(np.float64))


def _optional_numbers(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return the first number of each row, float64 `(num_rows,)`; NaN where a row has none."""
    if name not in batch.schema.names:
        return np.full(batch.num_rows, np.nan)
    cells = batch.column(name).to_pylist()
    return np.array([cell[0] if cell else np.nan for cell in cells], np.float64)


def _tokens(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return a column with exactly one token a row, object `(num_rows,)` of bytes."""
    return _one_a_row(batch, name, lambda values: values.to_numpy(zero_copy_only=False))


def _one_a_row(batch: pa.RecordBatch, name: str, convert: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    if name not in batch.schema.names:
        raise DataError(
            f"test split: no row holds the column {name!r}, which evaluation needs. Columns: {batch.schema.names}"
        )
    if set(batch.column(name).value_lengths().to_pylist()) != {1}:
        raise DataError(
            f"test split, column {name!r}: some rows hold no value or several. Evaluation needs exactly one in each row"
        )
    return convert(batch.column(name).flatten())
