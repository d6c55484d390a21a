"""Chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class RandomScores(ModelParams):
    """Random vectors: what a model scores that has learnt nothing."""

    name: Literal["random"] = "random"
    task: ClassVar[Task] = "retrieval"
    trained: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    embedding_dim: int = Field(16, ge=1, description="Length of the random vectors; 1 gives everyone the same order.")

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the unfitted model."""
        from models.archetypes.random_scores import RandomScoresModel

        return RandomScoresModel(space, self.embedding_dim)
