"""What a run amounts to: the exit code, and the reason where there is no exception to give one."""

from __future__ import annotations

from pathlib import Path

from reporting.summary import ErrorRecord
from settings.errors import DataError, InfraValidationError, NotBlessedError, ShortlistError

EXIT_CODES = {
    0: "pushed (or unchanged and already pushed; or the asked part of the pipeline went through)",
    1: "anything else",
    DataError.exit_code: "bad configuration or input",
    3: "data anomalies",
    NotBlessedError.exit_code: "not blessed: the gate said no",
    InfraValidationError.exit_code: "infra validation failed: the exported model does not load or answer",
}


def verdict(
    *,
    error: BaseException | None,
    failed_node: str | None,
    blessed: bool | None,
    infra_blessed: bool | None,
    pusher_ran: bool,
    pushed_path: Path | None,
    infra_reason: str | None = None,
) -> tuple[int, ErrorRecord | None]:
    """Return the exit code of a run and what to tell of its error.

    Args:
      error: what ended the run early; a Shortlist error brings its own exit code.
      failed_node: the node that raised it.
      blessed: the gate's verdict; None: it did not come to one.
      infra_blessed: infra validation's verdict; None: it did not come to one.
      pusher_ran: the Pusher went through, or its earlier outputs were taken.
      pushed_path: where the Pusher says the candidate is served from.
      infra_reason: what infra validation found.

    Example:
      >>> verdict(error=None, failed_node=None, blessed=False, infra_blessed=True, pusher_ran=True, pushed_path=None)
      (4, None)
    """
    if error is not None:
        record = ErrorRecord(kind=type(error).__name__, message=_text(error), node=failed_node)
        return (error.exit_code if isinstance(error, ShortlistError) else 1), record
    if blessed is False:
        return NotBlessedError.exit_code, None
    if infra_blessed is False:
        found = infra_reason or "the exported model does not load or answer. See the log"
        return InfraValidationError.exit_code, ErrorRecord(
            kind=InfraValidationError.__name__, message=found, node="InfraValidator"
        )
    if pusher_ran and pushed_path is None:
        return 1, _pusher_error("the model passed, but the Pusher pushed nothing. See its lines in the log")
    if pusher_ran and pushed_path is not None and not (pushed_path / "saved_model.pb").is_file():
        return 1, _pusher_error(
            f"{pushed_path}: the unchanged model was pushed here by an earlier run, and is gone. "
            "Push it again with --from-node Pusher --no-cache"
        )
    return 0, None


def _pusher_error(message: str) -> ErrorRecord:
    return ErrorRecord(kind="ShortlistError", message=message, node="Pusher")


def _text(error: BaseException) -> str:
    if isinstance(error, ShortlistError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what the finished nodes made is kept, and the next run goes on from there"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
