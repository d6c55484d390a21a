from __future__ import annotations

from pathlib import Path

import yaml
from click.testing import CliRunner
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_comparison import ABSENT, Difference, differences
from orchestration.command_line import main

REVIEWED = 'feature { name: "stars" type: FLOAT float_domain { min: 1 max: 5 } } feature { name: "old" type: INT }'
INFERRED = 'feature { name: "stars" type: FLOAT float_domain { min: 1 max: 9 } } feature { name: "new" type: BYTES }'


def parse(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def test_what_two_schemas_ask_is_compared_feature_by_feature() -> None:
    assert differences(parse(REVIEWED), parse(INFERRED)) == [
        Difference("new", ABSENT, "BYTES"),
        Difference("old", "INT", ABSENT),
        Difference("stars", "FLOAT, 1 to 5", "FLOAT, 1 to 9"),
    ]
    assert differences(parse(REVIEWED), parse(REVIEWED)) == []


def test_a_schema_is_inferred_once_and_then_compared(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 7},i{n % 11},{10**9 + n},{1 + n % 5}\n" for n in range(200))
    (tmp_path / "r.csv").write_text("user_id,item_id,timestamp,rating\n" + rows)
    tree = {
        "name": "mine",
        "data": {"source": {"kind": "table", "path": str(tmp_path / "r.csv"), "columns": {"rating": "rating"}}},
        "features": [{"name": "item_id", "kind": "categorical", "tower": "candidate"}],
        "model": {"name": "popularity"},
        "gate": {"popularity_metric": "ndcg@10"},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree))
    words = ["--config", str(tmp_path / "c.yaml")]
    out = tmp_path / "schema.pbtxt"

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["schema", *arguments])
        return done.exit_code, done.output

    assert call("diff", *words)[0] == 2
    assert call("infer", *words, "--out", str(out)) == (
        0, f"{out}: written. Review it, then name it in data.schema_path\n",
    )  # fmt: skip
    assert call("infer", *words, "--out", str(out))[0] == 2
    curated = ["--set", f"data.schema_path={out}"]
    assert call("diff", *words, *curated) == (0, f"{out} asks for what the data ask for.\n")
    (tmp_path / "r.csv").write_text("user_id,item_id,timestamp,rating\n" + rows.replace(",5\n", ",9\n"))
    code, text = call("diff", *words, *curated)
    assert code == 0
    assert text.startswith("rating\n  reviewed: FLOAT, in at least 100% of the rows, one value a row, 1 to 5\n  data: ")
