"""How a pushed model answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from models.registry import ModelParams, parse_params
from settings.section import Section
from settings.training import TrainingSettings


def _parsed(value: Any) -> ModelParams | None:
    return None if value is None else parse_params(value)


class ServingSettings(Section):
    """What `recommend` is made of: the cold-start ladder, the stages of the model, the index of its items."""

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
    popularity_segment: str | None = Field(
        None, description="Categorical query feature: popular is what its users chose; empty: what all did."
    )
    retrieval_model: Annotated[SerializeAsAny[ModelParams] | None, BeforeValidator(_parsed)] = Field(
        None,
        description="Retrieval model, trained beside a ranking or rating `model` and exported with it: it finds "
        "`num_retrieved` items, which `model` then ranks. Empty: `model` scores the whole catalogue.",
    )
    retrieval_training: TrainingSettings = Field(TrainingSettings(), description="How `retrieval_model` is trained.")
    num_retrieved: int = Field(200, ge=1, description="Items that a second stage, or `diversity`, orders anew.")
    diversity: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Weight of being unlike the items above against the model's score (MMR); 0: by score alone.",
    )
    exact_up_to_items: int = Field(
        100_000, ge=0, description="Catalogues up to this size are searched exactly, larger ones by an index."
    )
    min_index_recall: float = Field(
        0.98, gt=0, le=1, description="Share of the exact ten best that the index must find, or the model is refused."
    )

    @model_validator(mode="after")
    def _coherent(self) -> ServingSettings:
        if 0 < self.min_events_for_model < self.min_events_for_similar_items:
            raise ValueError(
                f"min_events_for_model ({self.min_events_for_model}) should not be below min_events_for_similar_items "
                f"({self.min_events_for_similar_items})"
            )
        if self.retrieval_model is not None and self.retrieval_model.task != "retrieval":
            raise ValueError(
                f"retrieval_model: {self.retrieval_model.name!r} is a {self.retrieval_model.task} model. Expected one "
                "of the retrieval models that `python pipeline.py models` lists"
            )
        return self
