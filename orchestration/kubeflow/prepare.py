"""The first step of a run inside the cluster: configuration and overrides in, compiled pipeline out.

Compiled there and not on the engineer's machine, for two reasons. The fingerprint of the data goes into the cache key:
a pipeline compiled once and scheduled nightly would carry the first night's fingerprint for ever and train on nothing
new. And an override such as `model.name=sasrec` changes many nodes' settings, which only the configuration knows.
The shape of the graph is fixed when Kubernetes gets it, so a change of shape is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from orchestration.kubeflow import representation
from orchestration.kubeflow.ending import leave
from orchestration.kubeflow.graph import graph_of
from orchestration.kubeflow.run_folder import RunFolder
from orchestration.output_root import OutputRoot
from settings.config import Config, load
from settings.errors import ConfigError


def overridden(config: str, overrides: Sequence[str], model: str = "", data_path: str = "") -> Config:
    """Return the configuration of this run.

    Args:
      config: JSON, as `Config.to_json()` writes it.
      overrides: `key=value` strings.
      model: replaces `model.name`; empty: leave it.
      data_path: replaces `data.source.path`; empty: leave it.

    Raises:
      ConfigError: as `settings.config.load`.
    """
    if model:
        overrides = [*overrides, f"model.name={model}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.json")  # JSON is YAML
        path.write_text(config, encoding="utf-8")
        try:
            return load(path, overrides, data_path or None)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"{path}: ", "")) from None


def parse_overrides(text: str) -> list[str]:
    """Return the run parameter `overrides`, a JSON list of `key=value`.

    Raises:
      ConfigError: it is anything else.

    Example:
      >>> parse_overrides('["training.epochs=3"]')
      ['training.epochs=3']
    """
    try:
        overrides = json.loads(text)
    except ValueError:
        overrides = None
    if not isinstance(overrides, list) or not all(isinstance(entry, str) for entry in overrides):
        raise ConfigError(f'overrides should be a JSON list such as ["training.epochs=3"]. Received: {text}')
    return overrides


@click.command()
@click.option("--config", required=True, help="Configuration as JSON.")
@click.option("--overrides", default="[]", show_default=True, help="JSON list of key=value.")
@click.option("--model", default="", help="Replaces model.name.")
@click.option("--data-path", default="", help="Replaces data.source.path.")
@click.option("--enable-cache", type=bool, default=True, show_default=True, help="Reuse unchanged nodes' outputs.")
@click.option("--output-root", required=True, help="Folder of artifacts, run records and served versions.")
@click.option("--pipeline-root", help="Where artifacts go, if not to OUTPUT_ROOT/artifacts.")
@click.option("--run-id", required=True, help="The run.")
@click.option("--shape", required=True, help="Digest of the graph that Kubernetes was given.")
@click.option("--factory", default=representation.PIPELINE, show_default=True, help="Function that makes the pipeline.")
def main(
    config: str,
    overrides: str,
    model: str,
    data_path: str,
    enable_cache: bool,
    output_root: str,
    pipeline_root: str | None,
    run_id: str,
    shape: str,
    factory: str,
) -> None:
    """Compile the pipeline of one run."""
    try:
        settings = overridden(config, parse_overrides(overrides), model, data_path)
        ir = representation.compile_pipeline(settings, Path(output_root), enable_cache, pipeline_root, factory)
        if graph_of(ir).digest() != shape:
            raise ConfigError(
                f"with these parameters the pipeline has the nodes {', '.join(graph_of(ir).upstream)}, and not the "
                "shape that was submitted. Expected overrides that leave the shape alone; else compile and submit anew"
            )
        folder = RunFolder(Path(output_root, "runs", run_id))
        versions = OutputRoot(Path(output_root)).versions(settings.name)
        folder.write_run(settings, dict(graph_of(ir).upstream), versions)
        representation.write(ir, str(folder.pipeline))
    except Exception as error:
        leave("Prepare", error)
    print(f"shortlist: Prepare: {len(ir.nodes)} nodes written to {folder.pipeline}", flush=True)


if __name__ == "__main__":
    main()
