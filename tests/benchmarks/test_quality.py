"""The protocols' splits and measures."""

from __future__ import annotations

import doctest
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from benchmarks.quality import beside, measures, orders, problem, protocols, table
from benchmarks.quality.entries import ENTRIES, Entry
from models.registry import parse_params
from settings.training import TrainingSettings


@pytest.mark.parametrize("module", [measures, orders, problem, table])
def test_examples_hold(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed


def test_measures_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels, scores = (generator.random(200) < 0.3).astype(float), generator.integers(0, 20, 200) / 20
    assert measures.auc(labels, scores) == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores))
    p = generator.uniform(0.01, 0.99, 200)
    assert measures.log_loss(labels, p) == pytest.approx(sklearn.metrics.log_loss(labels, p))
    liked = np.array([0, 1, 1, 0, 1.0])
    ndcg = sklearn.metrics.ndcg_score([liked], [scores[:5]], ignore_ties=True)
    users = np.ones(5)
    distinct = scores[:5] + np.arange(5) * 1e-6
    ndcg = sklearn.metrics.ndcg_score([liked], [distinct])
    assert measures.ranked_rows(users, liked, distinct)["ndcg strict"] == pytest.approx(ndcg)


def write_1m(folder: Path) -> None:
    """Three users; the second one's ratings are out of order, and two of them share a second."""
    events = [(1, 10, 5, 100), (1, 20, 3, 200), (1, 30, 4, 300), (2, 30, 4, 50), (2, 10, 2, 10), (2, 20, 5, 50)]
    events += [(3, 40, 4, 7), (3, 10, 4, 8)]
    rows = [f"{user}::{item}::{rating}::{10**9 + second}" for user, item, rating, second in events]
    folder.mkdir()
    with gzip.open(folder / "ratings.dat.gz", "wt") as file:
        file.write("\n".join(rows) + "\n")
    (folder / "users.dat").write_text("1::F::25::1::0\n2::M::35::2::0\n3::M::25::1::0\n")
    (folder / "movies.dat").write_text("".join(f"{i}::Film {i} (199{i // 10})::Drama|War\n" for i in (10, 20, 30, 40)))


def test_each_row_of_criteo_tests_in_one_fold_and_trains_in_the_others(tmp_path: Path) -> None:
    (tmp_path / "criteo").mkdir()
    # The first number and the first token of a row are its own; a token that tests was thus never trained on.
    lines = [f"{row % 2}\t{row}" + "\t" * 13 + f"token{row}" + "\tboth" * 25 for row in range(20)]
    for name, part in (("train", lines[:16]), ("dev", lines[16:18]), ("test", lines[18:])):
        (tmp_path / "criteo" / f"{name}.csv").write_text("\n".join(part) + "\n")
    tested = []
    for fold in range(1, 11):
        found = protocols.criteo_folds(tmp_path, fold)
        assert len(found.data.train) == 18
        assert found.data.train.features["I0"].mean() == pytest.approx(0, abs=1e-6)
        assert set(found.test.features["C0"]) == {1}
        assert set(found.test.features["C1"]) == {2}
        numbers = np.sort(np.concatenate([found.data.train.features["I0"], found.test.features["I0"]]))
        tested += np.searchsorted(numbers, found.test.features["I0"]).tolist()
    assert sorted(tested) == list(range(20))
    whole = protocols.criteo(tmp_path)
    assert (len(whole.data.train), len(whole.test)) == (16, 4)


def test_the_last_rating_by_time_and_file_order_is_left_out(tmp_path: Path) -> None:
    write_1m(tmp_path / "ml-1m")
    found = protocols.next_item_1m(tmp_path, history_length=2)
    tokens = {10: 2, 20: 3, 30: 4, 40: 5}
    assert found.test.features["item_id"].tolist() == [tokens[30], tokens[20], tokens[10]]
    # User 2: 10 at second 10, then 30 and 20 at second 50 in file order.
    assert found.test.features["history"].tolist() == [[2, 3], [2, 4], [0, 5]]
    assert len(found.data.train) == 5
    assert found.data.train.sequence_end.tolist() == [False, True, False, True, True]
    assert found.seen is not None
    assert found.seen.astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    earlier = protocols.next_item_1m(tmp_path, history_length=2, with_validation=True)
    # The second last is asked for; user 3 has nothing before it, and what is asked for is never trained on.
    assert earlier.test.features["item_id"].tolist() == [tokens[20], tokens[30], tokens[40]]
    assert len(earlier.data.train) == 2


