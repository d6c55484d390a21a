"""ML Metadata's gRPC service over a SQLite file: python -m tests.kubeflow.grpc_store PORT FILE.

A stand-in for Google's `metadata_store_server`, a program that no package brings: the service's definition, its client
and the store behind it are ML Metadata's own, only the hand-over between them is ours.
"""

from __future__ import annotations

import sys
from concurrent import futures
from typing import Any

import grpc
from ml_metadata import errors
from ml_metadata.metadata_store.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

_SERVICE = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def serve(port: int, file: str) -> None:
    """Answer until the process is ended."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = file
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = MetadataStore(config)

    def handler(method: Any) -> grpc.RpcMethodHandler:
        requests, responses = (
            getattr(metadata_store_service_pb2, kind.name) for kind in (method.input_type, method.output_type)
        )

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            response = responses()
            try:
                store._call_method(method.name, request, response)
            except errors.StatusError as error:
                context.abort(_CODES[error.error_code], error.message)
            return response

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=requests.FromString, response_serializer=responses.SerializeToString
        )

    server = grpc.server(futures.ThreadPoolExecutor(1))  # a SQLite file has one writer
    handlers = {method.name: handler(method) for method in _SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
