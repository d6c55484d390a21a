"""Rows a second from ratings to a transform graph: ours and stock TFX's, on the same rows in the same run.

make bench-data DATA=data/ml-1m     # writes benchmarks/results/data_path.json

Every way is ExampleGen, StatisticsGen, SchemaGen and Transform on the LocalDagRunner with the same features, each in a
process of its own, imports left out. Stock's CsvExampleGen gets the rows already joined, without histories and counts,
and with its own hash split; its Transform also writes statistics and the transformed rows, as it does unless told not
to, while ours leaves those to Trainer and servable; and its StatisticsGen counts every text, ours by sketches. Ours
reads the release, joins it, splits it by time and computes counts and means. `ours` leaves out the lists of earlier
items, which stock's rows do not have; `ours_with_lists` writes them as a run does by default: 50 items a row, and in
eval and test all earlier ones, up to 5,000.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ml_metadata import MetadataStore
from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig

from benchmarks.measurement import record

ROOT = Path(__file__).resolve().parent.parent
FEATURES: list[dict[str, Any]] = [
    {"name": "user_id", "kind": "categorical", "tower": "query"},
    {"name": "gender", "kind": "categorical", "tower": "query"},
    {"name": "age", "kind": "numeric", "tower": "query"},
    {"name": "occupation", "kind": "categorical", "tower": "query"},
    {"name": "item_id", "kind": "categorical", "tower": "candidate"},
    {"name": "year", "kind": "numeric", "tower": "candidate", "impute": "median"},
]
ARGUMENTS = ["--runner=FnApiRunner"]
OURS = ("ours", "ours_with_lists")


def write_csv(release: Path, folder: Path) -> int:
    """Write the release's ratings, users and films as one joined CSV file; return the number of rows."""
    import pyarrow.csv as pa_csv

    from datasets import sources
    from settings.data import MovieLensSource

    data = sources.read(MovieLensSource(kind="movielens_1m", path=str(release)))
    assert data.users is not None
    assert data.items is not None
    items = data.items.drop_columns(["genres", "title"])
    joined = data.events.join(data.users, "user_id").join(items, "item_id")
    with (folder / "ratings.csv").open("wb") as file:
        # Stock's reader takes the quotes of a header for parts of the names.
        file.write(",".join(joined.column_names).encode() + b"\n")
        pa_csv.write_csv(joined, file, pa_csv.WriteOptions(include_header=False))
    return int(joined.num_rows)


def run_nodes(way: str, source: Path, root: Path) -> dict[str, Any]:
    """Run one way's nodes; return wall seconds, by node too, and peak memory."""
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline

    features = json.dumps(FEATURES)
    started = time.perf_counter()
    if way == "stock":
        from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen
        from tfx.components.schema_gen.component import SchemaGen as StockSchemaGen
        from tfx.components.statistics_gen.component import StatisticsGen as StockStatisticsGen
        from tfx.components.transform.component import Transform as StockTransform

        examples = CsvExampleGen(input_base=str(source))
        statistics = StockStatisticsGen(examples=examples.outputs["examples"])
        schema = StockSchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
        transform = StockTransform(
            examples=examples.outputs["examples"],
            schema=schema.outputs["schema"],
            preprocessing_fn="transforms.preprocessing.preprocessing_fn",
            custom_config={"features": features},
        )
    else:
        from components.example_gen import ExampleGen
        from components.schema_gen import SchemaGen
        from components.statistics_gen import StatisticsGen
        from components.transform import Transform
        from datasets.sources import fingerprint
        from settings.data import DataSettings, MovieLensSource

        lists = {} if way == "ours_with_lists" else {"history_length": 1, "seen_limit": 0}
        settings = DataSettings(source=MovieLensSource(kind="movielens_1m", path=str(source)), **lists)
        examples = ExampleGen(data=settings.model_dump_json(), fingerprint=fingerprint(settings))
        statistics = StatisticsGen(examples=examples.outputs["examples"])
        schema = SchemaGen(statistics=statistics.outputs["statistics"])
        transform = Transform(examples=examples.outputs["examples"], schema=schema.outputs["schema"], features=features)
    metadata = sqlite_metadata_connection_config(str(root / f"{way}.sqlite"))
    LocalDagRunner().run(
        Pipeline(
            pipeline_name=way,
            pipeline_root=str(root / way),
            components=[examples, statistics, schema, transform],
            metadata_connection_config=metadata,
            enable_cache=False,
            beam_pipeline_args=ARGUMENTS,
        )
    )
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": round(seconds, 1), "nodes": seconds_by_node(metadata), "peak_memory_gib": round(peak, 2)}


def seconds_by_node(metadata: ConnectionConfig) -> dict[str, float]:
    """Return how long each node ran."""
    store = MetadataStore(metadata)
    names = {kind.id: kind.name.rpartition(".")[2] for kind in store.get_execution_types()}
    return {
        names[run.type_id]: (run.last_update_time_since_epoch - run.create_time_since_epoch) / 1000
        for run in store.get_executions()
    }


def main() -> None:
    """Measure both ways and write the result; with --way, one of them, as JSON to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/ml-1m"), help="folder of the MovieLens 1M release")
    parser.add_argument("--way", choices=["stock", *OURS])
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    if arguments.way:
        result = run_nodes(arguments.way, arguments.data, arguments.root)
        (arguments.root / f"{arguments.way}.json").write_text(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "csv").mkdir()
        num_rows = write_csv(arguments.data, root / "csv")
        results: dict[str, Any] = {}
        for way in ("stock", *OURS):
            source = arguments.data if way in OURS else root / "csv"
            words = ["--way", way, "--data", str(source.resolve()), "--root", str(root)]
            subprocess.run([sys.executable, "-m", "benchmarks.data_path", *words], cwd=ROOT, check=True)
            measured = json.loads((root / f"{way}.json").read_text())
            results[way] = measured | {"rows_per_second": round(num_rows / measured["seconds"])}
    for way in OURS:
        results[way]["times_stock"] = round(results["stock"]["seconds"] / results[way]["seconds"], 2)
    record("data_path", {"num_rows": num_rows, **results})


if __name__ == "__main__":
    main()
