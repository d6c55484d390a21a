"""The page, read back with an HTML parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reporting.feature_statistics import FeatureSummary, read_feature_statistics
from reporting.page import render_page, write_page
from reporting.summary import ErrorRecord, NodeRecord
from tests.reporting.sample import NDCG, UPSTREAM, sample

VOID = {"meta", "link", "br", "rect", "path", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Collects text, attributes and ids, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(" ".join(data.split()))


FEATURES = [FeatureSummary("age", "number", 0.25, "7 to 73, mean 33", (0.5, 1.0))]


def test_the_page_shows_every_part_of_the_run() -> None:
    page = Page(render_page(sample(), FEATURES))
    for text in (
        "Pushed version 3",
        *UPSTREAM,
        *NDCG,
        "80,000",
        "1997-09-20",
        "7 to 73, mean 33",
        "25.0%",
        "0.2131 beats popularity's 0.1502 by 41.9 %, 10 % were asked for",
    ):
        assert text in page.texts, text
    # 0.1502 / 0.2493, the largest value drawn.
    styles = [attributes.get("style") for _, attributes in page.attributes]
    assert "left:60.25%" in styles


def test_the_page_needs_no_network_and_no_script() -> None:
    html = render_page(sample(), FEATURES)
    page = Page(html)
    assert not [tag for tag, _ in page.attributes if tag in {"script", "iframe", "img"}]
    links = [v for _, a in page.attributes for k, v in a.items() if k in {"href", "src"} and v is not None]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "url(http" not in html
    assert "@import" not in html


def test_every_picture_has_words_and_every_anchor_a_target() -> None:
    page = Page(render_page(sample(), FEATURES))
    pictures = [a for tag, a in page.attributes if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 6  # the DAG and the differences by slice, each twice, loss, ndcg@10
    assert all(a["aria-label"] for a in pictures)
    ids = [a["id"] for _, a in page.attributes if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = {(a["href"] or "")[1:] for tag, a in page.attributes if tag == "a"}
    assert anchors <= set(ids)
    for _, attributes in page.attributes:
        assert (attributes.get("aria-labelledby") or "main") in ids


def test_text_from_the_data_is_never_markup() -> None:
    hostile = "<script>alert(1)</script>"
    run = sample(
        source=hostile,
        nodes=(NodeRecord(name=hostile, state="complete"),),
        error=ErrorRecord(kind="DataError", message=hostile),
        exit_code=2,
    )
    html = render_page(run, [FeatureSummary(hostile, "text", 0.0, hostile, ())])
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_a_run_that_failed_at_once_still_has_a_page(tmp_path: Path) -> None:
    run = sample(
        nodes=(), data={}, metrics=(), gate=(), training=None, source=None, blessed=None, infra_blessed=None,
        version=None, pushed_path=None, newly_pushed=False, exit_code=2,
        error=ErrorRecord(kind="DataError", message="ratings.csv: is empty"),
    )  # fmt: skip
    write_page(run, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text())
    assert "The run failed: ratings.csv: is empty" in page.texts
    assert "The run ended before the pipeline was built." in page.texts


def test_arrows_that_others_imply_are_left_out() -> None:
    html = render_page(sample(), [])
    # 18 edges, of which 10 remain, drawn for wide and for narrow screens.
    assert sum(map(len, UPSTREAM.values())) == 18
    assert len(re.findall('class="arrow"', html)) == 2 * 10


@pytest.fixture
def statistics(tmp_path: Path) -> Path:
    """Statistics as TFDV writes them, computed by hand from age = 10, 20, 60, missing and gender = F, M, M, M."""
    statistics_pb2 = pytest.importorskip("tensorflow_metadata.proto.v0.statistics_pb2")
    listed = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = listed.datasets.add(num_examples=4)
    age = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.INT)
    age.path.step.append("age")
    age.num_stats.common_stats.num_non_missing = 3
    age.num_stats.common_stats.num_missing = 1
    age.num_stats.mean, age.num_stats.median = 30.0, 20.0
    age.num_stats.min, age.num_stats.max = 10.0, 60.0
    histogram = age.num_stats.histograms.add()
    for low, high, count in ((10, 35, 2), (35, 60, 1)):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=count)
    gender = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
    gender.path.step.append("gender")
    gender.string_stats.common_stats.num_non_missing = 4
    gender.string_stats.unique = 2
    for rank, (value, count) in enumerate((("M", 3), ("F", 1))):
        gender.string_stats.top_values.add(value=value, frequency=count)
        gender.string_stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=count)
    folder = tmp_path / "Split-train"
    folder.mkdir()
    (folder / "FeatureStats.pb").write_bytes(listed.SerializeToString())
    return tmp_path


def test_feature_statistics_are_cut_down_to_a_line(statistics: Path) -> None:
    assert read_feature_statistics(str(statistics)) == [
        FeatureSummary("age", "number", 0.25, "10 to 60, mean 30, median 20", (1.0, 0.5)),
        FeatureSummary("gender", "text", 0.0, "2 distinct; most often M, F", (1.0, 1 / 3)),
    ]
    assert read_feature_statistics(str(statistics), "eval") == []
