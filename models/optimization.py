"""The optimizer of a training: its step size over time, gradient clipping, loss scaling."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from settings.training import TrainingSettings


@keras.saving.register_keras_serializable(package="shortlist")
class RiseAndFall(keras.optimizers.schedules.LearningRateSchedule):
    """A step size that rises from 0, and falls to 0 at the last step.

        n <= w:    peak * n / w                                n = number of the step, from 1
        linear:    peak * (1 - p)                              p = (n - 1 - w) / (N - w)
        cosine:    peak * (1 + cos(pi p)) / 2
        constant:  peak

    Args:
      peak: the largest step size.
      steps: N, all steps of the training.
      warmup_steps: w, those in which it rises.
      shape: `constant`, `linear` or `cosine`.

    Call arguments:
      step: steps taken so far, an integer scalar.

    Returns:
      float32 scalar.

    Example:
      >>> schedule = RiseAndFall(peak=1.0, steps=6, warmup_steps=2, shape="linear")
      >>> [float(schedule(step)) for step in range(6)]
      [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    def __init__(self, peak: float, steps: int, warmup_steps: int, shape: str) -> None:
        super().__init__()
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.shape = shape

    def __call__(self, step: Any) -> Any:
        """Return the step size of the next step."""
        step = ops.cast(step, "float32")
        rising = (step + 1.0) / max(self.warmup_steps, 1)
        passed = ops.clip((step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1), 0.0, 1.0)
        falling = {
            "constant": ops.ones_like(passed),
            "linear": 1.0 - passed,
            "cosine": 0.5 * (1.0 + ops.cos(math.pi * passed)),
        }[self.shape]
        return self.peak * ops.minimum(rising, falling) if self.warmup_steps else self.peak * falling

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"peak": self.peak, "steps": self.steps, "warmup_steps": self.warmup_steps, "shape": self.shape}


@keras.saving.register_keras_serializable(package="shortlist")
class FusedAdam(keras.optimizers.Adam):
    """Adam in one operation a weight; that of Keras takes a dozen, and small models have many small weights.

        m <- m + (1 - b1) (g - m),   v <- v + (1 - b2) (g² - v)
        w <- w - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)

    Reference:
      Kingma, Ba: Adam: a method for stochastic optimization, 2014, https://arxiv.org/abs/1412.6980
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one weight."""
        place, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def make_optimizer(settings: TrainingSettings, steps_an_epoch: int, replicas: int = 1) -> keras.optimizers.Optimizer:
    """Return the optimizer.

    Args:
      settings: optimizer, step size, schedule, clipping and precision.
      steps_an_epoch: for the schedule.
      replicas: devices whose gradients are summed. Each clips its own to `gradient_clip_norm / replicas`, so that the
        sum is no longer than asked for.
    """
    kinds = {"adam": FusedAdam, "adagrad": keras.optimizers.Adagrad, "sgd": keras.optimizers.SGD}
    clip = settings.gradient_clip_norm
    optimizer = kinds[settings.optimizer](
        learning_rate=_step_size(settings, steps_an_epoch), global_clipnorm=clip / replicas if clip else None
    )
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.precision == "mixed_float16" else optimizer


def _step_size(settings: TrainingSettings, steps_an_epoch: int) -> float | RiseAndFall:
    if settings.learning_rate_schedule == "constant" and not settings.warmup_epochs:
        return settings.learning_rate
    return RiseAndFall(
        settings.learning_rate,
        steps=settings.epochs * steps_an_epoch,
        warmup_steps=round(settings.warmup_epochs * steps_an_epoch),
        shape=settings.learning_rate_schedule,
    )
