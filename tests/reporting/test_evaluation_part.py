from __future__ import annotations

import pytest

from reporting.evaluation_part import depth_chart, evaluation_part, precisions_at, weakest_slices
from reporting.page import render_page
from reporting.summary import MetricRecord
from tests.reporting.sample import DETAILS, NDCG, sample
from tests.reporting.test_page import Page


def test_the_page_shows_differences_curves_and_examples_and_asks_for_nothing_else() -> None:
    html = render_page(sample(), [], DETAILS)
    page = Page(html)
    text = " ".join(page.texts)

    for words in ("Weakest slices", "Calibration", "Precision and recall", "Popularity of recommended items"):
        assert words in text
    for words in ("Blade Runner (1982)", "Brazil (1985)", "<b>Heat</b>", "against baseline", "against popularity"):
        assert words in text
    titles = [words for words in page.texts if words.startswith("gender=F, against")]
    assert titles == 2 * [  # once for wide screens, once for narrow ones
        "gender=F, against baseline: -0.0003, between -0.006806 and +0.006206",
        "gender=F, against popularity: +0.0616, between +0.05184 and +0.07136",
    ]
    sources = [value for _, found in page.attributes for key, value in found.items() if key in {"src", "href"}]
    assert not [source for source in sources if source and source.startswith("http")]


def test_weakest_slices_are_large_and_say_whether_noise_explains_them() -> None:
    run = sample(config={"gate": {"popularity_metric": "ndcg@10", "min_queries": 400}})
    rows = [row for name in NDCG if (row := run.metric("ndcg@10", name)) is not None]

    assert [(weak.row.slice, weak.reason) for weak in weakest_slices(run, rows)] == [
        ("gender=F", "lowest"),
        ("user_event_count=10-50", "lowest"),
        ("gender=M", "lowest"),
        ("gender=F", "-0.2 % against the baseline, which noise explains"),
    ]


def test_users_with_few_events_are_told_from_those_that_the_model_knows() -> None:
    slices = {"<1": (-0.01, 0.02), "1-10": (0.01, 0.03), ">=10": (0.02, 0.05)}
    rows = [
        MetricRecord(slice=f"user_event_count={name}", name="ndcg@10", value=0.2, popularity=0.1, lift_interval=ends)
        for name, ends in slices.items()
    ]
    overall = MetricRecord(slice="overall", name="ndcg@10", value=0.2)
    part = evaluation_part(sample(metrics=(overall, *rows), config={"serving": {"min_events_for_model": 3}}), {})

    assert part.cold_start == (
        "Cold start: for users the model is surely better than popularity with 1-10, >=10 earlier events; not surely "
        "with <1 earlier events. It answers from serving.min_events_for_model, 3, on."
    )


def test_what_was_measured_is_counted() -> None:
    counts = {"num_queries": 1500.0, "num_queries_without_relevant": 12, "num_short_queries": 3, "ndcg@10": 0.2}
    rows = tuple(MetricRecord(slice="overall", name=name, value=value) for name, value in counts.items())

    assert evaluation_part(sample(metrics=rows, config={"evaluation": {"top_k": [5, 20]}}), {}).counts == (
        "1,500 queries were measured; 12 more have no relevant item and are left out. 3 have fewer than 20 candidates; "
        "0 rows repeat an item of their query."
    )


def test_without_an_evaluation_there_is_nothing_to_show() -> None:
    part = evaluation_part(sample(metrics=()), {})

    assert (part.differences, part.weakest, part.charts) == (None, (), ())


def test_precision_by_recall_of_lists_by_hand() -> None:
    # Over 2 queries: lists of one item find .1 and .4 of what is relevant, with precisions .2 and .1.
    chart = depth_chart({"candidate": [[2.0, 2.0], [0.2, 0.8], [0.4, 0.2]]})

    titles = [words for words in Page(str(chart.svg)).texts if words.startswith("candidate, recall")]
    assert titles[0] == "candidate, recall 0.1: 0.2"
    assert titles[5] == "candidate, recall 0.2: 0.1667"
    assert titles[-1] == "candidate, recall 0.4: 0.1"


def test_precision_at_a_recall_by_hand() -> None:
    # From the highest bin: 1 of 1, then 1 of 3, then 3 of 5.
    table = [[2.0, 2.0, 1.0], [0.2, 1.0, 0.9], [2.0, 0.0, 1.0]]

    assert precisions_at(table, [1 / 3, 0.5, 1.0]) == pytest.approx([1, 3 / 5, 3 / 5])
