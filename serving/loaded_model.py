"""A pushed model in this process, asked by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

Arrays = dict[str, np.ndarray]


class LoadedModel:
    """A SavedModel whose inputs may be left out where they have a default, as in TF Serving.

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
        self._loaded = tf.saved_model.load(str(model_dir))
        self._signatures = dict(self._loaded.signatures)
        self.inputs: dict[str, dict[str, tf.TensorSpec]] = {
            name: dict(signature.structured_input_signature[1]) for name, signature in self._signatures.items()
        }
        self.defaults = _defaults(self.model_dir / "saved_model.pb")
        size = getattr(self._loaded, "catalogue_size", None)
        self.catalogue_size = None if size is None else int(size.numpy())

    def ask(self, signature: str, **inputs: Any) -> Arrays:
        """Return the outputs of a signature, by name.

        Args:
          signature: one of `inputs`.
          **inputs: tensors or what TensorFlow makes tensors of.
        """
        wanted = self.inputs[signature]
        given = self.defaults.get(signature, {}) | inputs
        tensors = {name: tf.convert_to_tensor(given[name], wanted[name].dtype) for name in wanted}
        return {name: values.numpy() for name, values in self._signatures[signature](**tensors).items()}

    def outputs(self, signature: str) -> dict[str, tf.TensorSpec]:
        """Return dtype and shape of a signature's outputs, by name."""
        return dict(self._signatures[signature].structured_outputs)

    def user_ids(self) -> np.ndarray:
        """Return the ids of the stored users, bytes, in no order; none where the model does not tell."""
        told = getattr(self._loaded, "user_ids", None)
        return np.zeros(0, object) if told is None else told().numpy()


def _defaults(path: Path) -> dict[str, dict[str, tf.Tensor]]:
    """Return the default inputs that the SavedModel declares; TensorFlow's loader passes over them."""
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    return {
        name: {key: tf.constant(tf.make_ndarray(value)) for key, value in definition.defaults.items()}
        for name, definition in saved.meta_graphs[0].signature_def.items()
    }
