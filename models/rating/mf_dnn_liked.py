"""Factorization with dense layers on each side, for cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from models.rating.mf_dnn import MfDnn
from models.registry import Task, register

if TYPE_CHECKING:
    import keras

    from models.feature_space import FeatureSpace


@register
class MfDnnLiked(MfDnn):
    """The towers of `mf_dnn`, trained by cross entropy on whether a row was liked; answers with that probability."""

    name: Literal["mf_dnn_liked"] = "mf_dnn_liked"  # type: ignore[assignment]
    task: ClassVar[Task] = "ranking"

    def build(self, space: FeatureSpace) -> keras.Model:
        """Return the untrained model."""
        from models.archetypes.joint_towers import JointTowersModel

        return JointTowersModel(*self.towers_of(space))
