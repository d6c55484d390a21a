"""The protocols: which rows train, which test, and what a model may look at.

No feature is computed from test rows, but in `ratings_small` where that is asked for, to measure what it is worth.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from benchmarks.quality.problem import (
    FIRST_TOKEN,
    HISTORY,
    ITEM,
    USER,
    Problem,
    catalogue,
    categorical,
    lists,
    no_rows,
    rows,
)
from datasets.interactions import Interactions
from datasets.movielens import read_1m, read_100k, read_csv_release
from datasets.quarantine import Quarantine
from models.feature_space import CATALOGUE_INDEX, FeatureSpace, Field
from models.training_data import Arrays, Rows, TrainingData

# A million train rows of longer histories would not fit into memory.
_LONGEST_IN_TRAINING = 200
# What SASRec's authors published, in the folder of data sets.
PUBLISHED = Path("sasrec", "ml-1m.txt")


def criteo(data: Path) -> Problem:
    """Return 8,000 rows of Criteo: train.csv trains (7,200), dev.csv and test.csv test; see `_criteo`."""
    rows_of_files = _criteo_rows(data)
    table = [row for part in rows_of_files for row in part]
    return _criteo(table, np.arange(len(table)) < len(rows_of_files[0]))


def criteo_folds(data: Path, fold: int) -> Problem:
    """Return the same rows in tenths: one tests, nine train; see `_criteo`.

    800 rows tell an AUC to .02, all of them to .006.

    Args:
      data: folder of data sets.
      fold: which tenth tests, 1 to 10, of the rows permuted by `numpy.random.default_rng(0)`.
    """
    table = [row for part in _criteo_rows(data) for row in part]
    tenth = np.random.default_rng(0).permutation(len(table)) * 10 // len(table)
    return _criteo(table, tenth != fold - 1)


def _criteo_rows(data: Path) -> list[list[list[str]]]:
    """Return the columns of each row of train.csv, dev.csv and test.csv."""
    texts = [(data / "criteo" / f"{name}.csv").read_text() for name in ("train", "dev", "test")]
    return [[line.split("\t") for line in text.splitlines()] for text in texts]


def _criteo(table: list[list[str]], train: np.ndarray) -> Problem:
    """Return rows of Criteo, label first, then 13 numbers and 26 tokens.

    A missing number is 0; sign(v) log(1 + |v|), standardised by train. Tokens seen at least twice in train have an id
    of their own, all others are out of vocabulary.
    """
    labels = np.array([float(row[0]) for row in table], np.float32)
    numbers = np.array([[float(v) if v else 0.0 for v in row[1:14]] for row in table])
    numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
    mean, deviation = numbers[train].mean(axis=0), numbers[train].std(axis=0)
    numbers = ((numbers - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    fields = [Field(f"I{j}", "numeric", "query") for j in range(13)]
    features: Arrays = {f"I{j}": numbers[:, j] for j in range(13)}
    for j in range(26):
        column = np.array([row[14 + j] for row in table])
        values, counts = np.unique(column[train], return_counts=True)
        ids = {value: number + FIRST_TOKEN for number, value in enumerate(values[counts >= 2])}
        features[f"C{j}"] = np.array([ids.get(value, 1) for value in column])
        # Clicks are predicted for the row as a whole; which side a field is on does not matter to these models.
        fields.append(categorical(f"C{j}", "candidate" if j % 2 else "query", len(ids)))
    return _clicks(rows(features, liked=labels), train, fields)


def clicks_1m(data: Path) -> Problem:
    """Return MovieLens 1M as clicks: label = rating >= 4; user, item, gender, age, occupation, first genre.

    Rows permuted by `numpy.random.default_rng(0)`; the first 80 % train, the rest tests.
    """
    read = read_1m(data / "ml-1m", Quarantine())
    events, users, items = read.events, read.users, read.items
    assert users is not None
    assert items is not None
    user, item = (events[name].to_numpy() for name in (USER, ITEM))
    columns = {USER: user, ITEM: item}
    of_user = pc.index_in(events[USER], users[USER]).to_numpy()
    for name in ("gender", "age", "occupation"):
        columns[name] = users[name].to_numpy()[of_user].astype(str)
    first_genre = np.array([genres[0] if genres else "" for genres in items["genres"].to_pylist()])
    columns["genre"] = first_genre[pc.index_in(events[ITEM], items[ITEM]).to_numpy()]
    features: Arrays = {}
    fields = []
    for name, column in columns.items():
        values, codes = np.unique(column, return_inverse=True)
        features[name] = codes.astype(np.int64) + FIRST_TOKEN
        side = "candidate" if name in (ITEM, "genre") else "query"
        fields.append(categorical(name, side, len(values), name if name in (USER, ITEM) else ""))
    order = np.random.default_rng(0).permutation(len(user))
    train = np.zeros(len(user), bool)
    train[order[: int(0.8 * len(user))]] = True
    every = rows(features, liked=(events["rating"].to_numpy() >= 4).astype(np.float32))
    return _clicks(every, train, fields)


def _clicks(every: Rows, train: np.ndarray, fields: list[Field]) -> Problem:
    trained, test = every.where(train), every.where(~train)
    items = catalogue({field.name: trained.features[field.name][:1] for field in fields})
    space = FeatureSpace(tuple(fields), ITEM if any(f.name == ITEM for f in fields) else None, num_items=1)
    return Problem(space, TrainingData(trained, no_rows(test), items), test)


def next_item_1m(data: Path, history_length: int, with_validation: bool = False) -> Problem:
    """Return MovieLens 1M, leave-one-out by time, ties in file order; see `next_item`."""
    events = read_1m(data / "ml-1m", Quarantine()).events
    # Numbers, so that equal scores rank in the order of the official ids.
    numbers = (events[name].to_numpy().astype(np.int64) for name in (USER, ITEM))
    user, item = (np.unique(ids, return_inverse=True)[1] for ids in numbers)
    order = np.lexsort((np.arange(len(user)), events["timestamp"].to_numpy(), user))
    return next_item(user[order], item[order], history_length, with_validation)


def next_item_published(data: Path, history_length: int, with_validation: bool = False) -> Problem:
    """Return MovieLens 1M in the order that SASRec's authors published, films with five ratings or more; `next_item`.

    Raises:
      FileNotFoundError: `PUBLISHED` is not there.
    """
    user, item = read_published(data).T
    return next_item(user, item, history_length, with_validation)


def read_published(data: Path) -> np.ndarray:
    """Return user and item of each event, from 0, int64 `(num_events, 2)`, oldest first within a user.

    `PUBLISHED` has them from 1, a line an event (SHA-256 b725f3ac).
    """
    return np.loadtxt(data / PUBLISHED, dtype=np.int64) - 1


def next_item(user: np.ndarray, item: np.ndarray, history_length: int, with_validation: bool = False) -> Problem:
    """Return leave-one-out: each user's last event is to be predicted.

    All other events train, each as a positive; the full catalogue is ranked without what the user has chosen.

    Args:
      user: int64 `(num_events,)`, from 0 without gaps, in order.
      item: int64 `(num_events,)`, from 0, oldest first within a user.
      history_length: earlier items a row carries; above 200, only test rows carry any: for models that train on who
        chose what, and are asked with whole histories.
      with_validation: leave the last events out altogether and predict those before them, to choose settings by.
    """
    if with_validation:
        kept = np.r_[user[1:] == user[:-1], False]
        user, item = user[kept], item[kept]
    last = np.r_[user[1:] != user[:-1], True]
    num_users, num_items = int(user.max()) + 1, int(item.max()) + 1
    # The newest `history_length` items of the same user before each event, by its place in the order.
    place = np.arange(len(user))
    first = np.maximum.accumulate(np.where(np.r_[True, user[1:] != user[:-1]], place, 0))

    def histories(of: np.ndarray) -> np.ndarray:
        at = of[:, None] + np.arange(-history_length, 0)[None]
        return np.where(at >= first[of][:, None], item[np.maximum(at, 0)] + FIRST_TOKEN, 0).astype(np.int32)

    def events_at(of: np.ndarray, ends: np.ndarray, with_history: bool) -> Rows:
        features: Arrays = {
            USER: user[of].astype(np.int64) + FIRST_TOKEN,
            ITEM: item[of].astype(np.int64) + FIRST_TOKEN,
            CATALOGUE_INDEX: item[of].astype(np.int64),
        }
        if with_history:
            features[HISTORY] = histories(of)
        return rows(features, user_id=user[of], sequence_end=ends)

    before_last = np.flatnonzero(~last)
    # A sequence model reads a user's train events once, in windows from the last of them back.
    _, counts = np.unique(user[before_last], return_counts=True)
    from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(before_last))
    ends = from_end % history_length == 0
    train = events_at(before_last, ends, with_history=history_length <= _LONGEST_IN_TRAINING)
    test = events_at(np.flatnonzero(last), np.ones(num_users, bool), with_history=True)
    seen = np.zeros((num_users, num_items), bool)
    seen[user[before_last], item[before_last]] = True
    fields = (
        categorical(USER, "query", num_users),
        Field(HISTORY, "sequence", "query", ITEM, num_items + FIRST_TOKEN, history_length, 1),
        categorical(ITEM, "candidate", num_items),
    )
    items = catalogue({ITEM: np.arange(num_items, dtype=np.int64) + FIRST_TOKEN})
    return Problem(FeatureSpace(fields, ITEM, num_items), TrainingData(train, no_rows(test), items), test, seen)


def cold_items_100k(data: Path, with_titles: bool = False) -> Problem:
    """Return MovieLens 100K without any rating of a fifth of the films, drawn at random: which of them was chosen?

    The other films' ratings train, each as a positive, with the 50 films that the user rated before. Each rating of a
    film left out tests: it is ranked among the films left out, without those that the user chose too. Films are known
    by id, genres and year, and by the words of their titles where that is asked for.
    """
    read = read_100k(data / "ml-100k", Quarantine())
    assert read.items is not None
    events = read.events.sort_by([(USER, "ascending"), ("timestamp", "ascending")])
    names = np.unique(read.items[ITEM].to_numpy())
    user = np.unique(events[USER].to_numpy(), return_inverse=True)[1]
    item = np.searchsorted(names, events[ITEM].to_numpy())
    cold = np.zeros(len(names), bool)
    cold[np.random.default_rng(0).permutation(len(names))[: len(names) // 5]] = True
    genres, year = _metadata(read, names)
    token = np.where(cold, 1, np.arange(len(names)) + FIRST_TOKEN)
    items: Arrays = {ITEM: token, "genres": genres, "year": year}
    fields = [
        Field(HISTORY, "sequence", "query", ITEM, len(names) + FIRST_TOKEN, 50, 1),
        categorical(ITEM, "candidate", len(names)),
        Field("genres", "multivalent", "candidate", "genres", int(genres.max()) + 1, genres.shape[1], 1),
        Field("year", "numeric", "candidate"),
    ]
    if with_titles:
        titles = (read.items[name].to_pylist() for name in (ITEM, "title"))
        items["title"] = _words(dict(zip(*titles, strict=True)), names, learnt=~cold)
        size = int(items["title"].max()) + 1
        fields.append(Field("title", "multivalent", "candidate", "words", size, items["title"].shape[1], 1))
    before: list[list[int]] = [[] for _ in range(int(user.max()) + 1)]
    histories = []
    for u, i in zip(user, item, strict=True):
        histories.append(before[u][-50:])
        if not cold[i]:
            before[u].append(int(token[i]))
    features = {name: values[item] for name, values in items.items()}
    features |= {HISTORY: lists(histories, 50), CATALOGUE_INDEX: item.astype(np.int64)}
    every = rows(features, user_id=user)
    test = every.where(cold[item])
    chosen = np.zeros((int(user.max()) + 1, len(names)), bool)
    chosen[user, item] = True
    seen = chosen[test.user_id] | ~cold
    seen[np.arange(len(test)), test.features[CATALOGUE_INDEX]] = False
    train = every.where(~cold[item])
    space = FeatureSpace(tuple(fields), ITEM, len(names))
    return Problem(space, TrainingData(train, no_rows(test), catalogue(items)), test, seen)


def cold_items_100k_titles(data: Path) -> Problem:
    """Return `cold_items_100k` with the words of the titles."""
    return cold_items_100k(data, with_titles=True)


def _words(titles: dict[str, str], names: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Return the ids of each title's words that two films with ratings share: nothing is learnt of any other word.

    The year in brackets is no word.
    """
    words = [re.findall(r"[a-z]+", titles[name].lower()) for name in names]
    counts = Counter(word for title, counted in zip(words, learnt, strict=True) if counted for word in set(title))
    known = {word: place + FIRST_TOKEN for place, word in enumerate(sorted(w for w, n in counts.items() if n > 1))}
    return lists([[known[word] for word in title if word in known] for title in words], 10)


