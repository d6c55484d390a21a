from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from settings.config import Config, load
from settings.errors import ConfigError

MINIMAL: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"kind": "table", "path": "ratings.csv"}},
    "features": [
        {"kind": "categorical", "name": "user_id", "tower": "query"},
        {"kind": "categorical", "name": "item_id", "tower": "candidate"},
    ],
    "model": {"name": "popularity"},
    "gate": {"popularity_metric": "ndcg@10"},
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
    return path


def test_a_configuration_survives_the_trip_through_json(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert Config.model_validate_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainning": {}}, ["trainning", "is not a known key"]),
        ({"serving": {"popularity_segment": "history"}}, ["popularity_segment: 'history' is no categorical feature"]),
        ({"serving": {"retrieval_model": {"name": "deepfm"}}}, ["serving", "'deepfm' is a ranking model"]),
        ({"serving": {"retrieval_model": {"name": "bpr"}}}, ["serving.retrieval_model", "retrieves itself"]),
        ({"training": {"epochs": "many"}}, ["training.epochs", "integer", "'many'"]),
        ({"training": {"epochs": 0}}, ["training.epochs", "greater than or equal to 1", "Received: 0"]),
        ({"model": {"name": "bert4nobody"}}, ["model", "'bert4nobody'", "popularity", "sasrec"]),
        ({"model": {"name": "sasrec"}}, ["sasrec", "'sequence'", "two_tower"]),
        ({"training": {"loss": "mse"}}, ["training.loss: 'mse' cannot train a retrieval model", "in_batch_softmax"]),
        (
            {"training": {"negatives": "popularity"}},
            ["training.negatives", "no effect on training.loss 'softmax'", "sampled_softmax"],
        ),
        (
            {"training": {"loss": "sampled_softmax", "negatives": "in_batch"}},
            ["'in_batch' does not go with loss 'sampled_softmax'", "in_batch_softmax"],
        ),
        ({"training": {"num_hard_negatives": 3}}, ["training.num_hard_negatives: 3 has no effect", "in_batch_softmax"]),
        (
            {"training": {"loss": "bpr", "num_hard_negatives": 300}},
            ["300 of 128 negatives", "Expected at most as many"],
        ),
        ({"training": {"negatives_a_click": 2}}, ["is for ranking models", "a retrieval model"]),
        ({"training": {"position": "user_id"}}, ["is for ranking and rating models"]),
        (
            {"training": {"position": "item_id"}, "model": {"name": "fm"}, "gate": {"popularity_metric": "auc"}},
            ["training.position", "`tower: query`, one of ['user_id']", "'item_id'"],
        ),
        ({"gate": {}}, ["no threshold", "popularity_metric"]),
        (
            {"features": [MINIMAL["features"][0], MINIMAL["features"][0]]},
            ["feature names should be unique", "user_id"],
        ),
        (
            {
                "features": [
                    {
                        "kind": "sequence",
                        "name": "history",
                        "column": "history_item_ids",
                        "vocabulary": "item_id",
                        "tower": "query",
                    }
                ]
            },
            ["history", "'item_id'", "no feature owns"],
        ),
    ],
)
def test_each_mistake_is_answered_with_its_place(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_overrides_reach_nested_keys_and_win_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, training={"epochs": 7})
    config = load(path, ["training.epochs=3", "evaluation.top_k=[1, 10]"], data_path="elsewhere.csv")
    assert config.training.epochs == 3
    assert config.evaluation.top_k == (1, 10)
    assert config.data.source.path == "elsewhere.csv"


def test_a_new_model_name_drops_the_old_models_hyperparameters(tmp_path: Path) -> None:
    path = write(tmp_path, model={"name": "two_tower", "embedding_dim": 16})
    assert load(path, ["model.name=popularity"]).model.name == "popularity"
    swapped = load(path, ["model.embedding_dim=8", "model.name=matrix_factorization"])
    assert swapped.model.model_dump()["embedding_dim"] == 8


@pytest.mark.parametrize(
    ("override", "words"),
    [("epochs", "key=value"), ("name.first=1", "holds a value"), ("=1", "key=value")],
)
def test_a_malformed_override_says_what_it_should_read(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path), [override])


def test_a_file_that_is_no_mapping_or_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match=r"list\.yaml: should hold a mapping"):
        load(tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load(tmp_path / "broken.yaml")
