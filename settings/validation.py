"""How far data may move before a run stops: from the data of the run before, and from what serving is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from settings.section import Section


class DistanceRule(Section):
    """How far the distribution of one raw column may be from another one of it."""

    feature: str = Field(description="Raw column.")
    at_most: float = Field(gt=0, le=1, description="Largest distance that passes; both measures lie in 0..1.")
    measure: Literal["jensen_shannon", "l_infinity"] = Field(
        "jensen_shannon",
        description="jensen_shannon: divergence, of numbers and of tokens; l_infinity: the largest change of one "
        "token's share.",
    )


class ValidationSettings(Section):
    """Rules beyond the schema, checked on train before anything is trained; what breaks one stops the run."""

    drift: tuple[DistanceRule, ...] = Field((), description="Against the latest other data that passed validation.")
    skew: tuple[DistanceRule, ...] = Field((), description="Against the requests in `requests_path`.")
    requests_path: str | None = Field(
        None, description="Requests that serving was asked, raw rows as tf.Examples: a .tfrecord or .tfrecord.gz file."
    )

    @model_validator(mode="after")
    def _requests_for_skew(self) -> ValidationSettings:
        if bool(self.skew) != (self.requests_path is not None):
            raise ValueError(
                "skew and requests_path belong together: rules, and the requests to compare with. Received only "
                f"{'skew' if self.skew else 'requests_path'}"
            )
        return self
