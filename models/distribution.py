"""The devices and processes that share the rows of a batch."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from settings.errors import ConfigError
from settings.training import TrainingSettings

# Set by TensorFlow's convention: `{"cluster": {"worker": [addresses]}, "task": {"type": "worker", "index": 0}}`.
TF_CONFIG = "TF_CONFIG"


def make_strategy(settings: TrainingSettings) -> tf.distribute.Strategy:
    """Return how a batch is shared; in a process of several workers, to be called before anything else of TensorFlow.

    Raises:
      ConfigError: TF_CONFIG names another number of workers than `training.workers`.
    """
    if settings.workers > 1:
        cluster = json.loads(os.environ.get(TF_CONFIG, "{}")).get("cluster", {})
        found = sum(len(cluster.get(kind, ())) for kind in ("chief", "worker"))
        if found != settings.workers:
            raise ConfigError(
                f"training.workers: {settings.workers} expects a {TF_CONFIG} with as many workers. Received: {found}"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if settings.devices == "all":
        gpus = tf.config.list_logical_devices("GPU")
        devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
        # The collective operations that TensorFlow takes on CPUs fail in the second training of a process.
        return tf.distribute.MirroredStrategy(devices, None if gpus else tf.distribute.ReductionToOneDevice())
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one that writes: the only one, or the first of several workers."""
    resolver = strategy.cluster_resolver
    return resolver is None or resolver.task_type in (None, "chief") or not resolver.task_id


def shares(numbers: tf.Tensor, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """Return the part of a batch's row numbers that the calling replica trains on: every n-th.

    Example:
      >>> shares(tf.constant([4, 1, 3]), tf.distribute.get_strategy()).numpy().tolist()
      [4, 1, 3]
    """
    context = tf.distribute.get_replica_context()
    return numbers[context.replica_id_in_sync_group :: strategy.num_replicas_in_sync]
