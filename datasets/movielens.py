"""The MovieLens releases in their official files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets.delimited import read_delimited
from datasets.interactions import Interactions
from datasets.records import Records

_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_RATING = ["user_id", "item_id", "rating", "timestamp"]
_REMEDY = "Name the folder of the unpacked release with --data-path, or use data.source.kind: table"


def read_100k(folder: Path) -> Interactions:
    """Read u.data, u.user and u.item (tabs, bars, latin-1, one column a genre), or the same as a package ships it."""
    if (folder / "ml-100k.inter").exists():
        return _read_100k_package(folder)
    ratings = read_delimited(folder / "u.data", "\t", _RATING, quoted=False)
    users = read_delimited(folder / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip_code"], quoted=False)
    names = ["item_id", "title", "release_date", "video_release_date", "imdb_url", *_GENRES_100K]
    items = read_delimited(folder / "u.item", "|", names, encoding="latin-1", quoted=False)
    flags = [items.table[genre].to_pylist() for genre in _GENRES_100K]
    genres = [
        [genre for genre, flag in zip(_GENRES_100K, row, strict=True) if flag == "1" and genre != "unknown"]
        for row in zip(*flags, strict=True)
    ]
    return Interactions(_events(ratings), _users(users), _items(items, genres), f"MovieLens 100K in {folder}")


def _read_100k_package(folder: Path) -> Interactions:
    """Read the tables of RecBole's copy: tabs, a header line of `name:type`, the year apart from the title."""
    ratings, users, items = (
        _untyped(read_delimited(folder / f"ml-100k.{kind}", "\t", quoted=False)) for kind in ("inter", "user", "item")
    )
    ratings.require(_RATING, _REMEDY)
    users.require(["user_id", "age"], _REMEDY)
    items.require(["item_id", "movie_title", "release_year", "class"], _REMEDY)
    # The one film of which nothing is known is misspelt there, as title and as year.
    title, year = (
        pc.replace_substring(items.table[name], "unkonwn", "unknown") for name in ("movie_title", "release_year")
    )
    dated = pc.binary_join_element_wise(title, pc.binary_join_element_wise("(", year, ")", ""), " ")
    title = pc.if_else(pc.fill_null(pc.match_substring_regex(year, r"^\d{4}$"), False), dated, title)
    genres = [
        [genre for genre in (text or "").split(" ") if genre and genre != "unknown"]
        for text in items.table["class"].to_pylist()
    ]
    titled = Records(items.path, pa.table({"item_id": items.table["item_id"], "title": title}), items.line_of)
    return Interactions(
        _events(ratings),
        _users(users),
        _items(titled, genres),
        f"MovieLens 100K as the package recbole ships it, in {folder}",
    )


def _untyped(records: Records) -> Records:
    names = [name.partition(":")[0] for name in records.table.column_names]
    return Records(records.path, records.table.rename_columns(names), records.line_of)


def read_1m(folder: Path) -> Interactions:
    """Read ratings.dat (or ratings.dat.gz), users.dat and movies.dat: `::` between fields, latin-1."""
    path = next((p for p in (folder / "ratings.dat", folder / "ratings.dat.gz") if p.exists()), folder / "ratings.dat")
    ratings = read_delimited(path, "::", _RATING, quoted=False)
    names = ["user_id", "gender", "age", "occupation", "zip_code"]
    users = read_delimited(folder / "users.dat", "::", names, quoted=False)
    items = read_delimited(folder / "movies.dat", "::", ["item_id", "title", "genres"], "latin-1", quoted=False)
    return Interactions(
        _events(ratings), _users(users), _items(items, _split_genres(items)), f"MovieLens 1M in {folder}"
    )


def read_csv_release(folder: Path) -> Interactions:
    """Read ratings.csv and movies.csv of latest-small and 25M: headers, UTF-8, bars between genres."""
    ratings = _official(read_delimited(folder / "ratings.csv"), ["userId", "movieId", "rating", "timestamp"])
    items = _official(read_delimited(folder / "movies.csv"), ["movieId", "title", "genres"])
    return Interactions(_events(ratings), None, _items(items, _split_genres(items)), f"MovieLens in {folder}")


def _official(records: Records, names: list[str]) -> Records:
    """Return the named columns, with the ids under the names that they have here."""
    records.require(names, _REMEDY)
    ours = {"userId": "user_id", "movieId": "item_id"}
    table = records.table.select(names).rename_columns([ours.get(name, name) for name in names])
    return Records(records.path, table, records.line_of)


def _events(ratings: Records) -> pa.Table:
    return pa.table(
        {
            "user_id": ratings.ids("user_id"),
            "item_id": ratings.ids("item_id"),
            "timestamp": ratings.numbers("timestamp", pa.int64()),
            "rating": ratings.numbers("rating", pa.float32()),
        }
    )


def _users(users: Records) -> pa.Table:
    """Return users with their age as a number."""
    columns = {name: users.table[name] for name in users.table.column_names}
    return pa.table(columns | {"user_id": users.ids("user_id"), "age": users.numbers("age", pa.int64())})


def _items(items: Records, genres: list[list[str]]) -> pa.Table:
    """Return items with title, year (taken out of the title) and genres."""
    titles = pc.utf8_trim_whitespace(items.table["title"])
    found = pc.extract_regex(titles, r"\((?P<year>\d{4})\)(?: \(T?V\))?$")
    return pa.table(
        {
            "item_id": items.ids("item_id"),
            "title": titles,
            "year": pc.cast(pc.struct_field(found, "year"), pa.int64()),
            "genres": pa.array(genres, pa.list_(pa.string())),
        }
    )


def _split_genres(items: Records) -> list[list[str]]:
    return [
        [] if genres in (None, "(no genres listed)") else genres.split("|")
        for genres in items.table["genres"].to_pylist()
    ]
