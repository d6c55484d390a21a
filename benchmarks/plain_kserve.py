"""The same SavedModel behind KServe's Python server as its documentation shows it: one request, one call of the model.

Run by `benchmarks.serving` with the Python of an environment that holds kserve and tensorflow and no Shortlist.
"""

from __future__ import annotations

import argparse
from typing import Any

import kserve
import tensorflow as tf

# As Shortlist's server has it; TensorFlow wants to know before its first tensor.
tf.config.threading.set_inter_op_parallelism_threads(1)
_OPTIONAL: dict[str, Any] = {
    "user_id": tf.zeros([0], tf.string),
    "context": tf.zeros([0], tf.string),
    **{name: tf.zeros([0, 0], tf.string) for name in ("history", "exclude", "filter")},
}


class Recommender(kserve.Model):
    """Answers `recommend`."""

    def __init__(self, name: str, model_dir: str) -> None:
        super().__init__(name)
        self._loaded = tf.saved_model.load(model_dir)
        self.ready = True

    async def predict(self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None) -> Any:
        """Return the outputs as lists."""
        inputs = payload["inputs"]
        tensors = {name: tf.constant(inputs[name]) if name in inputs else none for name, none in _OPTIONAL.items()}
        answer = self._loaded.signatures["recommend"](k=tf.constant(inputs["k"]), **tensors)
        return {"outputs": {name: _texts(values.numpy().tolist()) for name, values in answer.items()}}


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(entry) for entry in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--saved-model", required=True)
    options, _ = parser.parse_known_args()
    kserve.ModelServer().start([Recommender(options.model_name, options.saved_model)])
