"""Time of the Evaluator on MovieLens 1M, whether it grows in proportion to the queries, and what plain NumPy takes.

make bench-evaluator DATA=~/ml-1m     # writes benchmarks/results/evaluator.json

Each of the 6,040 users' last event is a query over the full catalogue without what the user had seen. Candidate and
baseline are factor models with random weights, exported as SavedModels that rank with the code of every servable
(`serving/catalogue_ranking.py`): what is measured is the evaluation, not the model. All metrics, five families of
slices, intervals, paired differences and the gate are on. The plain evaluation computes the same scores, ranks, lists
and metrics on the same slices with NumPy, without intervals; TFMA's fixed cost is the Evaluator on 60 queries.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from benchmarks.measurement import record
from components.evaluator import Executor
from datasets import columns, sources
from datasets.timeline import Timeline
from evaluation import item_table
from evaluation.metric_table import metric_names
from evaluation.metrics.catalogue_ranking import ranking_values, rating_values
from evaluation.metrics.exposure import exposure_values
from evaluation.metrics.gains import rating_gains
from evaluation.metrics.recommended_items import list_values
from evaluation.slice_discovery import cells_of
from evaluation.slices import Bucket, bucket_names, slice_values
from serving.catalogue_ranking import all_finite, best, in_blocks, rank_of, spread
from settings.config import Config
from settings.evaluation import LIST_LENGTH

DIMENSIONS = 32
# The least of so many times, taken in turn, so that another process on the machine does not pass for growth.
REPEATS = 3
ROWS_A_BLOCK = 1024
TOP_K = [5, 10, 20]
RATING_THRESHOLDS = {"normal": 3.5, "strict": 4.5}
SLICES: list[dict[str, Any]] = [
    {"feature": "user_event_count", "boundaries": [1, 10, 50]},
    {"feature": "item_event_count", "boundaries": [10, 100]},
    {"feature": "gender"},
    {"feature": "age", "boundaries": [25, 35, 50]},
    {"feature": "genres"},
]


class FactorModel(tf.Module):
    """Scores an item by the product of a user's and the item's factors, and ranks as every servable does."""

    def __init__(self, item_ids: list[bytes], counts: np.ndarray, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self._num_items = len(item_ids)
        keys = tf.lookup.KeyValueTensorInitializer(item_ids, tf.range(len(item_ids), dtype=tf.int64))
        self._places = tf.lookup.StaticHashTable(keys, self._num_items)
        self._item_ids = tf.constant([*item_ids, b""])
        self._counts = tf.constant(counts, tf.float32)
        self._items = tf.Variable(rng.normal(size=(DIMENSIONS, len(item_ids))).astype(np.float32))
        self._users = tf.Variable(rng.normal(size=(4096, DIMENSIONS)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs of the `evaluate` signature of a retrieval model."""
        ids = dict.fromkeys((columns.USER_ID, columns.ITEM_ID), tf.io.FixedLenFeature([], tf.string))
        raw = tf.io.parse_example(
            examples, ids | {columns.SEEN: tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)}
        )
        users = tf.gather(self._users, tf.strings.to_hash_bucket_fast(raw[columns.USER_ID], 4096))
        item = self._places.lookup(raw[columns.ITEM_ID])
        seen = raw[columns.SEEN].with_flat_values(self._places.lookup(raw[columns.SEEN].flat_values))

        def work(start: tf.Tensor, end: tf.Tensor) -> dict[str, tf.Tensor]:
            scores = users[start:end] @ self._items + tf.math.log1p(self._counts)
            popularity = tf.tile(self._counts[tf.newaxis], [end - start, 1])
            return {
                "rank": rank_of(item[start:end], scores, seen[start:end]),
                "popularity_rank": rank_of(item[start:end], popularity, seen[start:end]),
                "finite": tf.cast(all_finite(scores), tf.float32),
                "spread": spread(scores),
                "top_items": best(scores, seen[start:end], tf.constant(LIST_LENGTH))[0],
            }

        row = tf.TensorSpec([None], tf.float32)
        outputs = dict.fromkeys(("rank", "popularity_rank", "finite", "spread"), row)
        outputs["top_items"] = tf.TensorSpec([None, LIST_LENGTH], tf.int32)
        found = in_blocks(work, outputs, tf.shape(examples)[0], tf.constant(ROWS_A_BLOCK))
        return found | {"top_items": tf.gather(self._item_ids, found["top_items"])}


