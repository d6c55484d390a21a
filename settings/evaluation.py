"""What is measured, on which slices, and what the gate asks for."""

from __future__ import annotations

from pydantic import Field, model_validator

from settings.section import Section

# Items of the lists that are kept for metrics of whole lists (coverage, novelty, diversity ...).
LIST_LENGTH = 50


class SliceSettings(Section):
    """One family of slices: the values of a raw feature, or buckets of a number."""

    feature: str = Field(
        description="Raw column: one of the data set's, a computed one such as user_event_count, or hour_of_day (UTC)."
    )
    boundaries: tuple[float, ...] = Field((), description="Cut a number here: [10, 50] gives <10, 10-50, >=50.")
    quantiles: int | None = Field(
        None, ge=2, le=20, description="Cut a number into this many buckets of about equal rows of the test split."
    )
    max_values: int = Field(
        50, ge=1, description="Values with the most rows that become slices; the rest together are `other`."
    )

    @model_validator(mode="after")
    def _cut_once(self) -> SliceSettings:
        if self.boundaries and self.quantiles:
            raise ValueError(f"slice on {self.feature!r}: has boundaries and quantiles. Expected one of them")
        return self


class RatingThresholds(Section):
    """From which rating on a row is relevant to NDCG by rating."""

    normal: float = Field(description="For example 3.5.")
    strict: float = Field(description="For example 4.5.")

    @model_validator(mode="after")
    def _ordered(self) -> RatingThresholds:
        if self.strict < self.normal:
            raise ValueError(f"rating_thresholds: strict ({self.strict}) should not lie below normal ({self.normal})")
        return self


class EvaluationSettings(Section):
    """Metrics and slices of the Evaluator."""

    top_k: tuple[int, ...] = Field((5, 10, 20), min_length=1, description="Cut-offs of the ranking metrics.")
    slices: tuple[SliceSettings, ...] = ()
    crosses: tuple[tuple[str, ...], ...] = Field(
        (), description="Features of `slices` to cross: [[gender, age]] gives a slice for each pair of their values."
    )
    rating_thresholds: RatingThresholds | None = Field(
        None, description="Also measure NDCG by rating, with a normal and a strict threshold."
    )

    propensity_column: str | None = Field(
        None,
        description="Raw column with the probability of showing the row's item, where logs hold it (Open Bandit: "
        "propensity_score): retrieval models are then also judged by what they would have earned.",
    )
    category_column: str = Field(
        "genres", description="Raw column of items that tells what kind they are: for variety and fit to the history."
    )

    @model_validator(mode="after")
    def _crosses_are_sliced(self) -> EvaluationSettings:
        features = [slices.feature for slices in self.slices]
        if len(set(features)) < len(features):
            raise ValueError(f"evaluation.slices: names a feature twice. Received: {', '.join(features)}")
        for cross in self.crosses:
            if len(set(cross)) < 2 or not set(cross) <= set(features):
                raise ValueError(
                    f"evaluation.crosses: {list(cross)} should name at least two different features of "
                    f"evaluation.slices: {', '.join(features) or 'none yet'}"
                )
        return self


class Floor(Section):
    """A metric must reach a bound on the overall slice, from the very first run on."""

    metric: str = Field(description="For example ndcg@10, auc, rmse.")
    at_least: float | None = None
    at_most: float | None = None


class Regression(Section):
    """A metric must not fall below the blessed baseline's by more than a share of it."""

    metric: str
    max_relative_loss: float = Field(0.02, ge=0, description="0.02: at most 2 % worse than the baseline, overall.")
    max_relative_loss_per_slice: float | None = Field(
        None, ge=0, description="The same for every slice with enough queries; empty: slices are not compared."
    )


class Fairness(Section):
    """A metric must not differ too much between the slices of a feature."""

    metric: str
    feature: str = Field(description="One of evaluation.slices.")
    max_ratio: float = Field(gt=1, description="1.5: the best slice is at most 1.5 times as good as the worst.")


class GateSettings(Section):
    """When a candidate is blessed. Non-finite or constant scores never are. See docs/evaluation.md."""

    floors: tuple[Floor, ...] = ()
    popularity_metric: str | None = Field(
        None, description="Metric that must beat popularity's in the same evaluation."
    )
    min_popularity_lift: float = Field(0.0, ge=0, description="0.1: at least 10 % better than popularity.")
    regressions: tuple[Regression, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of intervals; noise alone blocks or blesses with one minus this at most."
    )
    min_queries: int = Field(50, ge=1, description="Slices with fewer queries are reported, not compared.")
    min_total_queries: int = Field(
        20, ge=2, description="A test split with fewer queries blesses nothing; one query has no interval."
    )
    max_gap_closed: float = Field(
        0.95,
        gt=0,
        le=1,
        description="A model that closes a larger share of the gap between popularity and perfection, overall or on a "
        "slice, is taken to have seen the answers. 1: nothing is suspected.",
    )
