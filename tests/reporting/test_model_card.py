from __future__ import annotations

from pathlib import Path

from reporting.model_card import write_card
from tests.reporting.sample import sample
from tests.reporting.test_page import Page


def test_the_card_tells_data_metrics_with_intervals_limits_and_parent(tmp_path: Path) -> None:
    write_card(sample(), tmp_path)
    markdown = (tmp_path / "model_card.md").read_text()

    for words in (
        "# movielens_100k, version 3",
        "- sasrec: embedding_dim 64",
        "- parent: none, the first blessed model",
        "| train | 80,000 | 751 | 1,616 | 1997-09-20 | 1998-02-23 |",
        "| ndcg@10 | 0.2131 [0.2028, 0.2234] | 0.2089 | 0.1502 |",
        "| gender=F | 0.1987 [0.1792, 0.2182] | 0.1990 | 0.1371 |",
        "- weak on user_event_count=<10: ndcg@10 0.1604, lowest",
    ):
        assert words in markdown
    html = (tmp_path / "model_card.html").read_text()
    assert "0.2131 [0.2028, 0.2234]" in Page(html).texts
    assert "http" not in html


def test_a_run_that_pushed_nothing_has_no_card(tmp_path: Path) -> None:
    write_card(sample(version=None), tmp_path)

    assert not list(tmp_path.iterdir())
