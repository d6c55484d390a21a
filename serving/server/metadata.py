"""A served version as TF Serving's protocol buffers describe it."""

from __future__ import annotations

from typing import Any

from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.server.model_process import ModelProcess


def model_status(served: ModelProcess) -> Any:
    """Return the `GetModelStatusResponse` of the version in memory."""
    response = get_model_status_pb2.GetModelStatusResponse()
    version = response.model_version_status.add(
        version=served.number, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
    )
    version.status.error_code = 0
    return response


def model_metadata(served: ModelProcess, name: str) -> Any:
    """Return the `GetModelMetadataResponse` with the signatures of the version in memory."""
    graph = saved_model_pb2.SavedModel.FromString((served.path / "saved_model.pb").read_bytes())
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in graph.meta_graphs[0].signature_def.items():
        if not key.startswith("__"):
            signatures.signature_def[key].CopyFrom(definition)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = served.number
    response.metadata["signature_def"].Pack(signatures)
    return response
