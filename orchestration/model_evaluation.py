"""Evaluates an exported model outside of a run, by the Evaluator's own code."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from orchestration.log_capture import captured
from reporting.summary import GateRecord, MetricRecord, NodeRecord, Summary
from settings.config import Config
from settings.errors import NotBlessedError, RequestError

_FORMAT = "Format-Serving"


def evaluate_model(
    config: Config, model_dir: Path, data: Path | None, baseline_dir: Path | None, out: Path | None
) -> Summary:
    """Return what the Evaluator says of a model.

    Args:
      config: task, metrics, slices and gate; without `data` also the source that examples are made from.
      model_dir: a SavedModel, such as a pushed version.
      data: examples as ExampleGen writes them, with a `Split-test`.
      baseline_dir: a SavedModel to compare with; None: none.
      out: keeps `summary.json`, `page.html` and the Evaluator's files; None: nothing is kept.

    Raises:
      RequestError: a folder holds no model or no examples.
      ShortlistError: what the Evaluator raises.
    """
    for option, folder in (("--model-dir", model_dir), ("--baseline-dir", baseline_dir)):
        if folder is not None and not (folder / "saved_model.pb").is_file():
            raise RequestError(f"{option} {folder}: holds no saved_model.pb. Expected a SavedModel, as in serving/")
    if data is not None and not (data / "Split-test").is_dir():
        raise RequestError(f"--data {data}: holds no Split-test. Expected a folder of examples that ExampleGen wrote")
    started = datetime.datetime.now(datetime.UTC)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as temporary, captured(Path(os.devnull)):
        work = Path(temporary) if out is None else out
        work.mkdir(parents=True, exist_ok=True)
        blessing = _evaluate(config, model_dir, data, baseline_dir, work, Path(temporary))
        summary = Summary(
            run_id=started.strftime("%Y%m%d-%H%M%S"),
            name=config.name,
            runner="evaluate",
            started_at=started.isoformat(timespec="seconds"),
            seconds=round((datetime.datetime.now(datetime.UTC) - started).total_seconds(), 2),
            config=json.loads(config.to_json()),
            source=str(data) if data is not None else None,
            nodes=(NodeRecord(name="Evaluator", state="complete", outputs={"blessing": (str(blessing),)}),),
            metrics=tuple(MetricRecord.model_validate(row) for row in _read(blessing / "metrics.json")),
            gate=tuple(GateRecord.model_validate(row) for row in _read(blessing / "gate.json")),
            blessed=(blessing / "BLESSED").exists(),
            exit_code=0 if (blessing / "BLESSED").exists() else NotBlessedError.exit_code,
        )
        if out is not None:
            from reporting import summary as summaries
            from reporting.page import write_page

            summaries.write(summary, out / "summary.json")
            write_page(summary, out / "page.html")
    return summary


def _evaluate(
    config: Config, model_dir: Path, data: Path | None, baseline_dir: Path | None, work: Path, temporary: Path
) -> Path:
    """Run the Evaluator's executor on folders instead of a pipeline's artifacts; return the blessing's folder."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import artifact_utils, standard_artifacts

    from components import evaluator, example_gen
    from datasets import columns

    def artifact(kind: type, folder: Path) -> Any:
        found = kind()
        found.uri = str(folder)
        return found

    def model(name: str, folder: Path) -> Any:
        # As a Trainer lays a model out.
        (temporary / name).mkdir()
        (temporary / name / _FORMAT).symlink_to(folder.resolve(), target_is_directory=True)
        return artifact(standard_artifacts.Model, temporary / name)

    examples = artifact(standard_artifacts.Examples, data if data is not None else temporary / "examples")
    if data is None:
        properties = {"data": config.data.model_dump_json(), "fingerprint": ""}
        example_gen.Executor().Do({}, {"examples": [examples]}, properties)
    else:
        splits = [name for name in (columns.ITEMS_SPLIT, evaluator.SPLIT) if (data / f"Split-{name}").is_dir()]
        examples.split_names = artifact_utils.encode_split_names(splits)
    inputs = {
        "examples": [examples],
        "model": [model("model", model_dir)],
        "baseline_model": [model("baseline", baseline_dir)] if baseline_dir is not None else [],
    }
    outputs = {
        "evaluation": [artifact(standard_artifacts.ModelEvaluation, work / "evaluation")],
        "blessing": [artifact(standard_artifacts.ModelBlessing, work / "blessing")],
    }
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(config.beam.pipeline_args), tmp_dir=str(temporary / "tmp"), unique_id="evaluate"
    )
    evaluator.Executor(context).Do(inputs, outputs, {"config": config.to_json(), "code": ""})
    return work / "blessing"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
