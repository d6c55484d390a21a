"""The MovieLens releases in their official files."""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.quarantine import Quarantine
from datasets.records import Records, number

_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_RATING = ["user_id", "item_id", "rating", "timestamp"]
_REMEDY = "Name the folder of the unpacked release with --data-path, or use data.source.kind: table"


def read_100k(folder: Path, quarantine: Quarantine) -> Interactions:
    """Read u.data, u.user and u.item (tabs, bars, latin-1, one column a genre), or the same as a package ships it."""
    if (folder / "ml-100k.inter").exists():
        return _read_100k_package(folder, quarantine)
    read = functools.partial(read_delimited, quoted=False, quarantine=quarantine)
    ratings = read(folder / "u.data", "\t", _RATING)
    users = read(folder / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip_code"])
    names = ["item_id", "title", "release_date", "video_release_date", "imdb_url", *_GENRES_100K]
    items = _identified(read(folder / "u.item", "|", names, encoding="latin-1"))
    flags = [items[genre].to_pylist() for genre in _GENRES_100K]
    genres = [
        [genre for genre, flag in zip(_GENRES_100K, row, strict=True) if flag == "1" and genre != "unknown"]
        for row in zip(*flags, strict=True)
    ]
    return Interactions(_events(ratings), _users(users), _items(items, genres), f"MovieLens 100K in {folder}")


def _read_100k_package(folder: Path, quarantine: Quarantine) -> Interactions:
    """Read the tables of RecBole's copy: tabs, a header line of `name:type`, the year apart from the title."""
    ratings, users, films = (
        _untyped(read_delimited(folder / f"ml-100k.{kind}", "\t", quoted=False, quarantine=quarantine))
        for kind in ("inter", "user", "item")
    )
    ratings.require(_RATING, _REMEDY)
    users.require(["user_id", "age"], _REMEDY)
    films.require(["item_id", "movie_title", "release_year", "class"], _REMEDY)
    items = _identified(films)
    # The one film of which nothing is known is misspelt there, as title and as year.
    title, year = (pc.replace_substring(items[name], "unkonwn", "unknown") for name in ("movie_title", "release_year"))
    dated = pc.binary_join_element_wise(title, pc.binary_join_element_wise("(", year, ")", ""), " ")
    title = pc.if_else(pc.fill_null(pc.match_substring_regex(year, r"^\d{4}$"), False), dated, title)
    genres = [
        [genre for genre in (text or "").split(" ") if genre and genre != "unknown"]
        for text in items["class"].to_pylist()
    ]
    return Interactions(
        _events(ratings),
        _users(users),
        _items(pa.table({"item_id": items["item_id"], "title": title}), genres),
        f"MovieLens 100K as the package recbole ships it, in {folder}",
    )


def _untyped(records: Records) -> Records:
    return records.renamed([name.partition(":")[0] for name in records.table.column_names])


def read_1m(folder: Path, quarantine: Quarantine) -> Interactions:
    """Read ratings.dat (or ratings.dat.gz), users.dat and movies.dat: `::` between fields, latin-1."""
    path = next((p for p in (folder / "ratings.dat", folder / "ratings.dat.gz") if p.exists()), folder / "ratings.dat")
    read = functools.partial(read_delimited, separator="::", quoted=False, quarantine=quarantine)
    ratings = read(path, names=_RATING)
    users = read(folder / "users.dat", names=["user_id", "gender", "age", "occupation", "zip_code"])
    items = _identified(read(folder / "movies.dat", names=["item_id", "title", "genres"], encoding="latin-1"))
    return Interactions(
        _events(ratings), _users(users), _items(items, _split_genres(items)), f"MovieLens 1M in {folder}"
    )


def read_csv_release(folder: Path, quarantine: Quarantine) -> Interactions:
    """Read ratings.csv and movies.csv of latest-small and 25M: headers, UTF-8, bars between genres."""
    read = functools.partial(read_delimited, quarantine=quarantine)
    ratings = _official(read(folder / "ratings.csv"), ["userId", "movieId", "rating", "timestamp"])
    items = _identified(_official(read(folder / "movies.csv"), ["movieId", "title", "genres"]))
    return Interactions(_events(ratings), None, _items(items, _split_genres(items)), f"MovieLens in {folder}")


def _official(records: Records, names: list[str]) -> Records:
    """Return the records, with the ids under the names that they have here."""
    records.require(names, _REMEDY)
    ours = {"userId": "user_id", "movieId": "item_id"}
    return records.renamed([ours.get(name, name) for name in records.table.column_names])


def _events(ratings: Records) -> pa.Table:
    events = ratings.typed(
        ratings.ids("user_id", "whole_number"),
        ratings.ids("item_id", "whole_number"),
        ratings.seconds("timestamp"),
        number("rating", pa.float32()),
    )
    return events.table.select(["user_id", "item_id", "timestamp", "rating"])


def _users(users: Records) -> pa.Table:
    """Return users with their age as a number."""
    return users.typed(users.ids("user_id", "whole_number"), number("age", pa.int64())).table


def _identified(items: Records) -> pa.Table:
    return items.typed(items.ids("item_id", "whole_number")).table


def _items(items: pa.Table, genres: list[list[str]]) -> pa.Table:
    """Return items with title, year (taken out of the title) and genres."""
    titles = pc.utf8_trim_whitespace(items["title"])
    found = pc.extract_regex(titles, r"\((?P<year>\d{4})\)(?: \(T?V\))?$")
    return pa.table(
        {
            "item_id": items["item_id"],
            "title": titles,
            "year": pc.cast(pc.struct_field(found, "year"), pa.int64()),
            "genres": pa.array(genres, pa.list_(pa.string())),
        }
    )


def _split_genres(items: pa.Table) -> list[list[str]]:
    return [
        [] if genres in (None, "(no genres listed)") else genres.split("|") for genres in items["genres"].to_pylist()
    ]
