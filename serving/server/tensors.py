"""JSON and protocol buffers to arrays and back, as TF Serving's predict API has them."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.model_process import Arrays
from settings.errors import RequestError

Specs = Mapping[str, tf.TensorSpec]
# Of one input, the gaps of unequal lists filled up: a small request can ask for a tensor that no memory holds.
MAX_VALUES = 1_000_000


def inputs_of_json(body: Any, specs: Specs, optional: Collection[str]) -> tuple[Arrays, bool]:
    """Return the inputs of a predict request, and whether they came as rows (`instances`).

    Args:
      body: the request, with `inputs` (a tensor a name) or `instances` (an object or value a row).
      specs: the signature's inputs.
      optional: inputs that may be left out.

    Raises:
      RequestError: something is missing, unknown or of the wrong type; says what was expected.
    """
    if not isinstance(body, dict):
        raise RequestError(f"the request: expected a JSON object. Received: {_shown(body)}")
    unknown = sorted(body.keys() - {"inputs", "instances", "signature_name"})
    if unknown:
        raise RequestError(f"{unknown[0]}: is no key of a request. Expected inputs or instances, and signature_name")
    if ("inputs" in body) == ("instances" in body):
        raise RequestError("the request: expected either inputs or instances. Received: " + ", ".join(sorted(body)))
    by_row = "instances" in body
    columns = _columns(body["instances"], specs) if by_row else body["inputs"]
    place = "instances" if by_row else "inputs"
    if not isinstance(columns, dict):
        if len(specs) != 1:
            raise RequestError(f"{place}: expected an object with {_names(specs)}. Received: {_shown(columns)}")
        columns = {next(iter(specs)): columns}
    _check_names(place, columns.keys(), specs, optional)
    return {name: array_of_json(value, specs[name], f"{place}.{name}") for name, value in columns.items()}, by_row


def array_of_json(value: Any, spec: tf.TensorSpec, place: str) -> np.ndarray:
    """Return a JSON value as an array of the input's type and rank; lists of text of unequal length end in empty text.

    Raises:
      RequestError: the type or the nesting is another one.

    Example:
      >>> array_of_json([["1", "50"], ["172"]], tf.TensorSpec([None, None], tf.string), "inputs.history").tolist()
      [[b'1', b'50'], [b'172', b'']]
    """
    rank = spec.shape.rank
    kind = spec.dtype
    nested = _converted(value, kind, rank, place, _expectation(spec))
    if kind == tf.string and rank == 2:
        width = max(map(len, nested), default=0)
        _check_size(place, (len(nested), width))
        nested = [row + [b""] * (width - len(row)) for row in nested]
        return _objects(nested, (len(nested), width))
    if kind == tf.string and rank == 1:
        return _objects(nested, (len(nested),))
    try:
        array = np.array(nested, dtype=kind.as_numpy_dtype)
    except (ValueError, OverflowError):
        raise RequestError(f"{place}: expected {_expectation(spec)}. Received: {_shown(value)}") from None
    return array.reshape(array.shape if array.ndim == rank else (0,) * rank)


def json_of_outputs(outputs: Arrays, by_row: bool) -> dict[str, Any]:
    """Return the answer to a predict request; text that is not UTF-8 becomes `{"b64": ...}`, -inf and NaN null."""
    lists = {name: _json_values(values) for name, values in outputs.items()}
    if not by_row:
        return {"outputs": next(iter(lists.values())) if len(lists) == 1 else lists}
    if len(lists) == 1:
        return {"predictions": next(iter(lists.values()))}
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return {"predictions": rows}


def inputs_of_protos(protos: Mapping[str, Any], specs: Specs, optional: Collection[str]) -> Arrays:
    """Return the inputs of a gRPC predict request.

    Raises:
      RequestError: something is missing, unknown or of the wrong type; says what was expected.
    """
    _check_names("inputs", protos.keys(), specs, optional)
    arrays = {}
    for name, proto in protos.items():
        spec = specs[name]
        _check_size(f"inputs.{name}", [dim.size for dim in proto.tensor_shape.dim])
        try:
            array = tf.make_ndarray(proto)
        except Exception:
            raise RequestError(f"inputs.{name}: is no valid TensorProto. Expected {_expectation(spec)}") from None
        if tf.as_dtype(proto.dtype) != spec.dtype or array.ndim != spec.shape.rank:
            received = f"{tf.as_dtype(proto.dtype).name} of shape {list(array.shape)}"
            raise RequestError(f"inputs.{name}: expected {_expectation(spec)}. Received: {received}")
        arrays[name] = array
    return arrays


def _columns(instances: Any, specs: Specs) -> dict[str, Any]:
    """Return rows as columns."""
    if not isinstance(instances, list) or not instances:
        raise RequestError(f"instances: expected a list with at least one row. Received: {_shown(instances)}")
    scalars = sorted(name for name, spec in specs.items() if spec.shape.rank == 0)
    if not all(isinstance(row, dict) for row in instances):
        if len(specs) == 1 and not any(isinstance(row, dict) and row.keys() != {"b64"} for row in instances):
            return {next(iter(specs)): instances}
        raise RequestError(f"instances: expected an object a row, with {_names(specs)}. Received: {_shown(instances)}")
    if len(specs) == 1 and all(row.keys() == {"b64"} for row in instances):
        return {next(iter(specs)): instances}
    names = instances[0].keys()
    for number, row in enumerate(instances):
        if row.keys() != names:
            raise RequestError(f"instances[{number}]: expected the keys {sorted(names)}. Received: {sorted(row)}")
    for name in sorted(names & set(scalars)):
        raise RequestError(f"instances: {name} is one value for all rows. Expected it in the form with inputs")
    return {name: [row[name] for row in instances] for name in names}


def _check_size(place: str, shape: Sequence[int]) -> None:
    if math.prod(shape) > MAX_VALUES:
        size = " x ".join(map(str, shape))
        raise RequestError(f"{place}: would be {size} values. Expected at most {MAX_VALUES} with all gaps filled up")


def _check_names(place: str, given: Any, specs: Specs, optional: Collection[str]) -> None:
    unknown = sorted(set(given) - set(specs))
    if unknown:
        raise RequestError(f"{place}.{unknown[0]}: is no input of this signature. Expected {_names(specs)}")
    missing = sorted(set(specs) - set(given) - set(optional))
    if missing:
        raise RequestError(f"{place}.{missing[0]}: is missing. Expected {_expectation(specs[missing[0]])}")


def _converted(value: Any, kind: tf.DType, depth: int, place: str, expected: str) -> Any:
    if depth:
        if not isinstance(value, list):
            raise RequestError(f"{place}: expected {expected}. Received: {_shown(value)}")
        return [_converted(entry, kind, depth - 1, place, expected) for entry in value]
    if kind == tf.string:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
            try:
                return base64.b64decode(value["b64"], validate=True)
            except (binascii.Error, ValueError):
                raise RequestError(f"{place}: expected base64 under b64. Received: {_shown(value)}") from None
    elif kind.is_bool:
        if isinstance(value, bool):
            return value
    elif (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and kind.is_floating):
        return value
    raise RequestError(f"{place}: expected {expected}. Received: {_shown(value)}")


def _objects(nested: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return bytes as an array of objects: NumPy's own bytes type drops zero bytes at the end."""
    array = np.empty(shape, object)
    array[...] = nested if array.size else array
    return array


def _json_values(values: np.ndarray) -> Any:
    if values.dtype == object:
        return _texts(values.tolist())
    return values.tolist()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(entry) for entry in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _expectation(spec: tf.TensorSpec) -> str:
    kind = {tf.string: "text", tf.bool: "true or false"}.get(spec.dtype)
    kind = kind or ("a whole number" if spec.dtype.is_integer else "a number")
    kind = f"{kind} ({spec.dtype.name})"
    return ("a list of " if spec.shape.rank == 1 else "a list of lists of " if spec.shape.rank == 2 else "") + kind


def _names(specs: Specs) -> str:
    return ", ".join(sorted(specs))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
