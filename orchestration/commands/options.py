"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

DEFAULT_OUTPUT_ROOT = "output"

config_option = click.option(
    "--config",
    "config_path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration of the experiment (YAML); the ones that come with Shortlist are in configs/.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace one value of the configuration; KEY is dotted, VALUE is YAML. May be given several times. "
    "A new model.name drops the file's hyperparameters.",
)
data_path_option = click.option(
    "--data-path",
    metavar="PATH",
    help="Read the interactions from here instead of the configuration's data.source.path.",
)
output_root_option = click.option(
    "--output-root",
    default=DEFAULT_OUTPUT_ROOT,
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of metadata, artifacts, run records and served versions.",
)

served_config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the model of this configuration; needed only where the output root serves several.",
)
_model_dir_option = click.option(
    "--model-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Take this version instead of the newest pushed one.",
)


def served_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and --model-dir, of a command that asks a pushed model."""
    return served_config_option(_model_dir_option(command))


def served_model(output_root: Path, config_path: Path | None, model_dir: Path | None) -> Path:
    """Return the folder of the version that these options name.

    Raises:
      ConfigError: the configuration is wrong.
      RequestError: nothing was pushed yet, or it is not clear which model is meant.
    """
    if model_dir is not None:
        return model_dir
    from orchestration.recommendation import find_version

    return find_version(output_root, served_name(config_path))


def served_name(config_path: Path | None) -> str | None:
    """Return the name of the model that --config means; None where it is not given."""
    if config_path is None:
        return None
    from settings.config import load

    return load(config_path).name


def configuration_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config, --set and --data-path."""
    return config_option(set_option(data_path_option(command)))


def replay_options(config_path: Path, overrides: Sequence[str], data_path: str | None) -> str:
    """Return the options that reach the same configuration, to be pasted into a shell.

    Example:
      >>> replay_options(Path("a b.yaml"), ["training.epochs=3"], None)
      " --config 'a b.yaml' --set training.epochs=3"
    """
    words = ["--config", str(config_path)]
    for override in overrides:
        words += ["--set", override]
    if data_path is not None:
        words += ["--data-path", data_path]
    return " " + shlex.join(words)
