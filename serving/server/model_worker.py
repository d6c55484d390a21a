"""The process of one version: loads it, then answers one request after the other until the server is gone.

`serving.server.model_process` starts it as `python -m serving.server.model_worker FOLDER`. Frames come in at standard
input, `(signature, inputs)`, and go out where standard output was: first a `Loaded` or a `Refused`, then for each
request a dictionary of outputs, a `Refused` or a `Failed`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from serving import version_store
from serving.server import frames
from settings.errors import ShortlistError

# A third of the share that a process gets which answers requests: these come first, and still there is an end to it.
_NICENESS = 5
_OUTPUTS = frozenset({"item_ids", "scores", "rung"})
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """The version can be asked.

    Attributes:
      inputs: by signature and input, `tf.TensorSpec`s.
      optional: by signature, inputs that may be left out.
      catalogue_size: number of items; None where the model does not tell.
    """

    inputs: dict[str, dict[str, Any]]
    optional: dict[str, frozenset[str]]
    catalogue_size: int | None


@dataclass(frozen=True)
class Refused:
    """The version, or a request, is not as it should be; in words."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """A request could not be answered; the log says why."""


def main() -> None:
    """Load the version of the first argument and answer."""
    # Whoever stops the server stops the group; requests under way are answered first, then the pipe ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody else may write among the frames
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with contextlib.suppress(EOFError, BrokenPipeError):
        serve(Path(sys.argv[1]), sys.stdin.buffer, answers)


def serve(folder: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Load a version and answer until there are no more requests.

    Raises:
      EOFError: the requests have ended.
    """

    def tell(value: Any) -> None:
        answers.write(frames.packed(value))
        answers.flush()

    try:
        _aside(lambda: version_store.verify(version_store.Version(int(folder.name), folder)))
        # Only the graph is needed, and TensorFlow starts in half the time without Keras.
        sys.modules["keras"] = None  # type: ignore[assignment]
        tf = _aside(lambda: importlib.import_module("tensorflow"))
        tf.constant(0)  # starts TensorFlow's threads, which take their priority from the one that starts them
        model = _aside(lambda: _loaded(folder))
    except Exception as error:
        tell(Refused(str(error) if isinstance(error, ShortlistError) else f"does not load ({error})"))
        return
    tell(Loaded(model.inputs, {name: frozenset(given) for name, given in model.defaults.items()}, model.catalogue_size))
    while True:
        signature, inputs = frames.read(requests)
        try:
            tell(model.ask(signature, **inputs))
        except tf.errors.InvalidArgumentError as error:
            # The last line; those before it tell of the graph.
            found = str(error.message).strip().rpartition("\n")[2].partition(" [Op:")[0]
            tell(Refused(f"inputs: the model cannot read them ({found}). Expected serialized tf.Examples"))
        except Exception:
            _log.exception("%s: signature %s could not be answered", folder, signature)
            tell(Failed())


def _loaded(folder: Path) -> Any:
    """Return the version, loaded and asked once."""
    from serving.loaded_model import LoadedModel

    model = LoadedModel(folder)
    if "recommend" not in model.inputs:
        raise ShortlistError(f"{folder}: has no signature `recommend`. Found: {sorted(model.inputs)}")
    # The first call of a signature builds its plan: here, not at the first user's cost.
    missing = sorted(_OUTPUTS - model.ask("recommend", user_id=[""], k=1).keys())
    if missing:
        raise ShortlistError(
            f"{folder}: `recommend` does not answer with {', '.join(missing)}. Expected a version that this release of "
            "Shortlist pushed"
        )
    return model


def _aside(work: Callable[[], T]) -> T:
    """Return what `work` returns, done at a low priority: another version answers meanwhile."""

    def yield_to_others() -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)

    with ThreadPoolExecutor(1, initializer=yield_to_others) as thread:
        return thread.submit(work).result()


if __name__ == "__main__":
    # By its name: what is sent must be the same class on both sides.
    from serving.server import model_worker

    model_worker.main()
