"""One real Transform pass over small rows, against NumPy."""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from settings.errors import ConfigError
from settings.features import FeatureList, FeatureRecord
from tests.transforms.transform_pass import transform_rows
from transforms.preprocessing import preprocessing_fn
from transforms.vocabulary import vocabulary_sizes

RECORDS: list[dict[str, Any]] = [
    {"kind": "numeric", "name": "seconds", "tower": "query"},
    {"kind": "numeric", "name": "age", "tower": "query", "impute": "median", "missing_indicator": True},
    {"kind": "numeric", "name": "age_bucket", "column": "age", "tower": "query", "scaling": "bucketize",
     "num_buckets": 4},
    {"kind": "numeric", "name": "price", "tower": "candidate", "scaling": "none", "impute": "constant",
     "fill_value": -1.5},
    {"kind": "numeric", "name": "price_mean", "column": "price", "tower": "candidate", "scaling": "none"},
    {"kind": "numeric", "name": "constant", "tower": "candidate"},
    {"kind": "numeric", "name": "never", "tower": "candidate", "impute": "median"},
    {"kind": "categorical", "name": "item_id", "tower": "candidate", "min_count": 3, "num_oov_buckets": 2},
    {"kind": "sequence", "name": "history", "tower": "query", "vocabulary": "item_id", "max_length": 3,
     "min_count": 99},
    {"kind": "categorical", "name": "gender", "tower": "query", "impute": "most_frequent", "missing_indicator": True},
    {"kind": "categorical", "name": "city", "tower": "query", "top_k": 2, "missing_indicator": True},
    {"kind": "categorical", "name": "device", "tower": "query", "impute": "constant", "fill_value": "unknown"},
    {"kind": "categorical", "name": "age_token", "column": "age", "tower": "query"},
    {"kind": "multivalent", "name": "genres", "tower": "candidate", "max_length": 2},
    {"kind": "categorical", "name": "never_token", "tower": "candidate"},
]  # fmt: skip
TYPES = {
    "seconds": tf.int64, "age": tf.int64, "price": tf.float32, "constant": tf.float32, "never": tf.float32,
    "item_id": tf.string, "history": tf.string, "gender": tf.string, "city": tf.string, "device": tf.string,
    "genres": tf.string, "never_token": tf.string,
}  # fmt: skip
SPEC = {name: tf.io.VarLenFeature(dtype) for name, dtype in TYPES.items()}