def ratings_100k(data: Path, fold: int) -> Problem:
    """Return a fold of MovieLens 100K, as the data set cuts it: u<fold>.base trains, u<fold>.test tests."""
    folder = data / "ml-100k"
    events = [np.loadtxt(folder / f"u{fold}.{part}", dtype=np.int64) for part in ("base", "test")]
    train = np.arange(len(events[0]) + len(events[1])) < len(events[0])
    every = np.concatenate(events)
    read = read_100k(folder, Quarantine())
    return _ratings(read, every[:, 0].astype(str), every[:, 1].astype(str), every[:, 2].astype(np.float32), train)


def ratings_small(data: Path, seed: int = 0, leaking: bool = False) -> Problem:
    """Return MovieLens latest-small of 2016 (671 users): a random 80 % trains, 20 % tests.

    Args:
      data: folder of data sets.
      seed: of the split.
      leaking: compute counts and means of users and items from all rows, test rows included, as document 004 does.
    """
    read = read_csv_release(data / "ml-latest-small-2016", Quarantine())
    events = read.events
    ratings = events["rating"].to_numpy().astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(ratings))
    train = np.zeros(len(ratings), bool)
    train[order[: int(0.8 * len(ratings))]] = True
    return _ratings(read, events[USER].to_numpy(), events[ITEM].to_numpy(), ratings, train, leaking)


