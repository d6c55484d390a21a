from __future__ import annotations

import threading

import pytest

from datasets.beam_workers import WorkerDiedError, dead_workers_raise, until_no_worker_dies


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
    hook = threading.excepthook
    with pytest.raises(WorkerDiedError, match="exited with return code 137"):
        until_no_worker_dies(Work(deaths=3))
    assert threading.excepthook is hook


def test_an_interrupt_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), dead_workers_raise():
        raise KeyboardInterrupt
