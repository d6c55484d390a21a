"""What a training step minimises: which rows, which positives and negatives, which loss."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from models import losses
from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.feature_space import CATALOGUE_INDEX
from models.training_data import Arrays, Catalogue, Rows

# Key of a batch that holds the labels.
LABEL = "label"


class Objective(Protocol):
    """Train and eval rows as batches, and the loss of a batch."""

    train: Arrays
    eval: Arrays

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of a batch and what it is to be divided by."""
        ...


class RowObjective:
    """Ranking and rating models: the loss of each row's score with its label.

    Args:
      name: `bce` or `mse`.
      train: rows to train on.
      evaluation: rows to stop by.
      labels: `liked` or `rating`, an attribute of `Rows`.
    """

    def __init__(self, name: str, train: Rows, evaluation: Rows, labels: str) -> None:
        self._loss = losses.OF_ROWS[name]
        self.train = _labelled(train, labels)
        self.eval = _labelled(evaluation, labels)

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss, with the model's penalty in training, and the number of rows."""
        values = self._loss(in_float32(model(batch, training=training)), batch[LABEL])
        if training and hasattr(model, "penalty"):
            values = values + in_float32(model.penalty(batch))
        return ops.sum(values), ops.cast(ops.shape(values)[0], values.dtype)


class RetrievalObjective:
    """Retrieval models: the item that was chosen against others of the catalogue.

        softmax           against the whole catalogue
        sampled_softmax   against K items drawn uniformly, scores corrected by log(number of items / K)
        in_batch_softmax  against the other items of the batch, scores corrected by -log(share of the item in train)
        bce, bpr, hinge   against K items drawn uniformly

    Negatives that are the positive are removed. The eval loss is always that of the last item of a history: by the
    whole catalogue where training is (`softmax`), else by the same loss.

    Args:
      name: the loss.
      num_negatives: K.
      train: rows to train on.
      evaluation: rows to stop by.
      catalogue: the items.
      item_counts: `(num_items,)`, how often each item was chosen in train.
      seed: of the negatives.
    """

    def __init__(
        self,
        name: str,
        num_negatives: int,
        train: Rows,
        evaluation: Rows,
        catalogue: Catalogue,
        item_counts: np.ndarray,
        seed: int,
    ) -> None:
        self.name = name
        self.num_items = len(catalogue)
        self.num_negatives = num_negatives
        self.items = {key: ops.convert_to_tensor(values) for key, values in catalogue.features.items()}
        self.seeds = keras.random.SeedGenerator(seed)
        self.train = dict(train.features)
        self.eval = dict(evaluation.features)
        share = np.maximum(item_counts, 1.0) / max(item_counts.sum(), 1.0)
        self.log_share = ops.convert_to_tensor(np.log(share).astype(np.float32))

    def loss(self, model: RetrievalModel, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of the batch's positives and how many they are."""
        query = model.encode_query(batch, training=training)
        values = self.against_others(model, query, batch[CATALOGUE_INDEX], training)
        if training and hasattr(model, "penalty"):
            values = values + in_float32(model.penalty(batch))
        return ops.sum(values), ops.cast(ops.shape(values)[0], values.dtype)

    def against_others(self, model: RetrievalModel, query: Any, positive: Any, training: bool) -> Any:
        """Return the loss of each query, float32 `(num_rows,)`.

        Args:
          model: scores.
          query: float32 `(num_rows, dim)`.
          positive: int64 `(num_rows,)`, catalogue positions.
          training: passed on to the model.
        """
        if self.name == "softmax":
            candidate = model.encode_candidate(self.items, training=training)
            return losses.softmax(in_float32(model.score(query, candidate)), positive)
        if self.name == "in_batch_softmax":
            return self._in_batch(model, query, positive, training)
        drawn = keras.random.randint((self.num_negatives,), 0, self.num_items, seed=self.seeds)
        negatives = in_float32(model.score(query, self._encode(model, drawn, training)))  # (num_rows, num_negatives)
        if self.name == "sampled_softmax":
            negatives = negatives + float(np.log(self.num_items / self.num_negatives))
        negatives = removed(negatives, ops.cast(drawn, positive.dtype)[None, :] == positive[:, None])
        own = in_float32(model.score_pairs(query, self._encode(model, positive, training)))
        return losses.WITH_NEGATIVES[self.name](own, negatives)

    def _in_batch(self, model: RetrievalModel, query: Any, positive: Any, training: bool) -> Any:
        """Return the loss against the batch's own items."""
        logits = in_float32(model.score(query, self._encode(model, positive, training)))
        logits = logits - ops.take(self.log_share, positive)[None]
        row = ops.arange(ops.shape(positive)[0])
        # Not keras_rs.layers.RemoveAccidentalHits: 0.4.0 adds 1e-40 to the scores it should remove.
        same = ops.logical_and(positive[:, None] == positive[None, :], row[:, None] != row[None, :])
        return losses.softmax(removed(logits, same), row)

    def _encode(self, model: RetrievalModel, index: Any, training: bool) -> Any:
        """Return the vectors of the items at catalogue positions."""
        return model.encode_candidate({k: ops.take(v, index, axis=0) for k, v in self.items.items()}, training=training)


class PositionObjective(RetrievalObjective):
    """Sequence models: at every position of a history, the item that came next; at the last, the row's own item.

    The padding right before the first item has that item for its target: what is chosen by who has no history.
    Items of a history whose id is out of vocabulary are read, but are nobody's target.

    Args:
      history: name of the sequence feature.
      item: name of the candidate's item id.
      num_oov: ids of the vocabulary up to this one name no item.
      **rest: as for `RetrievalObjective`.
    """

    def __init__(self, history: str, item: str, num_oov: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.history = history
        tokens = rest["catalogue"].features[item]
        positions = np.full(int(tokens.max(initial=0)) + 1, -1, np.int64)
        positions[tokens] = np.arange(len(tokens))
        positions[: num_oov + 1] = -1
        self.positions = positions
        self.train = self._with_targets(self.train)

    def _with_targets(self, batch: Arrays) -> Arrays:
        """Return the rows with `LABEL`, each position's target in the catalogue or -1, `(num_rows, length)`."""
        ids = batch[self.history]
        after = ids[:, 1:]
        inside = np.where(after < len(self.positions), after, 0)
        targets = np.concatenate([self.positions[inside], batch[CATALOGUE_INDEX][:, None]], axis=1)
        return batch | {LABEL: targets}

    def loss(self, model: RetrievalModel, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of all positions that have a target, and how many they are."""
        if LABEL not in batch:
            return super().loss(model, batch, training)
        assert isinstance(model, SequenceModel)
        outputs = model.encode_positions(batch, training=training)
        query = ops.reshape(outputs, (-1, outputs.shape[-1]))
        targets = ops.reshape(batch[LABEL], (-1,))
        counted = ops.cast(targets >= 0, "float32")
        values = self.against_others(model, query, ops.maximum(targets, 0), training)
        return ops.sum(values * counted), ops.sum(counted)


def in_float32(scores: Any) -> Any:
    """Return the scores in the precision of losses, whatever the model computes in."""
    return ops.cast(scores, "float32")


def removed(logits: Any, hits: Any) -> Any:
    """Return the scores with `losses.REMOVED` where `hits` is True."""
    return ops.where(hits, ops.full_like(logits, losses.REMOVED), logits)


def _labelled(rows: Rows, labels: str) -> Arrays:
    return rows.features | {LABEL: getattr(rows, labels)}