def _ratings(
    read: Interactions, user: np.ndarray, item: np.ndarray, rating: np.ndarray, train: np.ndarray, leaking: bool = False
) -> Problem:
    """Return rows with the ids, the history, and counts and means of the user's and the item's other train ratings."""
    users, items = (np.unique(ids[train], return_inverse=False) for ids in (user, item))
    codes = {}
    for name, ids, known in ((USER, user, users), (ITEM, item, items)):
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        codes[name] = np.where(known[place] == ids, place + FIRST_TOKEN, 1).astype(np.int64)
    features: Arrays = dict(codes)
    counted = np.ones_like(train) if leaking else train
    for name in (USER, ITEM):
        # A train row's own rating is left out of its means: with it, the mean would tell the label.
        own = np.zeros_like(train) if leaking else train
        stem = name.removesuffix("_id")
        features[f"{stem}_count"], features[f"{stem}_mean"] = _others(codes[name], rating, counted, own)
    features[HISTORY] = _other_items(codes[USER], codes[ITEM], train, length=100)
    assert read.items is not None
    genres, year = _metadata(read, item)
    features |= {"genres": genres, "year": year}
    num_genres = int(genres.max()) - FIRST_TOKEN + 1
    fields = (
        categorical(USER, "query", len(users)),
        Field(HISTORY, "sequence", "query", ITEM, len(items) + FIRST_TOKEN, 100, 1),
        Field("user_count", "numeric", "query"),
        Field("user_mean", "numeric", "query"),
        categorical(ITEM, "candidate", len(items)),
        Field("item_count", "numeric", "candidate"),
        Field("item_mean", "numeric", "candidate"),
        Field("genres", "multivalent", "candidate", "genres", num_genres + FIRST_TOKEN, genres.shape[1], 1),
        Field("year", "numeric", "candidate"),
    )
    every = rows(features, rating=rating, liked=(rating >= 4).astype(np.float32), user_id=user)
    test = every.where(~train)
    data = TrainingData(every.where(train), no_rows(test), catalogue({f.name: features[f.name][:1] for f in fields}))
    return Problem(FeatureSpace(fields, ITEM, len(items)), data, test)


