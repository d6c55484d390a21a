"""`recommend` against a real SavedModel that answers by rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.command_line import main
from orchestration.recommendation import Question, ask, find_version
from settings.errors import RequestError


@pytest.fixture(scope="module")
def output_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root that serves versions 9 and 10 of a model with three items that knows user `7`."""
    import tensorflow as tf

    root = tmp_path_factory.mktemp("output")
    nothing = tf.zeros([1, 0], tf.string)

    class Rule(tf.Module):  # type: ignore[misc]
        def __init__(self, best: float) -> None:
            super().__init__()
            self.scores = tf.constant([[best, 0.5, 0.25]])

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "user_id"),
                tf.TensorSpec([], tf.int32, "k"),
                tf.TensorSpec([None, None], tf.string, "history"),
            ]
        )
        def recommend(self, user_id: tf.Tensor, k: tf.Tensor, history: tf.Tensor = nothing) -> dict[str, tf.Tensor]:
            k = tf.minimum(k, 3)
            known = tf.equal(user_id, "7")
            return {
                "item_ids": tf.constant([["b", "a", "c"]])[:, :k],
                "titles": tf.constant([["Brazil (1985) [x]", "", "Contact"]])[:, :k],
                "scores": self.scores[:, :k],
                "because": tf.tile(tf.concat([history, [[""]]], axis=1)[:, :1], [1, k]),
                "known": known,
                "rung": tf.where(known, "model", "popularity"),
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "item_id"), tf.TensorSpec([], tf.int32, "k")])
        def similar_items(self, item_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
            answer = self.recommend(tf.constant(["7"]), k, nothing)
            answer = {name: answer[name] for name in ("item_ids", "titles", "scores")}
            return answer | {"known": tf.equal(item_id, "d")}

    for version, best in ((9, 0.75), (10, 1.0)):
        model = Rule(best)
        signatures = {"recommend": model.recommend, "similar_items": model.similar_items}
        tf.saved_model.save(model, str(root / "serving" / "films" / str(version)), signatures=signatures)
    return root


def call(*arguments: object, command: str = "recommend") -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [command, *(str(argument) for argument in arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_newest_version_answers(output_root: Path) -> None:
    assert find_version(output_root).name == "10"
    code, text, _ = call("--user", "7", "--k", "2", "--output-root", output_root)
    assert code == 0
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert rows == [["1", "Brazil", "(1985)", "[x]", "b", "1.0000"], ["2", "a", "0.5000"]]
    code, text, _ = call("--user", "7", "--k", "1", "--json", "--model-dir", output_root / "serving" / "films" / "9")
    assert code == 0
    assert json.loads(text)["items"] == [
        {"rank": 1, "item_id": "b", "title": "Brazil (1985) [x]", "score": 0.75, "because": ""}
    ]


def test_a_small_catalogue_gives_what_it_has(output_root: Path) -> None:
    assert [item.item_id for item in ask(find_version(output_root), Question("7", k=50)).items] == ["b", "a", "c"]


def test_an_unknown_user_is_refused_unless_allowed(output_root: Path) -> None:
    code, _, err = call("--user", "nobody", "--output-root", output_root)
    assert code == 2
    assert "--user nobody: is unknown" in err
    assert "--allow-unknown" in err
    code, text, _ = call("--user", "nobody", "--output-root", output_root, "--allow-unknown")
    assert code == 0
    assert "For unknown user nobody: the most popular items" in text


def test_somebody_new_is_answered_from_a_history(output_root: Path) -> None:
    code, text, _ = call("--history", "d", "--history", "e", "--k", "1", "--json", "--output-root", output_root)
    answer = json.loads(text)
    assert (code, answer["rung"], answer["items"][0]["because"]) == (0, "popularity", "d")
    code, text, _ = call("--history", "d", "--output-root", output_root)
    assert text.startswith("The most popular items")
    assert "most like" in text


def test_similar_items_are_shown(output_root: Path) -> None:
    code, text, _ = call("--item", "d", "--k", "2", "--output-root", output_root, command="similar")
    assert code == 0
    assert "Items similar to those chosen" in text
    assert "Brazil" in text
    code, _, err = call("--item", "b", "--output-root", output_root, command="similar")
    assert code == 2
    assert "--item b: is not in the catalogue" in err
    assert call("--item", "d", "--k", "0", "--output-root", output_root, command="similar")[0] == 2


def test_a_folder_without_a_model_is_refused(output_root: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no saved_model\.pb"):
        ask(tmp_path, Question("7"))
    with pytest.raises(RequestError, match="holds no version of 'songs'"):
        find_version(output_root, "songs")
