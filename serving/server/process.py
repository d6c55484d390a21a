"""The server as a process: starts, says where it is, and stops without dropping a request."""

from __future__ import annotations

import asyncio
import importlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from aiohttp import web

from serving.server.metrics import ServerMetrics
from serving.server.model_watcher import ModelWatcher
from serving.server.predictor import Limits, Predictor
from serving.server.request_log import RequestLog
from settings.errors import ShortlistError

# Load balancers need as long to see that the server is not ready any more.
DRAIN_SECONDS = 0.5
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes:
      root: folder of the versions.
      name: the model's, in addresses.
      host: where to listen.
      port: of REST; 0: a free one.
      grpc_port: of gRPC; 0: a free one; None: no gRPC.
      limits: what a request may ask for.
      log_folder: where sampled requests are written; None: nowhere.
      log_share: of the requests that is written.
    """

    root: Path
    name: str
    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = 8500
    limits: Limits = field(default_factory=Limits)
    log_folder: Path | None = None
    log_share: float = 0.01


@dataclass(frozen=True)
class Address:
    """Where a started server listens, and which version it serves."""

    rest: str
    grpc: str | None
    version: int


async def serve(options: ServerOptions, started: Callable[[Address], None], stop: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; then answer what is under way and return.

    Args:
      options: how to serve.
      started: told where, once requests are answered.
      stop: ends the server when it is set; None: signals alone do.

    Raises:
      ShortlistError: there is no good version, or a port is taken.
    """
    metrics = ServerMetrics()
    watcher = ModelWatcher(options.root, metrics.version.set, lambda number, reason: metrics.refused.inc())
    starting = asyncio.create_task(watcher.start())
    # Both protocols need TensorFlow's types, whose import takes as long as that of the process with the version.
    await asyncio.to_thread(importlib.import_module, "serving.server.grpc_api")
    from serving.server.rest import READY, make_app

    await starting
    log = RequestLog(options.log_folder, options.log_share) if options.log_folder else None
    predictor = Predictor(options.name, watcher, options.limits, metrics, log)
    app = make_app(predictor)
    stopping = stop or asyncio.Event()
    if stop is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    grpc_server = None
    try:
        try:
            await site.start()
        except OSError as error:
            raise ShortlistError(
                f"--port {options.port}: cannot be listened on at {options.host} ({error.strerror or error}). "
                "Name a free one, or 0 for any"
            ) from None
        grpc_server, grpc_port = await _start_grpc(options, predictor) if options.grpc_port is not None else (None, 0)
        assert watcher.current is not None
        started(
            Address(
                rest=f"http://{options.host}:{runner.addresses[0][1]}",
                grpc=f"{options.host}:{grpc_port}" if grpc_server else None,
                version=watcher.current.number,
            )
        )
        await stopping.wait()
        app[READY][0] = False
        await asyncio.sleep(DRAIN_SECONDS)
    finally:
        if grpc_server is not None:
            await grpc_server.stop(STOP_SECONDS)
        await runner.cleanup()
        await predictor.close()
        await watcher.stop()


async def _start_grpc(options: ServerOptions, predictor: Predictor) -> tuple[grpc.aio.Server, int]:
    from serving.server.grpc_api import add_services

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", options.limits.max_body_bytes)])
    add_services(server, predictor)
    try:
        port = server.add_insecure_port(f"{options.host}:{options.grpc_port}")
    except RuntimeError:
        raise ShortlistError(
            f"--grpc-port {options.grpc_port}: cannot be listened on at {options.host}. Name a free one, or 0 for any"
        ) from None
    await server.start()
    return server, port