def write(folder: Path, split: str, batch: pa.RecordBatch) -> str:
    """Write rows as ExampleGen does; return the file."""
    path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for example in RecordBatchToExamplesEncoder().encode(batch):
            writer.write(example)
    return str(path)


def evaluator_seconds(folder: Path, config: Config) -> float:
    """Return the wall seconds of the Evaluator on the examples and models of a folder."""

    def artifact(kind: type, name: str, **fields: str) -> Any:
        found = kind()
        found.uri = str(folder / name)
        for field, value in fields.items():
            setattr(found, field, value)
        return found

    with tempfile.TemporaryDirectory(dir=folder) as out:
        context = BaseBeamExecutor.Context(
            beam_pipeline_args=list(config.beam.pipeline_args), tmp_dir=f"{out}/tmp", unique_id="1"
        )
        inputs = {
            "examples": [artifact(standard_artifacts.Examples, "examples", split_names='["test", "items"]')],
            "model": [artifact(standard_artifacts.Model, "../candidate")],
            "baseline_model": [artifact(standard_artifacts.Model, "../baseline")],
        }
        name = Path(out).name
        outputs = {
            "evaluation": [artifact(standard_artifacts.ModelEvaluation, f"{name}/evaluation")],
            "blessing": [artifact(standard_artifacts.ModelBlessing, f"{name}/blessing")],
        }
        started = time.perf_counter()
        Executor(context).Do(inputs, outputs, {"config": config.to_json(), "code": ""})
        return time.perf_counter() - started


