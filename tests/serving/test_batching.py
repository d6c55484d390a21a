from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from serving.server.batching import OverloadedError, RecommendBatcher


def texts(*values: str) -> np.ndarray:
    return np.array([value.encode() for value in values], object)


class Echo:
    """Answers each row with its user, history and row number, k times; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        users, histories = inputs["user_id"], inputs.get("history")
        self.calls.append(len(users))
        if b"bad" in users:
            raise ValueError("bad")
        told = [b"+".join([user, *(histories[row] if histories is not None else [])]) for row, user in enumerate(users)]
        items = np.array([[row] * int(inputs["k"]) for row in told], object).reshape(len(users), int(inputs["k"]))
        return {"item_ids": items, "rung": np.array(told, object)}


def answers(requests: list[dict[str, Any]], max_waiting: int = 100) -> tuple[list[Any], list[int]]:
    model = Echo()

    async def ask_all() -> list[Any]:
        batcher = RecommendBatcher(lambda: model, max_waiting)  # type: ignore[arg-type, return-value]
        return await asyncio.gather(*(batcher.ask(request) for request in requests), return_exceptions=True)

    return asyncio.run(ask_all()), model.calls


def test_every_request_gets_its_own_rows_and_its_own_k() -> None:
    history = np.array([[b"i1", b"i2"]], object)
    requests = [
        {"user_id": texts("a"), "k": np.int32(1)},
        {"user_id": texts("b", "c"), "k": np.int32(3)},
        {"user_id": texts("d"), "history": history, "k": np.int32(2)},
    ]
    found, calls = answers(requests)
    assert calls in ([4], [1, 3])
    assert [outputs["item_ids"].shape for _, outputs in found] == [(1, 1), (2, 3), (1, 2)]
    assert [[told.rstrip(b"+") for told in outputs["rung"]] for _, outputs in found] == [
        [b"a"],
        [b"b", b"c"],
        [b"d+i1+i2"],
    ]


def test_a_bad_request_fails_alone() -> None:
    requests = [{"user_id": texts(user), "k": np.int32(1)} for user in ("a", "bad", "c")]
    (first, second, third), _ = answers(requests)
    assert first[1]["rung"].tolist() == [b"a"]
    assert isinstance(second, ValueError)
    assert third[1]["rung"].tolist() == [b"c"]


def test_more_than_may_wait_are_turned_away() -> None:
    requests = [{"user_id": texts(str(number)), "k": np.int32(1)} for number in range(5)]
    found, _ = answers(requests, max_waiting=3)
    assert [isinstance(answer, OverloadedError) for answer in found] == [False] * 3 + [True] * 2
    with pytest.raises(OverloadedError, match="3 requests wait already"):
        raise found[4]
