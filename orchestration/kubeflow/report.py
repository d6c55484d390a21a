"""The last step of a run: write its summary and page, hand them to Kubeflow, end with the run's exit code."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from orchestration.kubeflow.ending import leave
from orchestration.kubeflow.metadata_store import connection_config, wait_for_store
from orchestration.kubeflow.run_folder import RunFolder
from orchestration.metadata_reader import read_executions
from orchestration.run_record import build_summary
from reporting import summary as summaries
from reporting.summary import Summary


def write_record(folder: RunFolder, connection: Any) -> Summary:
    """Write summary.json and page.html of a run, also of one that failed half way, and return the summary.

    Args:
      folder: the run's folder.
      connection: ml-metadata's connection record.

    Raises:
      DataError: the run never started.
    """
    facts = folder.facts()
    summary = build_summary(facts, read_executions(connection, facts.run_id))
    summaries.write(summary, folder.path / "summary.json")
    try:
        from reporting.page import write_page

        write_page(summary, folder.page)
    except Exception:  # the record matters more than its looks
        logging.getLogger("shortlist").exception("the page could not be written")
    return summary


def hand_over(summary: Summary, page: Path, artifact: Path, executor_input: str) -> None:
    """Give Kubeflow the page and the overall metrics, so that its own screens show them.

    Args:
      summary: the run's record.
      page: the run page.
      artifact: where Kubeflow wants the page.
      executor_input: Kubeflow's JSON, which names the file for the metrics.
    """
    if page.exists():
        artifact.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, artifact)
    outputs = json.loads(executor_input)["outputs"]
    metrics = outputs["artifacts"]["metrics"]["artifacts"][0]
    values = {row.name: row.value for row in summary.metrics if row.slice == "overall" and row.value is not None}
    values |= {"blessed": float(bool(summary.blessed)), "exit_code": float(summary.exit_code)}
    record = {"artifacts": {"metrics": {"artifacts": [{**metrics, "metadata": values}]}}}
    file = Path(outputs["outputFile"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record), encoding="utf-8")


@click.command()
@click.option("--ir", required=True, help="Path of the compiled pipeline; the run's record goes beside it.")
@click.option("--run-id", required=True, help="The run.")
@click.option("--metadata", "url", required=True, help="Metadata store, without a password.")
@click.option("--password-file", help="File that holds the metadata store's password.")
@click.option("--patience", default=120.0, show_default=True, help="Seconds to wait for the metadata store.")
@click.option("--page", type=click.Path(path_type=Path), help="Where Kubeflow wants the run page.")
@click.option("--executor-input", help="Kubeflow's description of this step, as JSON.")
def main(
    ir: str,
    run_id: str,
    url: str,
    password_file: str | None,
    patience: float,
    page: Path | None,
    executor_input: str | None,
) -> None:
    """Tell how a run ended, and end with its exit code."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    folder = RunFolder(Path(ir).parent)
    try:
        connection = connection_config(url, password_file)
        wait_for_store(connection, patience)
        summary = write_record(folder, connection)
        if page is not None and executor_input is not None:
            hand_over(summary, folder.page, page, executor_input)
    except Exception as error:
        leave("Report", error)
    reason = f": {summary.error.message}" if summary.error else ""
    print(f"shortlist: run {run_id} ended with exit code {summary.exit_code}{reason}", flush=True)
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    main()
