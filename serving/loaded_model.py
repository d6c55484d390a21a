"""A pushed model in this process, asked by name."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compat import v1

Arrays = dict[str, np.ndarray]
_CATALOGUE_SIZE = "catalogue_size/.ATTRIBUTES/VARIABLE_VALUE"


class LoadedModel:
    """A SavedModel whose inputs may be left out where they have a default, as in TF Serving.

    As there, a session runs it, and on processors in the thread that asks: of a small request's time most went into
    calls of TensorFlow 2 and into handing operations between threads.

    Args:
      model_dir: folder of the SavedModel.

    Attributes:
      model_dir: the folder.
      inputs: by signature and input, dtype and shape.
      defaults: by signature and input, what stands for an input that is left out.
      catalogue_size: number of items; None where the model does not tell.
    """

    def __init__(self, model_dir: str | Path) -> None:
        self.model_dir = Path(model_dir)
        self._session = v1.Session(graph=tf.Graph(), config=_config())
        with self._session.graph.as_default(), _without_advice():
            loaded = v1.saved_model.load(self._session, [tf.saved_model.SERVING], str(model_dir))
        self._signatures = {
            name: definition for name, definition in loaded.signature_def.items() if not name.startswith("__")
        }
        self.inputs = {name: _specs(definition.inputs) for name, definition in self._signatures.items()}
        self._outputs = {name: _specs(definition.outputs) for name, definition in self._signatures.items()}
        self.defaults = {
            name: {key: tf.make_ndarray(value) for key, value in definition.defaults.items()}
            for name, definition in self._signatures.items()
        }
        self._calls = {name: self._call(name) for name in self._signatures}
        self.catalogue_size = _catalogue_size(self.model_dir)

    def ask(self, signature: str, **inputs: Any) -> Arrays:
        """Return the outputs of a signature, by name.

        Args:
          signature: one of `inputs`.
          **inputs: arrays or what NumPy makes arrays of.
        """
        given = self.defaults[signature] | inputs
        arrays = [np.asarray(given[name], spec.dtype.as_numpy_dtype) for name, spec in self.inputs[signature].items()]
        return dict(zip(self._outputs[signature], self._calls[signature](*arrays), strict=True))

    def outputs(self, signature: str) -> dict[str, tf.TensorSpec]:
        """Return dtype and shape of a signature's outputs, by name."""
        return dict(self._outputs[signature])

    def user_ids(self) -> np.ndarray:
        """Return the ids of the stored users, bytes, in no order; none where the model does not tell."""
        # No signature: whoever may ask for recommendations may not list the users.
        told = getattr(tf.saved_model.load(str(self.model_dir)), "user_ids", None)
        return np.zeros(0, object) if told is None else told().numpy()

    def _call(self, signature: str) -> Callable[..., list[np.ndarray]]:
        """Return what maps a signature's inputs to its outputs, both in the order of their names."""
        definition = self._signatures[signature]
        tensors = (
            [self._session.graph.get_tensor_by_name(part[name].name) for name in sorted(part)]
            for part in (definition.outputs, definition.inputs)
        )
        call: Callable[..., list[np.ndarray]] = self._session.make_callable(*tensors)
        return call


def _config() -> v1.ConfigProto:
    config = v1.ConfigProto(inter_op_parallelism_threads=-1)
    if not tf.config.list_physical_devices("GPU"):  # what goes to and fro between devices needs threads
        config.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
    return config


def _specs(tensors: Any) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name)
        for name, info in sorted(tensors.items())
    }


def _catalogue_size(model_dir: Path) -> int | None:
    weights = tf.train.load_checkpoint(str(model_dir / "variables" / "variables"))
    return int(weights.get_tensor(_CATALOGUE_SIZE)) if weights.has_tensor(_CATALOGUE_SIZE) else None


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Keep TensorFlow from advising its other loader."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
