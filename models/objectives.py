"""What a training step minimises: which rows, which positives and negatives, which loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from models import losses
from models.archetypes.retrieval import RetrievalModel, SequenceModel
from models.feature_space import CATALOGUE_INDEX
from models.layers.token_embedding import TokenEmbedding
from models.training_data import Arrays, Catalogue, Rows
from settings.training import TrainingSettings

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

        score = model(row) + bias(row) - mean of bias over the batch

    The bias is that of the place at which the row was shown; the model learns what remains, and serves a row as if it
    stood at an average place.

    Args:
      settings: loss, `negatives_a_click`, seed.
      name: `bce` or `mse`.
      train: rows to train on.
      evaluation: rows to stop by.
      labels: `liked` or `rating`, an attribute of `Rows`.
      catalogue: features of the items, for random negatives.
      of_items: names of the features that belong to the item.
      bias: layer that maps the features to `(batch_size, 1)`, or None.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        name: str,
        train: Rows,
        evaluation: Rows,
        labels: str,
        catalogue: Arrays,
        of_items: Sequence[str],
        bias: keras.layers.Layer | None = None,
    ) -> None:
        self._loss = losses.OF_ROWS[name]
        self._negatives = settings.negatives_a_click
        self._seeds = keras.random.SeedGenerator(settings.seed)
        self._bias = bias
        self.train = _labelled(train, labels)
        self.eval = _labelled(evaluation, labels)
        wanted = (*of_items, CATALOGUE_INDEX) if self._negatives else ()
        self._items = {name: ops.convert_to_tensor(catalogue[name]) for name in wanted}

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss, with the model's penalty in training, and the number of rows."""
        labels = batch[LABEL]
        bias: Any = 0.0
        if self._bias is not None:
            bias = in_float32(ops.squeeze(self._bias(batch), -1))
            bias = bias - ops.mean(bias)
        values = self._loss(in_float32(model(batch, training=training)) + bias, labels)
        weight = ops.cast(ops.shape(values)[0], values.dtype)
        for _ in range(self._negatives):
            # Another item for the same query, at the same place; the item itself, drawn by accident, counts nothing.
            drawn = keras.random.randint(ops.shape(labels), 0, self._num_items(), seed=self._seeds)
            others = {name: ops.take(values, drawn, axis=0) for name, values in self._items.items()}
            counted = labels * ops.cast(others[CATALOGUE_INDEX] != batch[CATALOGUE_INDEX], labels.dtype)
            scores = in_float32(model({**batch, **others}, training=training)) + bias
            values = values + counted * self._loss(scores, ops.zeros_like(labels))
            weight = weight + ops.sum(counted)
        if training and hasattr(model, "penalty"):
            values = values + in_float32(model.penalty(batch))
        return ops.sum(values), weight

    def _num_items(self) -> int:
        return len(self._items[CATALOGUE_INDEX])


