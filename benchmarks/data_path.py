"""Rows a second from ratings to a transform graph: ours and stock TFX's, on the same rows in the same run.

make bench-data DATA=data/ml-1m     # writes benchmarks/results/data_path.json

Both ways are ExampleGen, StatisticsGen, SchemaGen and Transform on the LocalDagRunner with the same features, each in a
process of its own, imports left out. Stock's CsvExampleGen gets the rows already joined, without histories and counts,
and with its own hash split; ours reads the release, splits it by time and computes them.
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


def run_nodes(way: str, source: Path, root: Path) -> dict[str, float]:
    """Run one way's nodes; return wall seconds and peak memory."""
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

        settings = DataSettings(source=MovieLensSource(kind="movielens_1m", path=str(source)))
        examples = ExampleGen(data=settings.model_dump_json(), fingerprint=fingerprint(settings))
        statistics = StatisticsGen(examples=examples.outputs["examples"])
        schema = SchemaGen(statistics=statistics.outputs["statistics"])
        transform = Transform(examples=examples.outputs["examples"], schema=schema.outputs["schema"], features=features)
    LocalDagRunner().run(
        Pipeline(
            pipeline_name=way,
            pipeline_root=str(root / way),
            components=[examples, statistics, schema, transform],
            metadata_connection_config=sqlite_metadata_connection_config(str(root / f"{way}.sqlite")),
            enable_cache=False,
            beam_pipeline_args=ARGUMENTS,
        )
    )
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": round(seconds, 1), "peak_memory_gib": round(peak, 2)}


def main() -> None:
    """Measure both ways and write the result; with --way, one of them, as JSON to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/ml-1m"), help="folder of the MovieLens 1M release")
    parser.add_argument("--way", choices=["ours", "stock"])
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
        for way, source in (("stock", root / "csv"), ("ours", arguments.data)):
            words = ["--way", way, "--data", str(source.resolve()), "--root", str(root)]
            subprocess.run([sys.executable, "-m", "benchmarks.data_path", *words], cwd=ROOT, check=True)
            measured = json.loads((root / f"{way}.json").read_text())
            results[way] = measured | {"rows_per_second": round(num_rows / measured["seconds"])}
    ratio = results["ours"]["rows_per_second"] / results["stock"]["rows_per_second"]
    record("data_path", {"num_rows": num_rows, **results, "times_stock": round(ratio, 2)})


if __name__ == "__main__":
    main()
