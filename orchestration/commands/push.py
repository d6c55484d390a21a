"""`push`: a pushed version becomes a KServe revision with a share of the requests."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_config_option

_EPILOG = """\b
Examples:
  python pipeline.py push --canary 10 > canary.yaml
  python pipeline.py push --canary 100 | kubectl apply -n shortlist -f -

The version is copied to a folder of its own, revisions/NAME/VERSION of the output root, because all revisions over one
folder of versions would serve the newest; the manifest goes to standard output. It changes nothing in a cluster by
itself. --canary 100 promotes; applying the manifest of the earlier version again takes the canary back."""


@click.command(epilog=_EPILOG, short_help="Give a pushed version a share of a KServe service's requests.")
@output_root_option
@served_config_option
@click.option("--canary", type=int, required=True, metavar="PERCENT", help="Share of the requests, 1 to 100.")
@click.option("--version", type=int, help="Which pushed version; default: the newest.")
@click.option(
    "--storage",
    default="pvc://shortlist-runs",
    show_default=True,
    metavar="URI",
    help="Where the cluster finds the output root.",
)
def push(output_root: Path, config_path: Path | None, canary: int, version: int | None, storage: str) -> None:
    """Give a pushed version a share of a KServe service's requests: prints the manifest."""
    import yaml

    from orchestration.canary import inference_service, revision
    from orchestration.commands.options import served_name
    from orchestration.recommendation import find_version
    from settings.errors import RequestError

    version_dir = find_version(output_root, served_name(config_path))
    if version is not None:
        version_dir = version_dir.parent / str(version)
        if not version_dir.is_dir():
            raise RequestError(f"--version {version}: is not in {version_dir.parent}. Expected one of its versions")
    service = inference_service(version_dir, storage, canary)
    copied = revision(version_dir, output_root)
    click.echo(yaml.safe_dump(service, sort_keys=False), nl=False)
    click.echo(f"Version {version_dir.name} is at {copied.path.parent}; nothing was applied", err=True)
