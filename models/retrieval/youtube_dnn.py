"""YouTube's candidate generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace
    from settings.features import FeatureRecord


@register
class YoutubeDnn(ModelParams):
    """Pooled history and all other query fields through a ReLU tower; each item has output weights and a bias."""

    name: Literal["youtube_dnn"] = "youtube_dnn"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Covington, Adams, Sargin 2016, Deep neural networks for YouTube recommendations, "
        "https://doi.org/10.1145/2959100.2959190"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ties_history: ClassVar[bool] = True
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(64, ge=1, description="Length of every token's vector.")
    hidden_units: tuple[int, ...] = Field(
        (256, 128, 64), min_length=1, description="ReLU layers; the output weights are as long as the last is wide."
    )
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field("mean", description="How the history is pooled.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")
    powers: bool = Field(
        False,
        description="Numbers also come as x² and sign(x) sqrt(|x|); the paper has x² and sqrt(x) of numbers in [0, 1).",
    )
    example_age: str = Field(
        "",
        description="Standardized numeric query feature of the event's time; served as the newest. Empty: none.",
    )

    def check_features(self, features: Sequence[FeatureRecord]) -> None:
        """Refuse an example age that is no numeric feature of the query."""
        super().check_features(features)
        numbers = [r.name for r in features if getattr(r, "kind", "") == "numeric" and r.tower == "query"]
        if self.example_age and self.example_age not in numbers:
            raise ValueError(
                f"model.example_age should be empty or a numeric feature with `tower: query`, one of {numbers}. "
                f"Received: {self.example_age!r}"
            )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers import TowersModel
        from models.layers.dense_tower import DenseTower
        from models.layers.id_vector import IdVector
        from models.layers.newest_when_serving import NewestWhenServing
        from models.layers.with_one import WithOne

        _, item = space.history_and_item(self.name)
        query = DenseTower(
            space.query(),
            self.embedding_dim,
            self.hidden_units,
            list_pooling=self.pooling,
            dropout=self.dropout,
            powers=self.powers,
        )
        aged = NewestWhenServing(query, self.example_age) if self.example_age else query
        return TowersModel(WithOne(aged), IdVector(item, self.hidden_units[-1] + 1))