class WithEmbeddingPenalty:
    """An objective, and in training `l2 |table|²` of every embedding table beside the mean loss.

    Args:
      objective: the rest.
      l2: lambda.
    """

    def __init__(self, objective: Objective, l2: float) -> None:
        self._objective = objective
        self._l2 = l2
        self.train = objective.train
        self.eval = objective.eval

    def loss(self, model: keras.Model, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of a batch and what it is to be divided by."""
        total, weight = self._objective.loss(model, batch, training)
        if not training:
            return total, weight
        # The layers' order is that of their creation, so the sum is the same in every run.
        tables = [layer.table for layer in model._flatten_layers() if isinstance(layer, TokenEmbedding)]
        return total + weight * self._l2 * sum(ops.sum(ops.square(table)) for table in tables), weight


class RetrievalObjective:
    """Retrieval models: the item that was chosen against others of the catalogue.

        softmax                 against the whole catalogue
        menu_softmax            against the items on the page: see `MenuObjective`
        sampled_softmax         against K drawn items, scores corrected by -log(K * probability of the item)
        in_batch_softmax        against the other items of the batch, corrected by -log(share of the item in train)
        bce, gbce, bpr, hinge   against K drawn items, or the other items of the batch

    Items are drawn uniformly or by their share in train. Negatives that are the positive are removed; with
    `num_hard_negatives`, so are all but those with the highest scores. The eval loss is always that of the last item of
    a history: by the whole catalogue where training is (`softmax`), else by the same loss.

    Args:
      name: the loss.
      settings: `num_negatives` (K), `negatives`, `num_hard_negatives`, `gbce_calibration`, seed.
      train: rows to train on.
      evaluation: rows to stop by.
      catalogue: the items.
      item_counts: `(num_items,)`, how often each item was chosen in train.
    """

    def __init__(
        self,
        name: str,
        settings: TrainingSettings,
        train: Rows,
        evaluation: Rows,
        catalogue: Catalogue,
        item_counts: np.ndarray,
    ) -> None:
        self.name = name
        self.settings = settings
        self.num_items = len(catalogue)
        self.items = {key: ops.convert_to_tensor(values) for key, values in catalogue.features.items()}
        self.seeds = keras.random.SeedGenerator(settings.seed)
        self.train = dict(train.features)
        self.eval = dict(evaluation.features)
        share = np.maximum(item_counts, 1.0) / max(item_counts.sum(), 1.0)
        self.log_share = ops.convert_to_tensor(np.log(share).astype(np.float32))
        self.cumulated = ops.convert_to_tensor(np.cumsum(share / share.sum()).astype(np.float32))
        beta = losses.gbce_beta(settings.num_negatives, self.num_items, settings.gbce_calibration)
        self.compare = partial(losses.gbce, beta=beta) if name == "gbce" else losses.WITH_NEGATIVES.get(name)

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
        assert self.compare is not None
        drawn, log_probability = self._draw(positive)
        drawn, num_rows = ops.cast(drawn, positive.dtype), ops.shape(positive)[0]
        # At once: every call of `lightgcn` convolves the whole graph.
        items = self._encode(model, ops.concatenate([positive, drawn]), training)
        own = in_float32(model.score_pairs(query, items[:num_rows]))
        negatives = in_float32(model.score(query, items[num_rows:]))  # (num_rows, num_negatives)
        if self.name == "sampled_softmax":
            negatives = negatives - float(np.log(self.settings.num_negatives)) - log_probability
        negatives = removed(negatives, drawn[None, :] == positive[:, None])
        return self.compare(own, self._hardest(negatives))

    def _draw(self, positive: Any) -> tuple[Any, Any]:
        """Return catalogue positions of negatives, `(num_negatives,)`, and the log of each one's probability."""
        if self.settings.negatives == "in_batch":
            return positive, ops.take(self.log_share, positive)
        shape = (self.settings.num_negatives,)
        if self.settings.negatives == "uniform":
            drawn = keras.random.randint(shape, 0, self.num_items, seed=self.seeds)
            return drawn, -float(np.log(self.num_items))
        # Rounding may leave the last sum below 1.
        drawn = ops.searchsorted(self.cumulated, keras.random.uniform(shape, seed=self.seeds), side="right")
        drawn = ops.minimum(drawn, self.num_items - 1)
        return drawn, ops.take(self.log_share, drawn)

    def _hardest(self, negatives: Any) -> Any:
        """Return each row's highest scores, `(num_rows, num_hard_negatives)`, or all of them."""
        wanted = self.settings.num_hard_negatives
        if not wanted:
            return negatives
        # A last batch may hold fewer.
        none = ops.full((ops.shape(negatives)[0], wanted), losses.REMOVED)
        return ops.top_k(ops.concatenate([negatives, none], axis=1), wanted, sorted=False)[0]

    def _in_batch(self, model: RetrievalModel, query: Any, positive: Any, training: bool) -> Any:
        """Return the loss against the batch's own items."""
        logits = in_float32(model.score(query, self._encode(model, positive, training)))
        correction = -ops.take(self.log_share, positive)[None]
        row, item = ops.arange(ops.shape(positive)[0]), ops.cast(positive, "int32")
        # Not keras_rs.layers.RemoveAccidentalHits: 0.4.0 adds 1e-40 to the scores it should remove.
        same = item[:, None] == item[None, :]
        if not self.settings.num_hard_negatives:
            # Added, not put in place: this costs nothing on the way back.
            hits = ops.logical_and(same, row[:, None] != row[None, :])
            return losses.softmax(logits + ops.where(hits, losses.REMOVED, correction), row)
        logits = logits + correction
        return losses.sampled_softmax(ops.diagonal(logits), self._hardest(removed(logits, same)))

    def _encode(self, model: RetrievalModel, index: Any, training: bool) -> Any:
        """Return the vectors of the items at catalogue positions."""
        return model.encode_candidate({k: ops.take(v, index, axis=0) for k, v in self.items.items()}, training=training)


class MenuObjective(RetrievalObjective):
    """The item that was chosen against the others on its page, and against nothing else.

        loss = logsumexp over the items j of the menu of s_j - s_chosen

    Items of the menu whose id is out of vocabulary are left out.

    Args:
      menu: name of the query's list of item ids.
      item: name of the candidate's item id.
      num_oov: ids of the vocabulary up to this one name no item.
      **rest: as for `RetrievalObjective`.
    """

    def __init__(self, menu: str, item: str, num_oov: int, **rest: Any) -> None:
        super().__init__(**rest)
        positions = _catalogue_positions(rest["catalogue"].features[item], num_oov)
        self.train = self.train | {LABEL: _looked_up(positions, self.train[menu])}
        self.eval = self.eval | {LABEL: _looked_up(positions, self.eval[menu])}

    def loss(self, model: RetrievalModel, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of the batch's pages and how many they are."""
        query = model.encode_query(batch, training=training)
        scores = model.score(query, model.encode_candidate(self.items, training=training))
        positive, menu = batch[CATALOGUE_INDEX][:, None], batch[LABEL]
        scores = in_float32(scores)
        others = ops.take_along_axis(scores, ops.maximum(menu, 0), axis=1)
        others = removed(others, ops.logical_or(menu < 0, menu == positive))
        values = losses.sampled_softmax(ops.take_along_axis(scores, positive, axis=1)[:, 0], others)
        return ops.sum(values), ops.cast(ops.shape(values)[0], values.dtype)


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
        self.positions = _catalogue_positions(rest["catalogue"].features[item], num_oov)
        self.train = self._with_targets(self.train)

    def _with_targets(self, batch: Arrays) -> Arrays:
        """Return the rows with `LABEL`, each position's target in the catalogue or -1, `(num_rows, length)`."""
        after = _looked_up(self.positions, batch[self.history][:, 1:])
        targets = np.concatenate([after, batch[CATALOGUE_INDEX][:, None]], axis=1)
        return batch | {LABEL: targets}

    def loss(self, model: RetrievalModel, batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        """Return the summed loss of all positions that have a target, and how many they are."""
        if LABEL not in batch:
            return super().loss(model, batch, training)
        assert isinstance(model, SequenceModel)
        outputs = model.encode_positions(batch, training=training)
        query = ops.reshape(outputs, (-1, outputs.shape[-1]))
        targets = ops.reshape(batch[LABEL], (-1,))
        if not self.settings.jit:
            # Scoring the catalogue costs most: padding is left out. XLA wants shapes that do not depend on data.
            wanted = ops.nonzero(targets >= 0)[0]
            query, targets = ops.take(query, wanted, axis=0), ops.take(targets, wanted, axis=0)
        counted = ops.cast(targets >= 0, "float32")
        values = self.against_others(model, query, ops.maximum(targets, 0), training)
        return ops.sum(values * counted), ops.sum(counted)


def in_float32(scores: Any) -> Any:
    """Return the scores in the precision of losses, whatever the model computes in."""
    return ops.cast(scores, "float32")


def removed(logits: Any, hits: Any) -> Any:
    """Return the scores with `losses.REMOVED` where `hits` is True."""
    return ops.where(hits, ops.full_like(logits, losses.REMOVED), logits)


def _catalogue_positions(tokens: np.ndarray, num_oov: int) -> np.ndarray:
    """Return each token's position in the catalogue; -1 for padding, OOV and tokens of no item."""
    positions = np.full(int(tokens.max(initial=0)) + 1, -1, np.int64)
    positions[tokens] = np.arange(len(tokens))
    positions[: num_oov + 1] = -1
    return positions


def _looked_up(positions: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return positions[np.where(tokens < len(positions), tokens, 0)]


def _labelled(rows: Rows, labels: str) -> Arrays:
    return rows.features | {LABEL: getattr(rows, labels)}
