"""Just enough of the Kubeflow Pipelines API (v2beta1) to see what a client asks of it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOW = "2026-01-01T00:00:00Z"


class FakeApiServer:
    """A server on loopback that remembers requests and keeps what they create."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.pipelines: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.schedules: list[dict[str, Any]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def posts(self, end: str) -> list[Any]:
        return [body for method, path, body in self.requests if method == "POST" and path.endswith(end)]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        self.requests.append((method, path, body))
        for verb, pattern, act in self._routes():
            match = re.fullmatch(pattern, path.removeprefix("/apis/v2beta1"))
            if verb == method and match:
                return act(match.groups(), query, body)
        return 404, {"error_details": f"no {method} {path}"}

    def _routes(self) -> list[tuple[str, str, Callable[..., tuple[int, Any]]]]:
        return [
            ("GET", "/healthz", lambda *_: (200, {"multi_user": False})),
            ("GET", "/pipelines", lambda _, query, __: (200, {"pipelines": _named(self.pipelines, query)})),
            ("POST", "/pipelines/upload", lambda _, query, __: (200, self._pipeline(query["name"]))),
            ("POST", "/pipelines/upload_version", lambda _, query, __: (200, self._version(query))),
            ("GET", "/pipelines/([^/]+)/versions", lambda *_: (200, {"pipeline_versions": self.versions})),
            ("GET", "/experiments", lambda _, query, __: (200, {"experiments": _named(self.experiments, query)})),
            ("POST", "/experiments", lambda _, __, body: (200, self._keep(self.experiments, "experiment_id", body))),
            ("GET", "/runs", lambda *_: (200, {"runs": self.runs[::-1]})),
            ("POST", "/runs", lambda _, __, body: (200, self._keep(self.runs, "run_id", {**body, "state": "PENDING"}))),
            ("POST", "/runs/([^/]+):terminate", lambda groups, *_: self._terminate(groups[0])),
            ("GET", "/recurringruns", lambda *_: (200, {"recurringRuns": self.schedules})),
            ("POST", "/recurringruns", lambda _, __, body: (200, self._schedule(body))),
            ("POST", "/recurringruns/([^/]+):disable", lambda groups, *_: self._disable(groups[0])),
        ]

    def _pipeline(self, name: str) -> dict[str, Any]:
        return self._keep(self.pipelines, "pipeline_id", {"display_name": name})

    def _version(self, query: dict[str, str]) -> dict[str, Any]:
        record = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
        return self._keep(self.versions, "pipeline_version_id", record)

    def _schedule(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._keep(self.schedules, "recurring_run_id", {**body, "status": "ENABLED"})

    def _terminate(self, run_id: str) -> tuple[int, Any]:
        found = [run for run in self.runs if run["run_id"] == run_id]
        for run in found:
            run["state"] = "CANCELED"
        return (200, {}) if found else (404, {"error_details": f"Run {run_id} not found"})

    def _disable(self, schedule_id: str) -> tuple[int, Any]:
        for schedule in self.schedules:
            if schedule["recurring_run_id"] == schedule_id:
                schedule["status"] = "DISABLED"
        return 200, {}

    @staticmethod
    def _keep(records: list[dict[str, Any]], key: str, record: dict[str, Any]) -> dict[str, Any]:
        record = {**record, key: f"{key}-{len(records) + 1}", "created_at": NOW}
        records.append(record)
        return record


def _named(records: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """Apply the filter `display_name equals`, the only one that the client uses here."""
    if "filter" not in query:
        return records
    predicate = json.loads(query["filter"])["predicates"][0]
    wanted = predicate.get("stringValue") or predicate.get("string_value")
    return [record for record in records if record["display_name"] == wanted]


def _handler(server: FakeApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(raw) if raw and "json" in self.headers.get("Content-Type", "") else raw or None
            status, record = server.answer(self.command, parts.path, query, body)
            text = json.dumps(record).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _handle  # noqa: N815  named by http.server

    return Handler
