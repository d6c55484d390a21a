"""TFX's node launcher, observed: it tells who starts and ends how, and lets no failure pass in silence.

The stock runners go on after a node whose inputs could not be resolved: a failed baseline resolver would let the
Evaluator bless without a comparison. Here such a node raises. Both runners make their launchers by
`launcher.Launcher(...)`, so replacing that one name observes either, and the runners stay stock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.portable import launcher

from orchestration.events import Listener, NodeEvent
from orchestration.failure import find_printed_error
from settings.errors import ShortlistError

_Execution = metadata_store_pb2.Execution


@contextmanager
def observed(listener: Listener) -> Iterator[None]:
    """While open, every node launched in this process reports to `listener`, and raises if it ended as failed."""
    stock = launcher.Launcher

    class ObservedLauncher(stock):  # type: ignore[misc, valid-type]
        """Reports start and end of its node."""

        def launch(self) -> Any:
            name = self._pipeline_node.node_info.id
            started = time.monotonic()
            listener(NodeEvent(name, "running"))
            try:
                info = super().launch()
                execution = self._execution(info)
                if execution is not None and execution.last_known_state == _Execution.FAILED:
                    raise _swallowed(name, execution)
            except BaseException as error:
                listener(NodeEvent(name, "failed", time.monotonic() - started, error))
                raise
            cached = execution is not None and execution.last_known_state == _Execution.CACHED
            listener(NodeEvent(name, "cached" if cached else "complete", time.monotonic() - started))
            return info

        def _execution(self, info: Any) -> Any:
            if info is None or not info.execution_id:
                return None
            with self._mlmd_connection as metadata:
                return metadata.store.get_executions_by_id([info.execution_id])[0]

    launcher.Launcher = ObservedLauncher
    try:
        yield
    finally:
        launcher.Launcher = stock


def _swallowed(name: str, execution: Any) -> ShortlistError:
    """Return the error that TFX wrote into the metadata store instead of raising it."""
    text = execution.custom_properties["__execution_result__"].string_value
    found = find_printed_error(text.encode().decode("unicode_escape", "replace"))
    if found is not None:
        return found
    last_line = next((line for line in reversed(text.split("\\n")) if line.strip(' "}')), "no reason was recorded")
    return ShortlistError(f"{name}: could not resolve its inputs: {last_line.strip()}")
