"""Where interactions come from and how the timeline is cut."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section


class MovieLensSource(Section):
    """A MovieLens release in its official files."""

    kind: Literal["movielens_100k", "movielens_1m", "movielens_latest_small", "movielens_25m"]
    path: str | None = Field(None, description="Folder of the release; empty: ML-100K is obtained by itself.")


class Spans(Section):
    """Which of the dated folders that `{span}` in a path stands for are read: the newest, a named one, the last few."""

    last: int = Field(1, ge=1, description="How many; fewer where there are fewer.")
    until: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="The newest to be read; empty: of all.")


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
    path: str = Field(
        description="Interactions: .csv or .tfrecord, also with .gz, or .parquet; {span} stands for dated folders."
    )
    spans: Spans = Spans()
    columns: TableColumns = TableColumns()
    users_path: str | None = Field(None, description="User table; needs the column named by columns.user_id.")
    items_path: str | None = Field(None, description="Item table; needs the column named by columns.item_id.")
    list_columns: tuple[str, ...] = Field((), description="Columns that hold several values, '|' between them.")


class AdLogSource(Section):
    """Criteo's or Avazu's rows: displayed advertisements with their click, of anonymous users, for ranking models."""

    kind: Literal["criteo", "avazu"]
    path: str = Field(description="The file with labels, or the folder that holds it.")


class PageExamples(Section):
    """What becomes of a page that was shown."""

    per: Literal["page", "impression"] = Field(
        "page", description="page: one example, of the item clicked first; impression: one for each item shown."
    )
    pages_without_click: bool = Field(False, description="Keep pages on which nothing was clicked; per impression.")
    sampled_negatives: int = Field(0, ge=0, description="Items not on the page, drawn for each click; per impression.")
    seed: int = Field(42, description="Of the sampled items.")

    @model_validator(mode="after")
    def _of_impressions(self) -> PageExamples:
        if self.per == "page" and (self.pages_without_click or self.sampled_negatives):
            raise ValueError(
                "pages_without_click and sampled_negatives make examples of items that were not clicked. "
                "Expected them with per: impression"
            )
        return self


class PageColumns(Section):
    """Which fields of the service log hold what."""

    request_id: str = "request_id"
    user_id: str = "user_id"
    timestamp: str = "timestamp"
    history: str = Field("watch_history", description="Items watched before, oldest first; may be absent.")
    menu: str = Field("candidates", description="Items in slot order.")


class ClickColumns(Section):
    """Which fields of the click log hold what."""

    user_id: str = "user_id"
    timestamp: str = "timestamp"
    item_id: str = "item_id"


class GeneratedLogs(Section):
    """Service and click logs of a made-up TV menu, with items by a power law, position bias and known truth."""

    num_pages: int = Field(20_000, ge=1, description="Pages served.")
    num_users: int = Field(2_000, ge=1, description="Users; a few of them see most pages.")
    num_items: int = Field(200, ge=12, description="Rows that a page may offer.")
    num_programmes: int = Field(1_000, ge=20, description="Programmes that a watch history may hold.")
    num_days: int = Field(7, ge=1, description="Days, a span each.")
    first_day: str = Field("2025-06-02", pattern=r"^\d{4}-\d{2}-\d{2}$", description="The first of them.")
    seed: int = Field(7, ge=0, lt=1000, description="Of everything that is drawn.")


class ServiceLogsSource(Section):
    """Pages served, joined with clicks by user and item inside a click window.

    A click belongs to the newest page of its user that showed the item, where that is at most the window old.
    """

    kind: Literal["service_logs"]
    path: str = Field(description="Folder of the logs; both patterns are relative to it.")
    pages: str = Field("{span}/service-*", description="Service logs: .jsonl, .jsonl.gz or .parquet files.")
    clicks: str = Field("{span}/clicks-*", description="Click logs: .jsonl, .jsonl.gz or .parquet files.")
    page_columns: PageColumns = PageColumns()
    click_columns: ClickColumns = ClickColumns()
    items_path: str | None = Field(None, description="Item table with a column item_id.")
    click_window_seconds: int = Field(120, ge=0, description="A click later than this is not the page's.")
    max_records_per_user: int = Field(
        20_000, ge=1, description="Pages, and clicks, of one user beyond this are dropped and counted: robots."
    )
    examples: PageExamples = PageExamples()
    spans: Spans = Spans()
    generate: GeneratedLogs | None = Field(None, description="Make logs where the folder does not exist.")


class MindSource(Section):
    """MIND, the Microsoft news data set: behaviors.tsv and news.tsv."""

    kind: Literal["mind"]
    path: str = Field("data/mind", description="Folder of behaviors.tsv and news.tsv.")
    examples: PageExamples = PageExamples(per="impression")


class OpenBanditSource(Section):
    """The Open Bandit Dataset: one impression a row, with slot and propensity."""

    kind: Literal["open_bandit"]
    path: str = Field("data/open-bandit", description="Folder with a folder a policy.")
    policy: Literal["random", "bts"] = Field("random", description="Who chose the items: at random, or a bandit.")
    campaign: Literal["all", "men", "women"] = Field("all", description="Which part of the shop.")


Source = Annotated[
    MovieLensSource | TableSource | AdLogSource | ServiceLogsSource | MindSource | OpenBanditSource,
    Field(discriminator="kind"),
]


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
        5000,
        ge=0,
        description="How many earlier items an evaluation row carries, to be removed from the ranking; 0 where people "
        "choose the same again.",
    )
    relevant_at_least: float | None = Field(
        None, description="Rating from which an interaction is relevant to retrieval; empty: every interaction is."
    )
    liked_at_least: float = Field(4.0, description="Rating from which a row is positive for a ranking model.")
    schema_path: str | None = Field(None, description="Curated schema (.pbtxt); empty: inferred from the train split.")
