"""The connection to the metadata store that all pods of all runs share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from settings.errors import DataError, ShortlistError
from settings.kubernetes import STORE_PORTS

LOG = logging.getLogger("shortlist.metadata")


class MetadataStoreError(ShortlistError):
    """The metadata store does not answer."""


def connection_config(url: str, password_file: str | None = None) -> Any:
    """Return ml-metadata's connection record for a URL of `settings.kubernetes.MetadataStore`.

    Args:
      url: without a password.
      password_file: a file that holds the password and perhaps a line end.

    Raises:
      DataError: the file is missing or empty.
    """
    from ml_metadata.proto import metadata_store_pb2 as proto

    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return proto.ConnectionConfig(
            sqlite=proto.SqliteMetadataSourceConfig(filename_uri=parts.path, connection_mode=mode)
        )
    host, port = parts.hostname or "", parts.port or STORE_PORTS[parts.scheme]
    if parts.scheme == "grpc":
        return proto.MetadataStoreClientConfig(host=host, port=port)
    user, database = unquote(parts.username or ""), parts.path.strip("/")
    password = _password(password_file) if password_file else ""
    if parts.scheme == "mysql":
        return proto.ConnectionConfig(
            mysql=proto.MySQLDatabaseConfig(host=host, port=port, database=database, user=user, password=password)
        )
    return proto.ConnectionConfig(
        postgresql=proto.PostgreSQLDatabaseConfig(
            host=host, port=str(port), dbname=database, user=user, password=password
        )
    )


def wait_for_store(config: Any, patience_seconds: float) -> None:
    """Return as soon as the store answers a question.

    Raises:
      MetadataStoreError: it has not answered for `patience_seconds`.
    """
    from ml_metadata.metadata_store.metadata_store import MetadataStore

    _insist(lambda: MetadataStore(config).get_context_types(), config, patience_seconds)


def _insist(ask: Callable[[], object], config: Any, patience_seconds: float) -> None:
    end = time.monotonic() + patience_seconds
    while True:
        try:
            ask()
            return
        except Exception as error:  # RuntimeError from a database, an error of its own from each gRPC status
            if time.monotonic() > end:
                raise MetadataStoreError(
                    f"{_place(config)}: the metadata store has not answered for {patience_seconds:.0f} s "
                    f"({_first_line(error)}). Expected a running database; see kubernetes.metadata"
                ) from error
            LOG.warning("%s: the metadata store does not answer, trying again", _place(config))
            time.sleep(min(2.0, patience_seconds / 10))


def metadata(config: Any, patience_seconds: float) -> Any:
    """Return a `tfx.orchestration.metadata.Metadata` that waits for a store that does not answer.

    TFX gives up after ten attempts, some five seconds: less than a database pod needs to move to another machine, and
    the result of an hour's training would be lost with it.

    Raises:
      MetadataStoreError: on entering, when the store has not answered for `patience_seconds`.
    """
    from tfx.orchestration.metadata import Metadata

    class PatientMetadata(Metadata):
        def __enter__(self) -> PatientMetadata:
            _insist(self._connect, config, patience_seconds)
            return self

        def _connect(self) -> None:
            super().__enter__()
            try:
                self.store.get_context_types()  # a gRPC channel connects with the first question
            except Exception:
                self.__exit__(None, None, None)
                raise

    return PatientMetadata(config)


def _password(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise DataError(
            f"{path}: the metadata store's password cannot be read ({error.strerror}). Expected the Secret that "
            "kubernetes.metadata.password_secret names, mounted with a key `password`"
        ) from None
    if not text:
        raise DataError(f"{path}: the metadata store's password is empty. Expected one line")
    return text


def _place(config: Any) -> str:
    """Return host and port, and nothing secret."""
    kind = config.WhichOneof("config") if hasattr(config, "mysql") else None
    if kind == "sqlite":
        return str(config.sqlite.filename_uri)
    server = getattr(config, kind) if kind else config
    return f"{server.host}:{server.port}"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
