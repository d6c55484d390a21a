"""How a model is trained, whichever it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.errors import ConfigError
from settings.section import Section

Loss = Literal["auto", "softmax", "sampled_softmax", "in_batch_softmax", "bce", "bpr", "hinge", "mse"]
# What each task can be trained by; the first is what `auto` means.
LOSSES: dict[str, tuple[Loss, ...]] = {
    "retrieval": ("softmax", "in_batch_softmax", "sampled_softmax", "bce", "bpr", "hinge"),
    "ranking": ("bce", "mse"),
    "rating": ("mse",),
}


class TrainingSettings(Section):
    """Optimisation, losses and negatives."""

    epochs: int = Field(20, ge=1, description="At most this many passes over the train split.")
    batch_size: int = Field(512, ge=1, description="Rows a step; a sequence model's row is a whole history.")
    learning_rate: float = Field(1e-3, gt=0, description="Step size of the optimizer.")
    optimizer: Literal["adam", "adagrad", "sgd"] = Field("adam", description="Optimizer of all weights.")
    loss: Loss = Field(
        "auto",
        description="auto: what the model's paper trains by, where the model says so; otherwise bce for ranking, mse "
        "for rating; for retrieval softmax over the whole catalogue up to "
        "20,000 items, above that in_batch_softmax, or sampled_softmax for a sequence model.",
    )
    num_negatives: int = Field(128, ge=1, description="Negatives a step, where the loss samples them.")
    early_stopping_patience: int = Field(3, ge=0, description="Epochs without a better eval loss; 0: never stop early.")
    seed: int = Field(42, description="Of initial weights, order of rows, dropout and negatives.")

    def loss_of(self, task: str, instead_of_softmax: Loss | None = None) -> Loss:
        """Return the loss that a model of this task is trained by.

        Args:
          task: `retrieval`, `ranking` or `rating`.
          instead_of_softmax: what `auto` means for a retrieval model whose catalogue is too large for a softmax over
            all of it.

        Raises:
          ConfigError: the configured loss is for another task.

        Example:
          >>> TrainingSettings().loss_of("ranking"), TrainingSettings().loss_of("retrieval")
          ('bce', 'softmax')
          >>> TrainingSettings().loss_of("retrieval", "in_batch_softmax")
          'in_batch_softmax'
        """
        fitting = LOSSES[task]
        if self.loss == "auto":
            return instead_of_softmax if task == "retrieval" and instead_of_softmax else fitting[0]
        if self.loss not in fitting:
            raise ConfigError(
                f"training.loss: {self.loss!r} cannot train a {task} model. "
                f"Expected auto or one of {', '.join(fitting)}"
            )
        return self.loss
