"""From hyperparameters to an untrained model."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.feature_space import FeatureSpace
from models.registry import ModelParams


def build(params: ModelParams, space: FeatureSpace) -> keras.Model:
    """Return the untrained model with all its weights created."""
    model = params.build(space)
    model({name: tf.constant(values) for name, values in space.sample(2).items()})
    return model
