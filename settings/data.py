"""Where interactions come from and how the timeline is cut."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from settings.section import Section


class MovieLensSource(Section):
    """A MovieLens release in its official files."""

    kind: Literal["movielens_100k", "movielens_1m", "movielens_latest_small", "movielens_25m"]
    path: str | None = Field(None, description="Folder of the release; empty: ML-100K is obtained by itself.")


class TableColumns(Section):
    """Which columns of one's own interaction table hold the four roles."""

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str = "timestamp"
    rating: str | None = Field(None, description="Column of the rating; empty: every row counts 1.0.")
    ids: Literal["auto", "whole_number", "text"] = Field(
        "auto", description="What ids have to be; auto: whole numbers where at least nine in ten are."
    )


class TableSource(Section):
    """One's own interactions: CSV, Parquet or TFRecord of tf.Examples, with user and item tables joined in by id."""

    kind: Literal["table"] = "table"
    path: str = Field(description="Interactions: .csv or .tfrecord, also with .gz, or .parquet.")
    columns: TableColumns = TableColumns()
    users_path: str | None = Field(None, description="User table; needs the column named by columns.user_id.")
    items_path: str | None = Field(None, description="Item table; needs the column named by columns.item_id.")
    list_columns: tuple[str, ...] = Field((), description="Columns that hold several values, '|' between them.")


class AdLogSource(Section):
    """Criteo's or Avazu's rows: displayed advertisements with their click, of anonymous users, for ranking models."""

    kind: Literal["criteo", "avazu"]
    path: str = Field(description="The file with labels, or the folder that holds it.")


Source = Annotated[MovieLensSource | TableSource | AdLogSource, Field(discriminator="kind")]


class GlobalTimeline(Section):
    """Train before t1, eval from t1 to before t2, test from t2 on; times chosen so that the shares come out.

    Events of one timestamp are never separated.
    """

    kind: Literal["global_timeline"] = "global_timeline"
    eval_share: float = Field(0.1, gt=0, lt=0.5, description="Share of the events in the eval split.")
    test_share: float = Field(0.1, gt=0, lt=0.5, description="Share of the events in the test split.")


class LeaveOneOut(Section):
    """Each user's last event is the test row, the one before it the eval row; ties in file order."""

    kind: Literal["leave_one_out"] = "leave_one_out"


Split = Annotated[GlobalTimeline | LeaveOneOut, Field(discriminator="kind")]


class BadRowSettings(Section):
    """Which rows are malformed, and how many of them a run puts up with."""

    max_share: float = Field(
        0.001,
        ge=0,
        le=1,
        description="Share of a file's rows that may be malformed and are set aside; more stop the run.",
    )
    earliest: date = Field(date(1971, 1, 1), description="Events before this day are malformed, as those to come are.")


class DataSettings(Section):
    """The interactions, their labels and the point-in-time features computed from them."""

    source: Source
    split: Split = GlobalTimeline()
    bad_rows: BadRowSettings = BadRowSettings()
    history_length: int = Field(50, ge=1, le=1000, description="How many earlier items a row carries, newest last.")
    seen_limit: int = Field(
        5000, ge=1, description="How many earlier items an evaluation row carries, to be removed from the ranking."
    )
    relevant_at_least: float | None = Field(
        None, description="Rating from which an interaction is relevant to retrieval; empty: every interaction is."
    )
    liked_at_least: float = Field(4.0, description="Rating from which a row is positive for a ranking model.")
    schema_path: str | None = Field(None, description="Curated schema (.pbtxt); empty: inferred from the train split.")