def draw_rows(count: int, seed: int) -> list[dict[str, list[Any]]]:
    """Rows with every kind of gap; an absent column is an empty list."""
    source = random.Random(seed)

    def sometimes(value: Any, share: float) -> list[Any]:
        return [value] if source.random() < share else []

    return [
        {
            # Far from zero and close together: float32 would see one single value.
            "seconds": [881_250_949 + source.randrange(5)],
            "age": sometimes(source.choice([18, 25, 25, 31, 40, 58]), 0.8),
            "price": sometimes(source.choice([float("nan"), float("inf"), source.uniform(0, 9)]), 0.9),
            "constant": [7.0],
            "never": [],
            "item_id": [source.choice("aaaabbbbccccddde")],
            "history": [source.choice("abcdexyz") for _ in range(source.randrange(6))],
            "gender": sometimes(source.choice("FMM"), 0.7),
            "city": sometimes(source.choice(["Ulm", "Rom", "Rom", "Graz", "Graz", "Graz", ""]), 0.9),
            "device": sometimes("phone", 0.5),
            "genres": [source.choice(["Drama", "Sci-Fi", "Film-Noir"]) for _ in range(source.randrange(4))],
            "never_token": [],
        }
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def train() -> list[dict[str, list[Any]]]:
    # `e` is drawn twice (below min_count), so that its ids show the OOV buckets.
    rows = draw_rows(160, seed=7)
    kept = [row for row in rows if row["item_id"] != ["e"]]
    return [*kept, {**kept[0], "item_id": ["e"]}, {**kept[1], "item_id": ["e"]}]


@pytest.fixture(scope="module")
def learnt(train: list[dict[str, list[Any]]], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The transformed train rows, column by column, and what Transform wrote."""
    return transform_rows(train, TYPES, RECORDS, tmp_path_factory.mktemp("transform"))


def serve(output: Path, rows: list[dict[str, list[Any]]]) -> dict[str, np.ndarray]:
    """Apply the saved graph to rows that arrive as serialized examples."""
    examples = [example(row) for row in rows]
    parsed = tf.io.parse_example(examples, SPEC)
    return {name: value.numpy() for name, value in graph(output)(parsed).items()}


@functools.cache
def graph(output: Path) -> Any:
    return tft.TFTransformOutput(str(output)).transform_features_layer()


def example(row: dict[str, list[Any]]) -> bytes:
    features = {}
    for name, values in row.items():
        if TYPES[name] == tf.string:
            encoded = [value.encode() for value in values]
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
        elif TYPES[name] == tf.int64:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def column(rows: list[dict[str, list[Any]]], name: str) -> np.ndarray:
    """A numeric raw column as floats, NaN where missing or not finite."""
    values = np.array([row[name][0] if row[name] else np.nan for row in rows], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def ordered(tokens: list[str]) -> list[str]:
    """Most frequent first; equal counts in reverse lexicographic order."""
    return [token for token, _ in sorted(Counter(tokens).items(), key=lambda pair: (pair[1], pair[0]), reverse=True)]


def test_standardized_values_have_the_moments_of_the_present_rows(train: Any, learnt: Any) -> None:
    seconds = column(train, "seconds")
    expected = (seconds - seconds.mean()) / seconds.std()
    np.testing.assert_allclose(learnt[0]["seconds"], expected, rtol=1e-5, atol=1e-5)
    assert learnt[0]["constant"].tolist() == [0.0] * len(train)


def test_a_median_fills_the_gaps_before_standardizing(train: Any, learnt: Any) -> None:
    age = column(train, "age")
    present = np.sort(age[~np.isnan(age)])
    filled = np.where(np.isnan(age), present[len(present) // 2], age)
    np.testing.assert_allclose(learnt[0]["age"], (filled - present.mean()) / present.std(), rtol=1e-5)
    assert learnt[0]["age_missing"].tolist() == np.isnan(age).astype(float).tolist()


def test_quantile_buckets_count_from_one_and_the_mean_takes_its_bucket(train: Any, learnt: Any) -> None:
    age = column(train, "age")
    present = np.sort(age[~np.isnan(age)])
    boundaries = [present[round(len(present) * share)] for share in (0.25, 0.5, 0.75)]
    expected = 1 + np.searchsorted(boundaries, np.where(np.isnan(age), present.mean(), age), side="right")
    assert learnt[0]["age_bucket"].tolist() == expected.tolist()


def test_unscaled_values_keep_their_size_and_gaps_take_the_constant_or_the_mean(train: Any, learnt: Any) -> None:
    price = column(train, "price")
    assert np.isnan(price).sum() > 20  # NaN and infinite values count as missing
    np.testing.assert_allclose(learnt[0]["price"], np.where(np.isnan(price), -1.5, price), rtol=1e-6)
    np.testing.assert_allclose(learnt[0]["price_mean"], np.where(np.isnan(price), np.nanmean(price), price), rtol=1e-6)


def test_a_column_without_any_value_becomes_zeros_and_not_nan(train: Any, learnt: Any) -> None:
    assert learnt[0]["never"].tolist() == [0.0] * len(train)
    assert learnt[0]["never_token"].tolist() == [0] * len(train)


def test_vocabularies_are_ordered_by_count_and_cut_by_min_count_and_top_k(train: Any, learnt: Any) -> None:
    output = tft.TFTransformOutput(str(learnt[1]))
    tokens = {
        name: [token for row in train for token in row[name] if token]
        for name in ("item_id", "gender", "city", "genres")
    }
    assert Counter(tokens["item_id"])["e"] == 2
    expected = {name: ordered(values) for name, values in tokens.items()}
    expected["item_id"] = [token for token in expected["item_id"] if token != "e"]
    expected["city"] = expected["city"][:2]
    found = {name: [token.decode() for token in output.vocabulary_by_name(name)] for name in expected}
    assert found == expected


def test_categorical_ids_follow_the_oov_buckets(train: Any, learnt: Any) -> None:
    order = [token for token in ordered([row["item_id"][0] for row in train]) if token != "e"]
    for row, found in zip(train, learnt[0]["item_id"], strict=True):
        if row["item_id"] == ["e"]:
            assert found in (1, 2)
        else:
            assert found == 3 + order.index(row["item_id"][0])


def test_missing_tokens_take_zero_the_most_frequent_or_a_learnt_constant(train: Any, learnt: Any) -> None:
    gender = ordered([token for row in train for token in row["gender"]])
    assert learnt[0]["gender"].tolist() == [2 + gender.index(row["gender"][0]) if row["gender"] else 2 for row in train]
    assert learnt[0]["gender_missing"].tolist() == [0.0 if row["gender"] else 1.0 for row in train]

    device = ordered([row["device"][0] if row["device"] else "unknown" for row in train])
    expected = [2 + device.index(row["device"][0] if row["device"] else "unknown") for row in train]
    assert learnt[0]["device"].tolist() == expected
    assert len(set(expected)) == 2

    # An empty token is a missing token; a token beyond top_k is out of vocabulary.
    city = ordered([token for row in train for token in row["city"] if token])[:2]
    values = [row["city"][0] if row["city"] else "" for row in train]
    assert learnt[0]["city"].tolist() == [2 + city.index(v) if v in city else int(v != "") for v in values]
    assert learnt[0]["city_missing"].tolist() == [float(v == "") for v in values]
    assert {0, 1, 2, 3} == set(learnt[0]["city"].tolist())


def test_integers_serve_as_tokens(train: Any, learnt: Any) -> None:
    order = ordered([str(row["age"][0]) for row in train if row["age"]])
    expected = [2 + order.index(str(row["age"][0])) if row["age"] else 0 for row in train]
    assert learnt[0]["age_token"].tolist() == expected


def test_multivalent_features_pad_behind(train: Any, learnt: Any) -> None:
    order = ordered([token for row in train for token in row["genres"]])
    expected = [([2 + order.index(token) for token in row["genres"]] + [0, 0])[:2] for row in train]
    assert learnt[0]["genres"].tolist() == expected


def test_sequences_share_the_vocabulary_keep_the_newest_and_pad_in_front(train: Any, learnt: Any) -> None:
    ids = dict(zip([row["item_id"][0] for row in train], learnt[0]["item_id"].tolist(), strict=True))
    assert max(len(row["history"]) for row in train) == 5
    for row, found in zip(train, learnt[0]["history"].tolist(), strict=True):
        newest = row["history"][-3:]
        assert found[: 3 - len(newest)] == [0] * (3 - len(newest))
        for token, number in zip(newest, found[3 - len(newest) :], strict=True):
            # x, y and z were never an item of train: being in a history teaches nothing.
            assert number == ids[token] if token in ids else number in (1, 2)


def test_the_saved_graph_gives_what_the_batch_pass_gave(train: Any, learnt: Any) -> None:
    served = serve(learnt[1], train)
    assert served.keys() == learnt[0].keys()
    for name, expected in learnt[0].items():
        np.testing.assert_allclose(served[name], expected, rtol=1e-6, err_msg=name)
    one = serve(learnt[1], train[:1])
    for name, expected in learnt[0].items():
        np.testing.assert_allclose(one[name], expected[:1], rtol=1e-6, err_msg=name)


def test_outputs_have_the_promised_types_and_static_lengths(learnt: Any) -> None:
    spec = tft.TFTransformOutput(str(learnt[1])).transformed_feature_spec()
    found = {name: (feature.dtype, list(feature.shape)) for name, feature in spec.items()}
    floats = ["seconds", "age", "age_missing", "price", "price_mean", "constant", "never"]
    floats += ["gender_missing", "city_missing"]
    ids = ["age_bucket", "item_id", "gender", "city", "device", "age_token", "never_token"]
    assert found == (
        dict.fromkeys(floats, (tf.float32, []))
        | dict.fromkeys(ids, (tf.int64, []))
        | {"history": (tf.int64, [3]), "genres": (tf.int64, [2])}
    )


def test_no_id_leaves_its_vocabulary_whatever_is_served(train: Any, learnt: Any) -> None:
    records: tuple[FeatureRecord, ...] = FeatureList.model_validate({"records": RECORDS}).records
    sizes = vocabulary_sizes(records, tft.TFTransformOutput(str(learnt[1])))
    assert sizes == {
        "item_id": 1 + 2 + 4, "gender": 1 + 1 + 2, "city": 1 + 1 + 2, "device": 1 + 1 + 2,
        "age_token": 1 + 1 + 5, "genres": 1 + 1 + 3, "never_token": 1 + 1 + 1,
    }  # fmt: skip
    strange = ["new", "ü", "", "line\nbreak", "x" * 10_000, "a"]
    unseen = [
        {
            **train[0],
            **{name: [token] for name in ("item_id", "gender", "city", "device", "never_token")},
            "history": strange,
            "genres": [token, "Drama", token],
            "age": [10**12],
        }
        for token in strange
    ]
    nothing: dict[str, list[Any]] = {name: [] for name in TYPES}
    served = serve(learnt[1], [*unseen, nothing])
    vocabularies = {r["name"]: r.get("vocabulary", r["name"]) for r in RECORDS if r["kind"] != "numeric"}
    for name, vocabulary in vocabularies.items():
        assert served[name].min() >= 0
        assert served[name].max() < sizes[vocabulary], name
    assert served["age_bucket"].tolist()[:-1] == [4] * len(unseen)
    assert all(np.isfinite(values).all() for values in served.values())


def test_the_saved_graph_does_not_fill_its_tables_at_every_call(learnt: Any) -> None:
    saved = tf.saved_model.load(str(learnt[1] / "transform_fn"))
    definition = saved.transform_fn.graph.as_graph_def()
    kinds = Counter(node.op for node in definition.node)
    kinds.update(node.op for function in definition.library.function for node in function.node_def)
    assert not [kind for kind in kinds if kind.startswith("InitializeTable")]
    assert not [kind for kind in kinds if "PyFunc" in kind]
    # One table for item_id and history together.
    assert kinds["LookupTableFindV2"] == 7


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"kind": "numeric", "name": "agee", "tower": "query"}, ["'agee'", "do not have", "'age'"]),
        ({"kind": "numeric", "name": "gender", "tower": "query"}, ["'gender'", "holds text", "categorical"]),
        ({"kind": "categorical", "name": "price", "tower": "query"}, ["'price'", "holds floats", "bucketize"]),
    ],
)
def test_a_record_that_does_not_fit_its_column_is_named(record: dict[str, Any], words: list[str]) -> None:
    inputs = tf.io.parse_example([example(row) for row in draw_rows(2, seed=1)], SPEC)
    with pytest.raises(ConfigError) as caught:
        preprocessing_fn(inputs, {"features": json.dumps([record])})
    for word in words:
        assert word in str(caught.value)
