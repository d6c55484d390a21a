from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets import sources
from datasets.ad_logs import CRITEO_CATEGORIES, CRITEO_COUNTS
from datasets.quarantine import Quarantine
from datasets.timeline import Timeline
from settings.data import AdLogSource, BadRowSettings, DataSettings
from settings.errors import DataError

AVAZU = """\
id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,\
device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21
1000009418151094273,0,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,ddd2926e,\
44956a24,1,2,15706,320,50,1722,0,35,-1,79
10000169349117863715,1,14102100,1005,0,1fbe01fe,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,96809ac8,\
711ee120,1,0,15704,320,50,1722,0,35,100084,79
10000371904215119486,0,14102123,1005,0,,f3845767,28905ebd,ecad2386,7801e8d9,07d7df22,a99f214a,b3cf8def,\
8a4875bd,1,0,15704,320,50,1722,0,35,100084,79
"""


def test_real_criteo_rows_keep_counts_categories_and_gaps(real_data: Callable[[str], Path]) -> None:
    source = AdLogSource(kind="criteo", path=str(real_data("criteo")))
    data = sources.read(source)
    assert [path.name for path in sources.input_files(source)] == ["train.csv", "dev.csv", "test.csv"]
    assert data.events.num_rows == 8000
    first = data.events.slice(0, 1).to_pylist()[0]
    assert (first["rating"], first["timestamp"], first["user_id"], first["item_id"]) == (0.0, 0, "0", "ad")
    counts = [1, 1, 5, 0, 1382, 4, 15, 2, 181, 1, 2, None, 2]
    assert [first[name] for name in CRITEO_COUNTS] == counts
    assert (first["c1"], first["c26"]) == ("68fd1e64", "9727dd16")
    assert data.events["c22"].null_count == 6538  # awk -F'\t' '$36==""' over the three files
    assert set(data.events["rating"].to_pylist()) == {0.0, 1.0}
    assert data.events["user_id"].value_counts().field("counts").unique().to_pylist() == [20]
    timeline = Timeline(data, DataSettings(source=source, liked_at_least=1))
    assert timeline.num_duplicates == 0
    row = next(timeline.blocks("train")).slice(0, 1).to_pylist()[0]
    # Nobody is known, so nothing is remembered.
    assert (row["user_event_count"], row["history_item_ids"], row["i5"], row["i12"]) == ([0], [], [1382], None)
    assert {*CRITEO_COUNTS, *CRITEO_CATEGORIES} <= set(row)
    assert "chosen" not in row


def test_avazu_rows_have_hours_and_are_no_duplicates_of_one_another(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(AVAZU)
    source = AdLogSource(kind="avazu", path=str(tmp_path))
    data = sources.read(source)
    assert data.events["timestamp"].to_pylist() == [1413849600, 1413849600, 1413849600 + 23 * 3600]
    assert data.events["rating"].to_pylist() == [0.0, 1.0, 0.0]
    assert data.events["site_id"].to_pylist() == ["1fbe01fe", "1fbe01fe", None]
    assert data.events["C20"].to_pylist() == ["-1", "100084", "100084"]
    assert Timeline(data, DataSettings(source=source)).num_duplicates == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2" + "\t1" * 13 + "\tabcdef01" * 26, "label should be 0 or 1. Received: '2'"),
        ("1" + "\tx" * 13 + "\tabcdef01" * 26, "i1 should be a whole number. Received: 'x'"),
        ("1" + "\t1" * 13 + "\tshoes" * 26, "c1 should be a hexadecimal number. Received: 'shoes'"),
        ("1" + "\t1" * 13, "has 14 fields, expected 40"),
    ],
)
def test_a_malformed_advertisement_is_set_aside(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "train.txt").write_text("0" + "\t" * 39 + "\n" + row + "\n")
    quarantine = Quarantine(BadRowSettings(max_share=0.5))
    data = sources.read(AdLogSource(kind="criteo", path=str(tmp_path / "train.txt")), quarantine)
    assert data.events.num_rows == 1
    assert [str(bad) for bad in quarantine.rows] == [f"line 2: {reason}"]


@pytest.mark.parametrize("kind", ["criteo", "avazu"])
def test_a_folder_without_the_files_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"data\.source\.path: .* no folder with train.*--data-path"):
        sources.read(AdLogSource.model_validate({"kind": kind, "path": str(tmp_path)}))


def test_an_hour_that_is_none_is_damage(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(AVAZU.replace(",14102123,", ",14109999,"))
    quarantine = Quarantine(BadRowSettings(max_share=0.5))
    sources.read(AdLogSource(kind="avazu", path=str(tmp_path)), quarantine)
    assert [row.reason for row in quarantine.rows] == ["hour should be an hour as YYMMDDHH. Received: '14109999'"]
