"""`serve`: a model server over the versions that were pushed."""

from __future__ import annotations

from pathlib import Path

import click

from orchestration.commands.options import output_root_option, served_config_option

_EPILOG = """\b
Examples:
  python pipeline.py serve
  python pipeline.py serve --model-dir output/serving/movielens_100k --port 8501 --grpc-port 8500
  curl localhost:8501/v1/models/movielens_100k:predict \\
    -d '{"signature_name": "recommend", "inputs": {"user_id": ["196"], "k": 5}}'

REST (predict, status, metadata) and gRPC are TF Serving's. A newer version is picked up within a second or two, after
its manifest was verified; / is a page to try it on, /healthz and /readyz tell how it is, /metrics is for Prometheus.
SIGTERM stops it after the requests under way. Exit code 1: no version that can be served, or a port is taken."""


@click.command(epilog=_EPILOG, short_help="Serve the newest pushed version over REST and gRPC.")
@click.option(
    "--model-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of the versions, serving/NAME of an output root, instead of the one found there.",
)
@output_root_option
@served_config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="Of REST; 0: a free one.")
@click.option(
    "--grpc-port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="Of gRPC; 0: a free one."
)
@click.option("--max-body-bytes", type=click.IntRange(1), default=1 << 20, show_default=True, help="Of a request.")
@click.option("--max-rows", type=click.IntRange(1), default=1024, show_default=True, help="Users or items a request.")
@click.option(
    "--log-requests", "log_folder", metavar="FOLDER", type=click.Path(path_type=Path),
    help="Write a sample of the requests here, users by keyed hash alone.",
)  # fmt: skip
@click.option("--log-share", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="Of the requests.")
def serve(
    model_dir: Path | None,
    output_root: Path,
    config_path: Path | None,
    host: str,
    port: int,
    grpc_port: int,
    max_body_bytes: int,
    max_rows: int,
    log_folder: Path | None,
    log_share: float,
) -> None:
    """Serve the newest pushed version over REST and gRPC, and every newer one from the moment it is pushed."""
    import asyncio
    import logging
    import os
    import sys

    from orchestration.commands.options import served_name
    from orchestration.recommendation import find_version

    root = model_dir if model_dir is not None else find_version(output_root, served_name(config_path)).parent
    if (root / "saved_model.pb").is_file():
        from settings.errors import RequestError

        raise RequestError(f"--model-dir {root}: is one version. Expected the folder of the versions, {root.parent}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Only the graph is needed, and TensorFlow starts in half the time without Keras.
    sys.modules["keras"] = None  # type: ignore[assignment]
    from serving.server.predictor import Limits
    from serving.server.process import Address, ServerOptions, serve

    def started(address: Address) -> None:
        click.echo(f"Version {address.version} of {root.name} is served at {address.rest} (gRPC {address.grpc})")

    options = ServerOptions(
        root=root,
        name=root.resolve().name,
        host=host,
        port=port,
        grpc_port=grpc_port,
        limits=Limits(max_body_bytes=max_body_bytes, max_rows=max_rows),
        log_folder=log_folder,
        log_share=log_share,
    )
    asyncio.run(serve(options, started))
