from __future__ import annotations

import numpy as np
import pytest

from datasets.split import EVAL, TEST, TRAIN, assign
from settings.data import GlobalTimeline, LeaveOneOut
from settings.errors import DataError


def test_the_timeline_keeps_every_second_together_and_the_splits_apart() -> None:
    time = np.random.default_rng(3).integers(0, 120, 1000)
    split = assign(np.zeros(1000, np.int64), time, GlobalTimeline(eval_share=0.1, test_share=0.2))
    assert time[split == TRAIN].max() < time[split == EVAL].min()
    assert time[split == EVAL].max() < time[split == TEST].min()
    assert (split == TEST).mean() == pytest.approx(0.2, abs=0.02)
    assert (split == EVAL).mean() == pytest.approx(0.1, abs=0.02)


def test_leave_one_out_breaks_ties_by_file_order_and_keeps_short_users_in_train() -> None:
    user = np.array([0, 1, 0, 0, 1, 0])
    time = np.array([5, 1, 9, 9, 2, 1])
    assert assign(user, time, LeaveOneOut()).tolist() == [TRAIN, TRAIN, EVAL, TEST, TRAIN, TRAIN]


@pytest.mark.parametrize("split", [GlobalTimeline(), LeaveOneOut()])
def test_an_empty_split_is_refused_with_the_counts(split: GlobalTimeline | LeaveOneOut) -> None:
    with pytest.raises(DataError, match=r"leaves the \w+ split empty \(2 events"):
        assign(np.array([0, 1]), np.array([4, 4]), split)
