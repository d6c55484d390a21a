"""The pipeline's shape, which is all that Kubernetes has to know of it: node ids and who waits for whom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from settings.errors import ConfigError


@dataclass(frozen=True)
class Graph:
    """Node ids in the order of the pipeline, each with the nodes it waits for.

    Raises:
      ConfigError: a node waits for one that does not exist, or nodes wait for each other.

    Example:
      >>> graph = Graph({"Trainer": ("ExampleGen",), "ExampleGen": ()})
      >>> list(graph.order())
      ['ExampleGen', 'Trainer']
    """

    upstream: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for node, waits_for in self.upstream.items():
            unknown = sorted(set(waits_for) - set(self.upstream))
            if unknown:
                raise ConfigError(f"node {node} waits for {', '.join(unknown)}, which the pipeline does not hold")
        self.order()

    def order(self) -> Iterable[str]:
        """Return the nodes so that each comes after those it waits for."""
        try:
            return tuple(TopologicalSorter(self.upstream).static_order())
        except CycleError as error:
            raise ConfigError(f"the nodes wait for each other in a circle: {' -> '.join(error.args[1])}") from None

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change with the shape, and with nothing else."""
        shape = {node: sorted(waits_for) for node, waits_for in self.upstream.items()}
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:12]


def graph_of(ir: Any) -> Graph:
    """Return the shape of a compiled pipeline.

    Args:
      ir: `tfx.proto.orchestration.pipeline_pb2.Pipeline`.

    Raises:
      ConfigError: the pipeline holds another pipeline, which has no pod of its own.
    """
    upstream = {}
    for entry in ir.nodes:
        if entry.WhichOneof("node") != "pipeline_node":
            raise ConfigError(
                f"pipeline {ir.pipeline_info.id}: holds a nested pipeline, and the Kubernetes runners give a pod to "
                "each node of a flat one. Expected components only"
            )
        node = entry.pipeline_node
        upstream[node.node_info.id] = tuple(node.upstream_nodes)
    return Graph(upstream)
