"""Two towers: who asks, and what is on offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class TwoTower(ModelParams):
    """Query tower and candidate tower over all their fields, an inner product or a cosine between them."""

    name: Literal["two_tower"] = "two_tower"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "Yi et al. 2019, Sampling-bias-corrected neural modeling, https://doi.org/10.1145/3298689.3346996"
    )
    towers: ClassVar[tuple[str, ...]] = ("query", "candidate")

    embedding_dim: int = Field(64, ge=1, description="Length of the towers' outputs and of every token's vector.")
    query_hidden_units: tuple[int, ...] = Field((), description="Hidden layers of the query tower.")
    candidate_hidden_units: tuple[int, ...] = Field((), description="Hidden layers of the candidate tower.")
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field(
        "recency", description="How a history becomes one vector; recency learns a weight for each position."
    )
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score of a query with an item.")
    temperature: float = Field(0.1, gt=0, description="The cosine is divided by it.")
    share_item_table: bool = Field(True, description="The history looks its items up in the candidate tower's table.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of the towers' outputs and hidden values dropped.")
    user_id_dropout: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="Share of rows trained as if the user's id were unknown, so that the rest speaks for new users.",
    )
    item_id_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of items trained as if their id were unknown, so that metadata speak for new ones.",
    )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.towers import TowersModel
        from models.layers.field_vectors import token_tables
        from models.layers.tower import Tower

        tables = token_tables(space.fields, self.embedding_dim) if self.share_item_table else None
        query = Tower(
            space.query(),
            self.embedding_dim,
            self.query_hidden_units,
            self.pooling,
            self.dropout,
            forgotten=space.user(),
            forgotten_share=self.user_id_dropout,
            tables=tables,
        )
        candidate = Tower(
            space.candidate(),
            self.embedding_dim,
            self.candidate_hidden_units,
            dropout=self.dropout,
            forgotten=space.item(),
            forgotten_share=self.item_id_dropout,
            tables=tables,
        )
        return TowersModel(query, candidate, self.similarity, self.temperature)