def test_published_sequences_are_taken_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "sasrec").mkdir()
    (tmp_path / "sasrec" / "ml-1m.txt").write_text("1 3\n1 1\n1 2\n2 2\n2 3\n")
    found = protocols.next_item_published(tmp_path, history_length=2)
    assert found.test.features["history"].tolist() == [[4, 2], [0, 3]]
    assert found.test.features["item_id"].tolist() == [3, 4]
    assert found.data.train.features["item_id"].tolist() == [4, 2, 3]
    assert found.seen is not None
    assert found.seen.tolist() == [[True, False, True], [False, True, False]]


def test_two_orders_of_the_same_events_are_compared_whatever_the_numbers() -> None:
    user, item, time = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 0, 1, 0]), np.array([1, 2, 2, 1, 2, 1])
    # Their user 2 is our user 0, their items 1, 2, 0 are our 0, 1, 2; they have items 1 and 2 of ours the other way.
    published = np.array([[0, 1], [0, 2], [1, 1], [2, 1], [2, 0], [2, 2]])
    found = orders.agreement(user, item, time, published)
    assert found == {
        "events": 6,
        "neighbours with times of their own": 1.0,
        "neighbours that share a second": 0.0,
        "last item": pytest.approx(2 / 3),
    }
    with pytest.raises(ValueError, match="same events"):
        orders.agreement(user, item, time, published[1:])


def test_a_peer_gets_the_same_rows_and_settings_and_is_judged_by_the_same_measures(tmp_path: Path) -> None:
    write_1m(tmp_path / "ml-1m")
    clicks = protocols.clicks_1m(tmp_path)
    entry = next(entry for entry in ENTRIES["clicks_1m"] if entry.name == "deepfm")
    # DeepCTR is not in the lock file: a stand-in answers with what it was given.
    peer = tmp_path / "python"
    peer.write_text(
        f"#!{sys.executable}\n"
        "import json, sys, numpy as np\n"
        "folder = sys.argv[-1]\n"
        "asked, rows = json.load(open(folder + '/asked.json')), np.load(folder + '/rows.npz')\n"
        "assert len(rows['train liked']) == len(rows['train user_id']) == 6\n"
        "assert all(rows['train ' + name].max() < size for name, size in asked['tokens'].items())\n"
        "np.save(folder + '/probabilities.npy', [rows['test user_id'] / 10] * asked['seeds'])\n"
        "open(folder + '/version.txt', 'w').write('1.0')\n"
    )
    peer.chmod(0o755)
    found = beside.deepctr(entry, [clicks], 2, peer)
    assert found is not None
    assert found["name"] == "deepfm of deepctr 1.0"
    assert found["asked"]["model"] == "DeepFM"
    assert {name: found["asked"][name] for name in ("epochs", "batch_size", "learning_rate")} == {
        name: entry.training[name] for name in ("epochs", "batch_size", "learning_rate")
    }
    assert found["seeds"] == 2
    answers = clicks.test.features["user_id"] / 10
    assert found["mean"]["log_loss"] == pytest.approx(measures.log_loss(clicks.test.liked, answers), abs=1e-5)
    assert beside.deepctr(Entry({"name": "ffm"}), [clicks], 1, peer) is None


def test_counts_and_means_leave_the_rows_own_rating_and_all_test_rows_out() -> None:
    group = np.array([2, 2, 2, 2, 3, 3])
    rating = np.array([5.0, 1.0, 3.0, 3.0, 2.0, 4.0], np.float32)
    train = np.array([True, True, False, True, True, True])
    count, mean = protocols._others(group, rating, train, train)
    # Train's mean is 3; each row's other train ratings: {1, 3}, {5, 3}, {5, 1, 3}, {5, 1}, {4}, {2}.
    expected = (np.log1p([2, 2, 3, 2, 1, 1]), np.array([19 / 7, 23 / 7, 24 / 8, 21 / 7, 19 / 6, 17 / 6]))
    for found, numbers in zip((count, mean), expected, strict=True):
        np.testing.assert_allclose(
            found, (numbers - numbers[train].mean()) / numbers[train].std(), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("protocol", sorted(ENTRIES))
def test_every_entry_is_a_valid_configuration(protocol: str) -> None:
    names = [entry.name for entry in ENTRIES[protocol]]
    assert len(set(names)) == len(names)
    for entry in ENTRIES[protocol]:
        parse_params(entry.model)
        TrainingSettings(**entry.training)