def numpy_seconds(batch: pa.RecordBatch, models: list[FactorModel], table: item_table.ItemTable) -> float:
    """Return the wall seconds of the same scores, ranks, lists and metrics on the same slices, query by query."""
    started = time.perf_counter()
    users = [cell[0] for cell in cells_of(batch, columns.USER_ID) if cell]
    rows = tf.strings.to_hash_bucket_fast(users, 4096).numpy()
    factors = [(model._users.numpy()[rows], model._items.numpy()) for model in models]
    items = table.find(np.array([cell[0] for cell in cells_of(batch, columns.ITEM_ID) if cell], dtype=object))
    ratings = [np.array(cell, np.float64) for cell in cells_of(batch, columns.RATING)]
    seen = [table.find(np.array(cell or [], dtype=object)) for cell in cells_of(batch, columns.SEEN)]
    history = [table.find(np.array(cell or [], dtype=object)) for cell in cells_of(batch, columns.HISTORY)]
    families = [
        (cells_of(batch, slices["feature"]), [Bucket.parse(name) for name in bucket_names(slices["boundaries"])])
        if "boundaries" in slices
        else (cells_of(batch, slices["feature"]), [])
        for slices in SLICES
    ]
    popularity = table.counts[:-1].astype(np.float32)
    log_counts = np.log1p(popularity)
    places = np.arange(len(table))
    sums: dict[str, list[np.ndarray]] = {}
    lists: dict[str, list[np.ndarray]] = {}
    for query, item in enumerate(items):
        scores = np.stack([u[query] @ i + log_counts for u, i in factors] + [popularity])
        own = scores[:, [item]]
        scores[:, seen[query]] = -np.inf
        ranks = 1.0 + ((scores > own) | ((scores == own) & (places < item))).sum(axis=1)
        ranks = ranks[[0, 2, 1, 2], None]
        values = ranking_values(ranks, ranks[[1, 1, 3, 3]], TOP_K).reshape(-1)
        gained = rating_gains(ratings[query], list(RATING_THRESHOLDS.values()))
        by_rating = rating_values(ranks, gained, TOP_K).reshape(-1)
        best_items = np.argsort(-scores[:2], axis=1, kind="stable")[:, : max(TOP_K)]
        of_lists = [list_values(row, history[query], best_items[1], table, TOP_K).reshape(-1) for row in best_items]
        values = np.concatenate([values, by_rating, *of_lists])
        names = ["overall"]
        for number, (cells, buckets) in enumerate(families):
            names += [f"{number}={name}" for name in slice_values(cells[query], buckets)]
        for name in names:
            sums.setdefault(name, []).append(values)
            lists.setdefault(name, []).append(best_items)
    for name, found in sums.items():
        stacked = np.stack(found)
        np.nansum(stacked, axis=0) / np.maximum((~np.isnan(stacked)).sum(axis=0), 1)
        shown = np.stack(lists[name])
        for model in range(2):
            for k in TOP_K:
                exposure_values(np.bincount(shown[:, model, :k].reshape(-1), minlength=len(table)))
    return time.perf_counter() - started


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-path", help="a copy of MovieLens 1M; empty: obtained as `run` does")
    parser.add_argument("--queries", type=int, help="at most so many; empty: all")
    options = parser.parse_args()
    source = {"kind": "movielens_1m", **({"path": options.data_path} if options.data_path else {})}
    config = Config.model_validate(
        {
            "name": "evaluator",
            "data": {"source": source, "split": {"kind": "leave_one_out"}},
            "features": [
                {"name": "item_id", "kind": "categorical", "tower": "candidate"},
                {
                    "name": "history",
                    "kind": "sequence",
                    "tower": "query",
                    "column": columns.HISTORY,
                    "vocabulary": "item_id",
                },
            ],
            "model": {"name": "two_tower"},
            "evaluation": {"top_k": TOP_K, "slices": SLICES, "rating_thresholds": RATING_THRESHOLDS},
            "gate": {
                "popularity_metric": "ndcg@10",
                "regressions": [{"metric": "ndcg@10", "max_relative_loss_per_slice": 0.1}],
            },
        }
    )
    timeline = Timeline(sources.read(config.data.source), config.data)
    rows = pa.Table.from_batches(list(timeline.blocks("test"))).combine_chunks()
    rows = rows.slice(0, options.queries).to_batches()[0]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        seconds: dict[int, float] = {}
        table, models = None, []
        sizes = (60, rows.num_rows // 2, rows.num_rows)
        for num_queries in sizes:
            part = root / str(num_queries)
            write(part / "examples", "test", rows.slice(0, num_queries))
            items = write(part / "examples", "items", timeline.item_rows())
            if table is None:
                table = item_table.read([items], config.evaluation.category_column)
                models = [FactorModel(table.item_ids.tolist(), table.counts[:-1], seed) for seed in (0, 1)]
                for name, model in zip(("candidate", "baseline"), models, strict=True):
                    signatures = {"evaluate": model.evaluate}
                    tf.saved_model.save(model, str(root / name / "Format-Serving"), signatures=signatures)
                evaluator_seconds(part, config)  # imports and caches, once
        for _ in range(REPEATS):
            for num_queries in sizes:
                took = evaluator_seconds(root / str(num_queries), config)
                seconds[num_queries] = min(took, seconds.get(num_queries, took))
        assert table is not None
        plain = min(numpy_seconds(rows, models, table) for _ in range(REPEATS))
    fixed, half, full = seconds.values()
    record(
        "evaluator",
        {
            "queries": rows.num_rows,
            "items": len(table),
            "metrics": len(metric_names("retrieval", config.evaluation)),
            "slice_families": len(SLICES),
            "seconds": round(full, 1),
            "seconds_for_half_the_queries": round(half, 1),
            "seconds_a_query_of_the_second_half": round((full - half) / (rows.num_rows - rows.num_rows // 2), 5),
            "seconds_a_query_of_the_first_half": round((half - fixed) / (rows.num_rows // 2 - 60), 5),
            "fixed_seconds": round(fixed, 1),
            "plain_numpy_seconds": round(plain, 1),
            "ratio_to_numpy_and_fixed": round(full / (plain + fixed), 2),
        },
    )


if __name__ == "__main__":
    main()
