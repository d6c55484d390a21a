"""A tower over the watch history and one over the page's menu, and a softmax over the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from models.registry import ModelParams, Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class TwoTowerSoftmax(ModelParams):
    """Pooled history beside pooled menu through dense layers; each item has output weights and a bias of its own.

        logits = W MLP([pool_t e(h_t), pool_s e(m_s)]) + b

    The history may be of other things than the items (programmes, where the items are rows of a page). The menu is the
    multivalent query feature that shares the items' vocabulary; without one the second tower is left out.
    """

    name: Literal["two_tower_softmax"] = "two_tower_softmax"
    task: ClassVar[Task] = "retrieval"
    paper: ClassVar[str] = (
        "The candidate generation of Covington, Adams, Sargin 2016, https://doi.org/10.1145/2959100.2959190, with a "
        "second tower over what the page offers"
    )
    needs: ClassVar[tuple[str, ...]] = ("sequence",)
    ids: ClassVar[tuple[str, ...]] = ("item_id",)

    embedding_dim: int = Field(
        64, ge=1, description="Length of the vectors of watched things and of items on the menu."
    )
    hidden_units: tuple[int, ...] = Field(
        (256, 128, 64),
        min_length=1,
        description="Dense layers; the items' output weights are as long as the last is wide.",
    )
    pooling: Literal["mean", "sum", "sqrtn", "recency"] = Field("mean", description="How history and menu are pooled.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the hidden values set to 0 in training.")
    menu_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of pages trained as if the menu were unknown, as it is when there is no page.",
    )

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model.

        Raises:
          ConfigError: there is no item id, or no sequence of the query.
        """
        from models.archetypes.towers import TowersModel
        from models.layers.dense_tower import DenseTower
        from models.layers.id_vector import IdVector
        from models.layers.with_one import WithOne
        from models.layers.withheld_field import WithheldField
        from settings.errors import ConfigError

        history = next((field for field in space.query() if field.kind == "sequence"), None)
        menu, item = space.menu(), space.item()
        if history is None or item is None:
            raise ConfigError(
                "features: model 'two_tower_softmax' needs a sequence with `tower: query` and a categorical feature of "
                "column 'item_id' with `tower: candidate`"
            )
        fields = [history] if menu is None else [history, menu]
        query = DenseTower(
            fields, self.embedding_dim, self.hidden_units, list_pooling=self.pooling, dropout=self.dropout
        )
        answering = query if menu is None else WithheldField(query, menu.name, self.menu_dropout)
        return TowersModel(WithOne(answering), IdVector(item, self.hidden_units[-1] + 1))
