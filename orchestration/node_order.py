"""The order in which people read a DAG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from settings.errors import ConfigError


def reading_order(upstream: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes so that each follows its inputs and a branch is finished before the next one starts.

    Args:
      upstream: for each node the nodes it waits for.

    Example:
      >>> reading_order({"a": [], "c": ["a"], "b": ["a"], "b2": ["b"], "end": ["b2", "c"]})
      ['a', 'c', 'b', 'b2', 'end']
    """
    waiting = {node: set(sources) & set(upstream) for node, sources in upstream.items()}
    position = {node: index for index, node in enumerate(upstream)}
    order: list[str] = []
    finished: dict[str, int] = {}
    while waiting:
        ready = [node for node, sources in waiting.items() if sources <= finished.keys()]
        if not ready:
            raise ValueError(f"the nodes should form no cycle. Received: {sorted(waiting)}")
        # The branch whose source ended last goes on; among equals the given order decides.
        node = max(ready, key=lambda node: (max((finished[s] for s in waiting[node]), default=-1), -position[node]))
        finished[node] = len(order)
        order.append(node)
        del waiting[node]
    return order


def selected(
    upstream: Mapping[str, Sequence[str]], from_node: str | None = None, to_node: str | None = None
) -> list[str]:
    """Return the nodes that lie behind `from_node` and before `to_node`, both included; None leaves that end open.

    Args:
      upstream: for each node, in reading order, the nodes it waits for.
      from_node: where a partial run starts.
      to_node: where it ends.

    Raises:
      ConfigError: one of them is no node, or nothing lies between them.

    Example:
      >>> selected({"a": [], "b": ["a"], "c": ["a"], "d": ["b"]}, from_node="b")
      ['b', 'd']
    """
    for option, node in (("--from-node", from_node), ("--to-node", to_node)):
        if node is not None and node not in upstream:
            raise ConfigError(f"{option} {node}: is no node of this pipeline. Nodes: {', '.join(upstream)}")
    after: set[str] = set()
    for node, sources in upstream.items():
        if from_node is None or node == from_node or after.intersection(sources):
            after.add(node)
    before: set[str] = set()
    for node in reversed(list(upstream)):
        if to_node is None or node == to_node or any(node in upstream[known] for known in before):
            before.add(node)
    nodes = [node for node in upstream if node in after & before]
    if not nodes:
        raise ConfigError(f"--from-node {from_node} --to-node {to_node}: no node lies between them")
    return nodes
