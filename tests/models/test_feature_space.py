from __future__ import annotations

import numpy as np
import pytest

from models.feature_space import CATALOGUE_INDEX, FeatureSpace, Field
from settings.errors import ConfigError
from settings.features import FeatureList

RECORDS = FeatureList.model_validate(
    {
        "records": [
            {"name": "user_id", "kind": "categorical", "tower": "query", "missing_indicator": True},
            {
                "name": "past",
                "kind": "sequence",
                "tower": "query",
                "column": "history_item_ids",
                "vocabulary": "movie",
                "max_length": 7,
            },
            {"name": "age", "kind": "numeric", "tower": "query", "scaling": "bucketize", "num_buckets": 5},
            {"name": "movie", "kind": "categorical", "tower": "candidate", "column": "item_id", "num_oov_buckets": 3},
            {"name": "genres", "kind": "multivalent", "tower": "candidate", "max_length": 4},
            {"name": "year", "kind": "numeric", "tower": "candidate", "missing_indicator": True},
        ]
    }
).records
SPACE = FeatureSpace.from_records(RECORDS, {"user_id": 11, "movie": 54, "genres": 20}, num_items=50)


def test_fields_follow_the_records() -> None:
    assert SPACE.fields == (
        Field("user_id", "categorical", "query", "user_id", 11, 1, 1, "user_id"),
        Field("user_id_missing", "numeric", "query", source="user_id"),
        Field("past", "sequence", "query", "movie", 54, 7, 3, "history_item_ids"),
        Field("age", "categorical", "query", "age", 6, source="age"),
        Field("movie", "categorical", "candidate", "movie", 54, 1, 3, "item_id"),
        Field("genres", "multivalent", "candidate", "genres", 20, 4, 1, "genres"),
        Field("year", "numeric", "candidate", source="year"),
        Field("year_missing", "numeric", "candidate", source="year"),
    )


def test_the_pairs_that_models_ask_for() -> None:
    assert [field.name for field in SPACE.history_and_item("sasrec")] == ["past", "movie"]
    assert [field.name for field in SPACE.user_and_item("matrix_factorization")] == ["user_id", "movie"]
    assert [field.name for field in SPACE.of_kind("sequence", "multivalent")] == ["past", "genres"]


def test_a_history_of_another_vocabulary_is_refused_with_what_there_is() -> None:
    without_item = FeatureSpace(SPACE.query(), item_vocabulary=None)
    with pytest.raises(ConfigError, match=r"'sasrec' needs .*'item_id'.*past \(sequence, query\)"):
        without_item.history_and_item("sasrec")
    with pytest.raises(ConfigError, match=r"'matrix_factorization' needs .*'user_id'"):
        FeatureSpace(SPACE.candidate(), "movie").user_and_item("matrix_factorization")


def test_a_sample_has_the_shapes_of_a_batch() -> None:
    shapes = {name: (values.shape, values.dtype) for name, values in SPACE.sample(2).items()}
    assert shapes[CATALOGUE_INDEX] == ((2,), np.int64)
    assert shapes["past"] == ((2, 7), np.int64)
    assert shapes["year"] == ((2,), np.float32)
    assert len(shapes) == len(SPACE.fields) + 1
