"""How a model is trained, whichever it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.section import Section


class TrainingSettings(Section):
    """Optimisation, losses and negatives."""

    epochs: int = Field(20, ge=1, description="At most this many passes over the train split.")
    batch_size: int = Field(512, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    optimizer: Literal["adam", "adagrad", "sgd"] = "adam"
    loss: Literal["auto", "softmax", "sampled_softmax", "in_batch_softmax", "bce", "bpr", "mse"] = Field(
        "auto", description="auto: softmax for retrieval, bce for ranking, mse for rating."
    )
    num_negatives: int = Field(128, ge=1, description="Negatives a positive, where the loss samples them.")
    early_stopping_patience: int = Field(3, ge=0, description="Epochs without a better eval loss; 0: never stop early.")
    seed: int = 42
