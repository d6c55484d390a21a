"""Weights by name, rows by token: how a new model starts from an earlier one whose vocabularies were others."""

from __future__ import annotations

import io
import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.building import build
from models.feature_space import FeatureSpace
from models.registry import ModelParams

_LOG = logging.getLogger(__name__)
# Stands for the catalogue among the vocabularies; no vocabulary can be called so.
CATALOGUE = "catalogue/"
# Rows that a weight may have behind those of the catalogue's items, for instance one for an item that is not there.
_ROWS_BEHIND = 2
_PROBE_SIZE = 97


@dataclass(frozen=True)
class Keys:
    """What the ids of a vocabulary, or the positions of a catalogue, stand for.

    Attributes:
      tokens: of the ids from `num_special` on, each once.
      num_special: ids before them, which stand for padding and OOV, and mean the same in every vocabulary.
    """

    tokens: Sequence[bytes]
    num_special: int = 0

    def __len__(self) -> int:
        return self.num_special + len(self.tokens)

    def rows_of(self, old: Keys, num_behind: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of a table over these keys that a table over the `old` ones has too, and where it has them.

        Args:
          old: keys of the other table.
          num_behind: rows of both tables behind those of the keys.

        Example:
          >>> new, old = Keys([b"c", b"a", b"b"], num_special=1), Keys([b"a", b"c"], num_special=1)
          >>> [rows.tolist() for rows in new.rows_of(old)]
          [[0, 1, 2], [0, 2, 1]]
        """
        where = {name: row for row, name in enumerate(old._names(num_behind))}
        pairs = [(row, where[name]) for row, name in enumerate(self._names(num_behind)) if name in where]
        rows = np.array(pairs, np.int64).reshape(-1, 2)
        return rows[:, 0], rows[:, 1]

    def _names(self, num_behind: int) -> Iterator[Hashable]:
        yield from range(self.num_special)
        yield from self.tokens
        yield from (f"behind {number}" for number in range(num_behind))


@dataclass(frozen=True)
class TrainedWeights:
    """The weights of a trained model and what their rows stand for.

    Attributes:
      model: name of the model in the registry.
      weights: by path, see `named_weights`.
      keys: by vocabulary, the catalogue's under `CATALOGUE`.
    """

    model: str
    weights: Mapping[str, np.ndarray]
    keys: Mapping[str, Keys]

    @classmethod
    def of(cls, params: ModelParams, model: keras.Model, keys: Mapping[str, Keys]) -> TrainedWeights:
        """Return the weights of a model."""
        return cls(params.name, {path: weight.numpy() for path, weight in named_weights(model).items()}, keys)

    def save(self, path: str) -> None:
        """Write everything into one file; its folder is made."""
        arrays: dict[str, Any] = {"model": np.array(self.model)}
        arrays |= {f"weight/{name}": values for name, values in self.weights.items()}
        for name, keys in self.keys.items():
            arrays[f"special/{name}"] = np.array(keys.num_special)
            arrays[f"lengths/{name}"] = np.array([len(token) for token in keys.tokens], np.int64)
            arrays[f"bytes/{name}"] = np.frombuffer(b"".join(keys.tokens), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(buffer.getvalue())

    @classmethod
    def load(cls, path: str) -> TrainedWeights:
        """Return what `save` wrote."""
        with tf.io.gfile.GFile(path, "rb") as file, np.load(io.BytesIO(file.read())) as saved:
            arrays = {name: saved[name] for name in saved.files}
        keys = {}
        for name in _below("special/", arrays):
            ends = np.cumsum(arrays[f"lengths/{name}"])
            text = arrays[f"bytes/{name}"].tobytes()
            tokens = [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if len(ends) else []
            keys[name] = Keys(tokens, int(arrays[f"special/{name}"]))
        weights = {name: arrays[f"weight/{name}"] for name in _below("weight/", arrays)}
        return cls(str(arrays["model"]), weights, keys)


def start_from(
    base: TrainedWeights,
    model: keras.Model,
    params: ModelParams,
    space: FeatureSpace,
    keys: Mapping[str, Keys],
    position: str = "",
) -> int:
    """Put the base's weights into a new model; what the base lacks keeps its initial values.

    A weight is found by its path. Along an axis that counts the ids of a vocabulary, or the items of the catalogue,
    rows go by token; along any other both weights have to be of one length.

    Args:
      base: weights of the earlier model.
      model: built over `space`.
      params: of the new model.
      space: of the new model.
      keys: of the new model, as in `TrainedWeights`.
      position: as for `build`.

    Returns:
      how many of the model's weights took something over.
    """
    if base.model != params.name:
        _LOG.warning("warm start: the blessed model is %r, not %r: starting from nothing", base.model, params.name)
        return 0
    axes = counting_axes(params, space, keys, position)
    taken = 0
    for path, weight in named_weights(model).items():
        old = base.weights.get(path)
        picked = None if old is None else _picked(weight.shape, axes[path], old, base.keys, keys)
        if old is None or picked is None:
            _LOG.info("warm start: %s starts anew", path)
            continue
        into, out_of = picked
        values = np.array(weight.numpy())
        values[np.ix_(*into)] = old[np.ix_(*out_of)]
        weight.assign(values)
        taken += 1
    _LOG.info("warm start: %d of %d weights taken over", taken, len(axes))
    return taken


def named_weights(layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    """Return all weights of a layer and those within it by path: attribute names and keys, then the weight's name.

    Unlike the paths of Keras they hold no counter of the process, so that they name the same weight in every process
    and whatever other features a model has. A weight that is shared comes once, under its first path.
    """
    return dict(_walk(layer, "", set()))


def counting_axes(
    params: ModelParams, space: FeatureSpace, keys: Mapping[str, Keys], position: str = ""
) -> dict[str, tuple[tuple[str, int] | None, ...]]:
    """Return by path, for each axis of a weight, whose ids or items it counts and how many rows are behind them.

    Found out, not declared: an axis counts the vocabulary with whose size it grows. Two small models tell.

    Args:
      params: of the model.
      space: its fields.
      keys: their names are those of the vocabularies; a field of any other vocabulary keeps its size.
      position: as for `build`.
    """
    names = sorted(keys)
    same = dict.fromkeys(names, _PROBE_SIZE)
    grown = {name: _PROBE_SIZE + number for number, name in enumerate(names, start=1)}
    one, other = (named_weights(build(params, _sized(space, sizes), position)) for sizes in (same, grown))

    def axis(length: int, grown_length: int) -> tuple[str, int] | None:
        behind, number = length - _PROBE_SIZE, grown_length - length
        counts = 0 < number <= len(names) and 0 <= behind <= _ROWS_BEHIND
        return (names[number - 1], behind) if counts else None

    return {
        path: tuple(axis(*lengths) for lengths in zip(weight.shape, other[path].shape, strict=True))
        for path, weight in one.items()
    }


def _picked(
    shape: Sequence[int],
    axes: Sequence[tuple[str, int] | None],
    old: np.ndarray,
    old_keys: Mapping[str, Keys],
    keys: Mapping[str, Keys],
) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
    """Return along each axis the rows to fill and those to fill them from; None where the weights do not fit."""
    if len(shape) != old.ndim:
        return None
    into, out_of = [], []
    for length, old_length, axis in zip(shape, old.shape, axes, strict=True):
        if axis is not None and axis[0] in old_keys:
            name, behind = axis
            if (len(keys[name]) + behind, len(old_keys[name]) + behind) != (length, old_length):
                return None
            rows, old_rows = keys[name].rows_of(old_keys[name], behind)
        elif length == old_length:
            rows = old_rows = np.arange(length)
        else:
            return None
        into.append(rows)
        out_of.append(old_rows)
    return into, out_of


def _sized(space: FeatureSpace, sizes: Mapping[str, int]) -> FeatureSpace:
    """Return the space with other numbers of ids and items."""
    fields = tuple(
        replace(field, vocabulary_size=sizes.get(field.vocabulary or "", field.vocabulary_size))
        for field in space.fields
    )
    return replace(space, fields=fields, num_items=sizes[CATALOGUE])


def _walk(layer: keras.layers.Layer, prefix: str, met: set[int]) -> Iterator[tuple[str, keras.Variable]]:
    met.add(id(layer))
    own: dict[str, int] = {}
    for weight in (*layer._trainable_variables, *layer._non_trainable_variables):
        count = own[weight.name] = own.get(weight.name, 0) + 1
        if id(weight) not in met:
            met.add(id(weight))
            yield f"{prefix}{weight.name}" + (f"_{count}" if count > 1 else ""), weight
    for name, part in _parts(vars(layer)):
        if id(part) not in met:
            yield from _walk(part, f"{prefix}{name}/", met)


def _parts(members: Mapping[str, Any]) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Return the layers among some members, and those in lists and dictionaries; those in private members come last."""
    for name, value in sorted(members.items(), key=lambda member: member[0].startswith("_")):
        # TensorFlow keeps a second account of all attributes.
        if name.startswith("_self_"):
            continue
        if isinstance(value, keras.layers.Layer):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}/{inner}", part) for inner, part in _parts({str(k): v for k, v in value.items()}))
        elif isinstance(value, list | tuple):
            yield from ((f"{name}/{inner}", part) for inner, part in _parts({str(i): v for i, v in enumerate(value)}))


def _below(prefix: str, names: Mapping[str, Any]) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
