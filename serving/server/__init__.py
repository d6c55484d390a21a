"""A local model server: TF Serving's REST and gRPC over the versions of one serving root."""
