"""`recommend` against a real SavedModel that answers by rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.command_line import main
from orchestration.recommendation import ask, find_version
from settings.errors import RequestError


@pytest.fixture(scope="module")
def output_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root that serves versions 9 and 10 of a model with three items that knows user `7`."""
    import tensorflow as tf

    root = tmp_path_factory.mktemp("output")

    class Rule(tf.Module):  # type: ignore[misc]
        def __init__(self, best: float) -> None:
            super().__init__()
            self.scores = tf.constant([[best, 0.5, 0.25]])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "user_id"), tf.TensorSpec([], tf.int32, "k")])
        def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
            k = tf.minimum(k, 3)
            return {
                "item_ids": tf.constant([["b", "a", "c"]])[:, :k],
                "titles": tf.constant([["Brazil (1985) [x]", "", "Contact"]])[:, :k],
                "scores": self.scores[:, :k],
                "known": tf.equal(user_id, "7"),
            }

    for version, best in ((9, 0.75), (10, 1.0)):
        model = Rule(best)
        tf.saved_model.save(
            model, str(root / "serving" / "films" / str(version)), signatures={"recommend": model.recommend}
        )
    return root


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["recommend", *(str(argument) for argument in arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_the_newest_version_answers(output_root: Path) -> None:
    assert find_version(output_root).name == "10"
    code, text, _ = call("--user", "7", "--k", "2", "--output-root", output_root)
    assert code == 0
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert rows == [["1", "Brazil", "(1985)", "[x]", "b", "1.0000"], ["2", "a", "0.5000"]]
    code, text, _ = call("--user", "7", "--k", "1", "--json", "--model-dir", output_root / "serving" / "films" / "9")
    assert code == 0
    assert json.loads(text)["items"] == [{"rank": 1, "item_id": "b", "title": "Brazil (1985) [x]", "score": 0.75}]


def test_a_small_catalogue_gives_what_it_has(output_root: Path) -> None:
    assert [item.item_id for item in ask(find_version(output_root), "7", 50).items] == ["b", "a", "c"]


def test_an_unknown_user_is_refused_unless_allowed(output_root: Path) -> None:
    code, _, err = call("--user", "nobody", "--output-root", output_root)
    assert code == 2
    assert "--user nobody: is unknown" in err
    assert "--allow-unknown" in err
    code, text, _ = call("--user", "nobody", "--output-root", output_root, "--allow-unknown")
    assert code == 0
    assert "User nobody is unknown: the most popular items" in text


def test_a_folder_without_a_model_is_refused(output_root: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no saved_model\.pb"):
        ask(tmp_path, "7", 1)
    with pytest.raises(RequestError, match="holds no version of 'songs'"):
        find_version(output_root, "songs")