def _others(
    group: np.ndarray, rating: np.ndarray, counted: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return log count and mean of the group's counted ratings, without the row's own where `own`; standardised.

    Means are drawn towards the overall mean as if the group had five more ratings of it.
    """
    overall = float(rating[counted].mean())
    counts = np.bincount(group[counted], minlength=int(group.max()) + 1)[group] - own
    sums = np.bincount(group[counted], rating[counted], minlength=int(group.max()) + 1)[group] - rating * own
    mean = (sums + 5 * overall) / (counts + 5)
    numbers = (np.log1p(counts), mean)
    count, mean = ((x - x[counted].mean()) / x[counted].std() for x in numbers)
    return count.astype(np.float32), mean.astype(np.float32)


def _other_items(user: np.ndarray, item: np.ndarray, train: np.ndarray, length: int) -> np.ndarray:
    """Return up to `length` items that the row's user rated in train, the row's own left out."""
    by_user: dict[int, list[int]] = {}
    for u, i in zip(user[train], item[train], strict=True):
        by_user.setdefault(int(u), []).append(int(i))
    pairs = zip(user, item, strict=True)
    return lists([[x for x in by_user.get(int(u), [])[-length - 1 :] if x != i] for u, i in pairs], length)


def _metadata(read: Interactions, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the genres' ids and the standardised year of each row's item."""
    assert read.items is not None
    columns = (read.items[name].to_pylist() for name in (ITEM, "genres", "year"))
    table = {i: (genres or [], year) for i, genres, year in zip(*columns, strict=True)}
    names = sorted({genre for genres, _ in table.values() for genre in genres})
    number = {name: place + FIRST_TOKEN for place, name in enumerate(names)}
    genres = lists([[number[g] for g in table[i][0]] for i in item.astype(str)], 6)
    years = np.array([float(table[i][1] or np.nan) for i in item.astype(str)])
    years = (years - np.nanmean(years)) / np.nanstd(years)
    return genres, np.nan_to_num(years).astype(np.float32)
