"""A sample of the requests, one JSON object a line, without user ids in clear."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import secrets
import threading
import time
from pathlib import Path

from serving.server.model_process import Arrays

KEY_FILE = "user-key"


class RequestLog:
    """Writes a share of the `recommend` requests to `requests.jsonl` of a folder.

    A user id becomes the first 16 hexadecimal digits of its HMAC-SHA256 under a key that lies beside the log, readable
    by its owner alone: one user's lines can be told apart and joined, and without the key no id can be tried against
    them. Delete the key and the link is gone. Contexts are not written: they may hold anything.

    A line holds `timestamp` (seconds since 1970), `version`, `user` (empty where no id was given), `history` (item
    ids), `k`, `rung`, `item_ids` and `scores`.

    Args:
      folder: made where absent.
      share: of the requests that is written, 0 to 1.
      seed: of the choice, for tests.
    """

    def __init__(self, folder: Path, share: float, seed: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._key = _key(folder / KEY_FILE)
        self._file = (folder / "requests.jsonl").open("a", encoding="utf-8", buffering=1)
        self._share = share
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def write(self, version: int, inputs: Arrays, outputs: Arrays) -> None:
        """Write a request's rows, or pass it over."""
        if self._random.random() >= self._share:
            return
        now = round(time.time(), 3)
        users, histories = inputs.get("user_id", ()), inputs.get("history", ())
        lines = []
        for row, (items, scores, rung) in enumerate(
            zip(outputs["item_ids"], outputs["scores"], outputs["rung"], strict=True)
        ):
            shown = [(item, score) for item, score in zip(items.tolist(), scores.tolist(), strict=True) if item]
            line = {
                "timestamp": now,
                "version": version,
                "user": self._name(users[row]) if row < len(users) else "",
                "history": [_text(item) for item in histories[row] if item] if row < len(histories) else [],
                "k": int(inputs.get("k", 10)),
                "rung": _text(rung),
                "item_ids": [_text(item) for item, _ in shown],
                "scores": [round(score, 6) for _, score in shown],
            }
            lines.append(json.dumps(line, ensure_ascii=False))
        with self._lock:
            self._file.write("".join(f"{line}\n" for line in lines))

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _name(self, user: bytes) -> str:
        return hmac.new(self._key, user, hashlib.sha256).hexdigest()[:16] if user else ""


def _key(path: Path) -> bytes:
    if not path.is_file():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
