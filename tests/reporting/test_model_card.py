from __future__ import annotations

from pathlib import Path

from reporting.model_card import write_card
from reporting.summary import NodeRecord
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


def test_the_card_lists_the_columns_of_the_schema(tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_text(
        'feature { name: "user_id" type: BYTES value_count { min: 1 max: 1 } presence { min_fraction: 1 } }'
        'feature { name: "year" type: INT value_count { min: 1 max: 1 } presence { min_count: 1 } }'
        'feature { name: "genres" type: BYTES value_count { min: 1 } presence { min_fraction: 1 } }'
    )
    schema_gen = NodeRecord(
        name="SchemaGen", state="complete", seconds=1.0, cached=False, upstream=(), outputs={"schema": (str(tmp_path),)}
    )
    write_card(sample(nodes=(schema_gen,)), tmp_path)

    rows = [
        line for line in (tmp_path / "model_card.md").read_text().splitlines() if " one |" in line or "sever" in line
    ]
    assert rows == [
        "| user_id | bytes | yes | one |",
        "| year | int | no | one |",
        "| genres | bytes | yes | several |",
    ]


def test_a_run_that_pushed_nothing_has_no_card(tmp_path: Path) -> None:
    write_card(sample(version=None), tmp_path)

    assert not list(tmp_path.iterdir())
