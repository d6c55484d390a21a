"""Which cluster: the configuration's own `kubernetes` section, or a file that several configurations share."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from settings.config import Config
from settings.errors import ConfigError
from settings.kubernetes import KubernetesSettings


def cluster_settings(config: Config, path: Path | None) -> KubernetesSettings:
    """Return the cluster's settings.

    Args:
      config: may hold them itself.
      path: a YAML file with the keys of the `kubernetes` section; wins over the configuration's own.

    Raises:
      ConfigError: neither is there, or the file is wrong.
    """
    if path is not None:
        return _read(path)
    own = config.kubernetes
    if own is None:
        raise ConfigError(
            f"configuration {config.name}: has no `kubernetes` section, so there is no image to run. Expected one, or "
            "--cluster FILE such as kubernetes/clusters/dev.yaml"
        )
    return own


def _read(path: Path) -> KubernetesSettings:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        return KubernetesSettings.model_validate(tree)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Expected cluster settings as YAML") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    except ValidationError as error:
        lines = [
            ": ".join(filter(None, [".".join(map(str, mistake["loc"])), mistake["msg"].removeprefix("Value error, ")]))
            for mistake in error.errors(include_url=False)
        ]
        raise ConfigError(f"{path}: " + "\n  ".join(lines)) from None
