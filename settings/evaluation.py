"""What is measured, on which slices, and what the gate asks for."""

from __future__ import annotations

from pydantic import Field

from settings.section import Section


class SliceSettings(Section):
    """One family of slices: the values of a raw feature, or buckets of a number."""

    feature: str = Field(description="Raw column: one of the data set's, or a computed one such as user_event_count.")
    boundaries: tuple[float, ...] = Field((), description="Cut a number here: [10, 50] gives <10, 10-50, >=50.")


class EvaluationSettings(Section):
    """Metrics and slices of the Evaluator."""

    top_k: tuple[int, ...] = Field((5, 10, 20), min_length=1, description="Cut-offs of the ranking metrics.")
    slices: tuple[SliceSettings, ...] = ()


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


class GateSettings(Section):
    """When a candidate is blessed. Non-finite or constant scores never are."""

    floors: tuple[Floor, ...] = ()
    popularity_metric: str | None = Field(
        None, description="Metric that must beat popularity's in the same evaluation."
    )
    min_popularity_lift: float = Field(0.0, ge=0, description="0.1: at least 10 % better than popularity.")
    regressions: tuple[Regression, ...] = ()
    min_queries: int = Field(50, ge=1, description="Slices with fewer queries are reported, not compared.")
