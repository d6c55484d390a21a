"""How a pushed model answers."""

from __future__ import annotations

from pydantic import Field, model_validator

from settings.section import Section


class ServingSettings(Section):
    """The cold-start ladder of `recommend`: popularity, then similar items, then the model."""

    min_events_for_similar_items: int = Field(
        1, ge=1, description="Events from which items similar to them are shown; with fewer, what is popular."
    )
    min_events_for_model: int = Field(
        3,
        ge=0,
        description="Events from which the model answers; with fewer, similar items. 0: the model answers whoever is "
        "known or comes with a history or a context.",
    )
    popularity_window_days: float | None = Field(
        None, gt=0, description="Popular is what was chosen in the last so many days of train; empty: in all of it."
    )
    scores_a_block: int = Field(
        4_194_304,
        ge=1,
        description="Scores of users by items that a retrieval model holds at a time, when it serves and when it is "
        "evaluated; those of one user at least.",
    )

    @model_validator(mode="after")
    def _rising(self) -> ServingSettings:
        if 0 < self.min_events_for_model < self.min_events_for_similar_items:
            raise ValueError(
                f"min_events_for_model ({self.min_events_for_model}) should not be below min_events_for_similar_items "
                f"({self.min_events_for_similar_items})"
            )
        return self
