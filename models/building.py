"""From hyperparameters to an untrained model."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.feature_space import FeatureSpace
from models.layers.linear_terms import LinearTerms
from models.registry import ModelParams


def build(params: ModelParams, space: FeatureSpace, position: str = "") -> keras.Model:
    """Return the untrained model with all its weights created.

    Args:
      params: which model.
      space: fields of the data.
      position: field of the place at which a row was shown, kept from the model; its bias is the layer
        `position_bias`, a part of the model for the optimizer's sake, which no call of the model goes through.
    """
    model = params.build(space.without(position))
    batch = {name: tf.constant(values) for name, values in space.sample(2).items()}
    if position:
        model.position_bias = LinearTerms([space.named(position)])
        model.position_bias(batch)
    model(batch)
    return model
