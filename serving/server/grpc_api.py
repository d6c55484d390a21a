"""TF Serving's gRPC API: Predict, GetModelMetadata and GetModelStatus."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.batching import OverloadedError
from serving.server.metadata import model_metadata, model_status
from serving.server.model_process import UnavailableError
from serving.server.predictor import NotFoundError, Predictor
from serving.server.tensors import inputs_of_protos
from settings.errors import RequestError

_log = logging.getLogger(__name__)


def add_services(server: grpc.aio.Server, predictor: Predictor) -> None:
    """Let a gRPC server answer for the predictor."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(predictor), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(predictor), server)


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Classify`, `Regress` and `MultiInference` are left unimplemented: no signature is of their kind."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - TF Serving's name
        """Answer a request."""
        spec = request.model_spec
        signature = spec.signature_name or "serving_default"

        def read(specs: Any, optional: Any) -> Any:
            return inputs_of_protos(request.inputs, specs, optional)

        async with _explained(context):
            served, outputs = await self._predictor.predict("grpc", signature, read, _version(spec), spec.name)
            unknown = sorted(set(request.output_filter) - outputs.keys())
            if unknown:
                raise RequestError(f"output_filter: {unknown[0]!r} is no output. Expected some of {sorted(outputs)}")
            response = predict_pb2.PredictResponse()
            response.model_spec.name = self._predictor.name
            response.model_spec.signature_name = signature
            response.model_spec.version.value = served.number
            for name in request.output_filter or outputs:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Describe the signatures."""
        async with _explained(context):
            fields = list(request.metadata_field)
            if fields != ["signature_def"]:
                raise RequestError(f"metadata_field: expected ['signature_def']. Received: {fields}")
            served = self._predictor.served(_version(request.model_spec), request.model_spec.name)
            return model_metadata(served, self._predictor.name)


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell which version serves."""
        async with _explained(context):
            return model_status(self._predictor.served(_version(request.model_spec), request.model_spec.name))


class _explained:  # noqa: N801 - used as a function
    """Ends a call that raised with a status and words, never with a trace."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, NotFoundError):
            await self._context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        if isinstance(error, OverloadedError):
            await self._context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        if isinstance(error, UnavailableError):
            await self._context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        if isinstance(error, RequestError):
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        _log.error("A gRPC call failed", exc_info=error)
        await self._context.abort(grpc.StatusCode.INTERNAL, "the model could not answer; the server's log says why")


def _version(spec: Any) -> int | None:
    return spec.version.value if spec.HasField("version") else None
