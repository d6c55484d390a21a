"""How a model is trained, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from settings.errors import ConfigError
from settings.features import FeatureRecord
from settings.section import Section

Loss = Literal[
    "auto", "softmax", "menu_softmax", "sampled_softmax", "in_batch_softmax", "bce", "gbce", "bpr", "hinge", "mse"
]
# What each task can be trained by; the first is what `auto` means.
LOSSES: dict[str, tuple[Loss, ...]] = {
    "retrieval": ("softmax", "menu_softmax", "in_batch_softmax", "sampled_softmax", "bce", "gbce", "bpr", "hinge"),
    "ranking": ("bce", "mse"),
    "rating": ("mse",),
}
# Losses against sampled negatives.
SAMPLED: tuple[Loss, ...] = ("sampled_softmax", "bce", "gbce", "bpr", "hinge")


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
    negatives: Literal["uniform", "popularity", "in_batch"] = Field(
        "uniform",
        description="Where sampled negatives come from: the catalogue, each item alike or by its share of the train "
        "events, or the other items of the batch. A sampled softmax is corrected for it.",
    )
    num_hard_negatives: int = Field(
        0, ge=0, description="Of the negatives, only this many with the highest scores count, row by row; 0: all."
    )
    gbce_calibration: float = Field(0.75, ge=0, le=1, description="t of loss gbce; 0: plain bce.")
    negatives_a_click: int = Field(
        0, ge=0, description="Ranking: random items that are added as not clicked, for each click."
    )
    embedding_l2: float = Field(
        0.0, ge=0, description="lambda in lambda |table|² of every embedding table, added to a step's mean loss."
    )
    newest_window_only: bool = Field(
        False,
        description="Sequence models: learn from each user's newest history alone, as the papers' code does, not from "
        "the windows before it.",
    )
    position: str = Field(
        "",
        description="Ranking and rating: feature of the place at which a row was shown. A shallow tower learns its "
        "bias beside the model, which never sees it, and is left out when serving. Empty: none.",
    )
    early_stopping_patience: int = Field(3, ge=0, description="Epochs without a better eval loss; 0: never stop early.")
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="How the step size falls to 0 by the last of all epochs; constant: not at all."
    )
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs in which the step size first rises from 0.")
    gradient_clip_norm: float | None = Field(
        None, gt=0, description="Largest norm of the gradient of all weights together; longer ones are scaled down."
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32",
        description="What layers compute in; weights, losses and the exported model stay float32. mixed_float16 scales "
        "the loss. Worth it on GPUs with tensor cores, not on a CPU.",
    )
    jit: bool = Field(False, description="Compile the training step with XLA; on one device only.")
    devices: Literal["one", "all"] = Field(
        "one", description="all: every GPU of a machine trains on its share of each batch (without a GPU: every CPU)."
    )
    workers: int = Field(
        1,
        ge=1,
        description="Processes that train on their share of each batch. They are started on this machine, unless "
        "TF_CONFIG says that this process is one of a cluster's.",
    )
    warm_start: bool = Field(
        False,
        description="Start from the latest blessed model that was trained on other data; embeddings follow their "
        "tokens, whatever is new is initialised.",
    )
    checkpoint_minutes: float | None = Field(
        10.0,
        ge=0,
        description="Minutes of training that a kill may cost: the same run, started again, goes on from the last "
        "checkpoint. 0: several checkpoints a second; null: none.",
    )
    tensorboard: bool = Field(True, description="Write losses and step sizes for TensorBoard beside history.json.")
    seed: int = Field(42, description="Of initial weights, order of rows, dropout and negatives.")

    @model_validator(mode="after")
    def _possible(self) -> TrainingSettings:
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"training.warmup_epochs should be less than training.epochs, {self.epochs}, or the full learning_rate "
                f"is never reached. Received: {self.warmup_epochs:g}"
            )
        if self.jit and self.replicated:
            raise ValueError(
                "training.jit compiles the step of one device. Received: jit: true with "
                f"devices: {self.devices} and workers: {self.workers}. Leave out one of them"
            )
        if self.workers > self.batch_size:
            raise ValueError(
                f"training.batch_size, {self.batch_size}, is shared by training.workers, {self.workers}: expected at "
                "least one row each"
            )
        return self

    @property
    def replicated(self) -> bool:
        """Whether several devices or processes share a batch."""
        return self.devices == "all" or self.workers > 1

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

    def check(self, task: str, auto_loss: Loss | None, features: Sequence[FeatureRecord]) -> None:
        """Refuse settings that do not fit the model's task, the loss or the features.

        Args:
          task: the model's.
          auto_loss: what `auto` means for the model; None: what the task and catalogue suggest.
          features: of the configuration.

        Raises:
          ValueError: with the keys, what was found and what was expected.
        """
        loss = self.loss_of(task, auto_loss)
        sampled = loss in SAMPLED and task == "retrieval"
        if self.negatives != "uniform" and not sampled:
            raise ValueError(
                f"training.negatives: {self.negatives!r} has no effect on training.loss {loss!r} of a {task} model, "
                f"which samples none. Expected uniform, or for a retrieval model one of {', '.join(SAMPLED)}"
            )
        if self.negatives == "in_batch" and loss in ("sampled_softmax", "gbce"):
            instead = "loss in_batch_softmax" if loss == "sampled_softmax" else "loss bce, or other negatives"
            raise ValueError(f"training.negatives: 'in_batch' does not go with loss {loss!r}. Expected {instead}")
        if self.num_hard_negatives and (loss == "gbce" or not (sampled or loss == "in_batch_softmax")):
            expected = ", ".join(name for name in ("in_batch_softmax", *SAMPLED) if name != "gbce")
            raise ValueError(
                f"training.num_hard_negatives: {self.num_hard_negatives} has no effect on training.loss {loss!r} of a "
                f"{task} model. Expected 0, or for a retrieval model one of {expected}"
            )
        if sampled and self.negatives != "in_batch" and self.num_hard_negatives > self.num_negatives:
            raise ValueError(
                f"training.num_hard_negatives: {self.num_hard_negatives} of {self.num_negatives} negatives "
                "(training.num_negatives) cannot be taken. Expected at most as many"
            )
        if self.negatives_a_click and task != "ranking":
            raise ValueError(
                f"training.negatives_a_click: {self.negatives_a_click} is for ranking models, and this is a {task} "
                "model. Expected 0"
            )
        if self.position:
            self._check_position(task, features)

    def _check_position(self, task: str, features: Sequence[FeatureRecord]) -> None:
        """Refuse a position that is no feature of the query, or for a model that is not trained on rows shown."""
        if task == "retrieval":
            raise ValueError(
                f"training.position: {self.position!r} is for ranking and rating models, and this is a retrieval "
                "model. Expected it empty"
            )
        kinds = ("numeric", "categorical")
        fitting = [r.name for r in features if r.tower == "query" and getattr(r, "kind", "") in kinds]
        if self.position not in fitting:
            raise ValueError(
                "training.position: should be a numeric or categorical feature with `tower: query`, one of "
                f"{fitting}. Received: {self.position!r}"
            )
