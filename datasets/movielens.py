"""The MovieLens releases in their official files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets.delimited import numbers, read_delimited
from datasets.interactions import Interactions
from settings.errors import DataError

_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_RATING = ["user_id", "item_id", "rating", "timestamp"]


def read_100k(folder: Path) -> Interactions:
    """Read u.data, u.user and u.item (tabs, bars, latin-1, one column a genre), or the same as a package ships it."""
    if (folder / "ml-100k.inter").exists():
        return _read_100k_package(folder)
    ratings = read_delimited(folder / "u.data", "\t", _RATING)
    users = read_delimited(folder / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip_code"])
    names = ["item_id", "title", "release_date", "video_release_date", "imdb_url", *_GENRES_100K]
    items = read_delimited(folder / "u.item", "|", names, encoding="latin-1", quoted=False)
    flags = [items[genre].to_pylist() for genre in _GENRES_100K]
    genres = [
        [genre for genre, flag in zip(_GENRES_100K, row, strict=True) if flag == "1" and genre != "unknown"]
        for row in zip(*flags, strict=True)
    ]
    return Interactions(
        _events(folder / "u.data", ratings, 1),
        _with_age(folder / "u.user", users, 1),
        _items(items, genres),
        f"MovieLens 100K in {folder}",
    )


def _read_100k_package(folder: Path) -> Interactions:
    """Read the tables of RecBole's copy: tabs, a header line of `name:type`, the year apart from the title."""
    inter, user, item = (folder / f"ml-100k.{kind}" for kind in ("inter", "user", "item"))
    ratings, users, items = (_untyped(read_delimited(path, "\t", quoted=False)) for path in (inter, user, item))
    titles = pc.binary_join_element_wise(
        items["movie_title"], pc.binary_join_element_wise("(", pc.fill_null(items["release_year"], ""), ")", ""), " "
    )
    genres = [
        [genre for genre in (text or "").split(" ") if genre and genre != "unknown"]
        for text in items["class"].to_pylist()
    ]
    items = pa.table({"item_id": items["item_id"], "title": titles})
    return Interactions(
        _events(inter, ratings, 2),
        _with_age(user, users, 2),
        _items(items, genres),
        f"MovieLens 100K as the package recbole ships it, in {folder}",
    )


def _untyped(table: pa.Table) -> pa.Table:
    return table.rename_columns([name.partition(":")[0] for name in table.column_names])


def read_1m(folder: Path) -> Interactions:
    """Read ratings.dat (or ratings.dat.gz), users.dat and movies.dat: `::` between fields, latin-1."""
    path = next((p for p in (folder / "ratings.dat", folder / "ratings.dat.gz") if p.exists()), folder / "ratings.dat")
    ratings = read_delimited(path, "::", _RATING, quoted=False)
    users = read_delimited(folder / "users.dat", "::", ["user_id", "gender", "age", "occupation", "zip_code"])
    items = read_delimited(folder / "movies.dat", "::", ["item_id", "title", "genres"], "latin-1", quoted=False)
    return Interactions(
        _events(path, ratings, 1),
        _with_age(folder / "users.dat", users, 1),
        _items(items, _split_genres(items)),
        f"MovieLens 1M in {folder}",
    )


def read_csv_release(folder: Path) -> Interactions:
    """Read ratings.csv and movies.csv of latest-small and 25M: headers, UTF-8, bars between genres."""
    ratings = read_delimited(folder / "ratings.csv")
    items = read_delimited(folder / "movies.csv").rename_columns({"movieId": "item_id"})
    missing = {"userId", "movieId", "rating", "timestamp"} - set(ratings.column_names)
    if missing:
        raise DataError(f"{folder / 'ratings.csv'}: lacks columns {sorted(missing)}. Found: {ratings.column_names}")
    ratings = ratings.rename_columns({"userId": "user_id", "movieId": "item_id"})
    return Interactions(
        _events(folder / "ratings.csv", ratings, 2), None, _items(items, _split_genres(items)), f"MovieLens in {folder}"
    )


def _events(path: Path, ratings: pa.Table, first_line: int) -> pa.Table:
    return pa.table(
        {
            "user_id": ratings["user_id"],
            "item_id": ratings["item_id"],
            "timestamp": numbers(path, ratings, "timestamp", pa.int64(), first_line),
            "rating": numbers(path, ratings, "rating", pa.float32(), first_line),
        }
    )


def _with_age(path: Path, users: pa.Table, first_line: int) -> pa.Table:
    place = users.column_names.index("age")
    return users.set_column(place, "age", numbers(path, users, "age", pa.int64(), first_line))


def _items(items: pa.Table, genres: list[list[str]]) -> pa.Table:
    """Return items with title, year (taken out of the title) and genres."""
    found = pc.extract_regex(items["title"], r"\((?P<year>\d{4})\)\s*$")
    years = pc.cast(pc.struct_field(found, "year"), pa.int64())
    return pa.table(
        {
            "item_id": items["item_id"],
            "title": items["title"],
            "year": years,
            "genres": pa.array(genres, pa.list_(pa.string())),
        }
    )


def _split_genres(items: pa.Table) -> list[list[str]]:
    return [
        [] if genres in (None, "(no genres listed)") else genres.split("|") for genres in items["genres"].to_pylist()
    ]
