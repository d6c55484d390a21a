from __future__ import annotations

import signal
import threading

import pytest

from datasets.beam_workers import WorkerDiedError, until_no_worker_dies


class Work:
    """Waits for a worker, as Beam does, that dies the first few times."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.done = 0

    def __call__(self) -> None:
        if not self.deaths:
            self.done += 1
            return
        self.deaths -= 1
        threading.Thread(target=_die).start()
        threading.Event().wait()


def _die() -> None:
    raise RuntimeError("Worker subprocess exited with return code 137")


def test_work_is_done_again_when_a_worker_dies(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(deaths=2)
    until_no_worker_dies(work)
    assert work.done == 1
    assert caplog.text.count("return code 137. 137 is often too little memory") == 2


def test_three_deaths_stop_it() -> None:
    hook, handler = threading.excepthook, signal.getsignal(signal.SIGUSR1)
    with pytest.raises(WorkerDiedError, match="exited with return code 137"):
        until_no_worker_dies(Work(deaths=3))
    assert (threading.excepthook, signal.getsignal(signal.SIGUSR1)) == (hook, handler)


def test_a_program_that_ignores_interrupts_hears_of_it() -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        until_no_worker_dies(Work(deaths=1))
    finally:
        signal.signal(signal.SIGINT, earlier)
