"""The server over real sockets: one process, asked as its clients would."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import version_store
from serving.server.model_watcher import ModelWatcher
from settings.errors import ShortlistError
from tests.serving.tiny_servable import save

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
REPOSITORY = Path(__file__).resolve().parents[2]
# Seconds; a version loads at a low priority, and the machine may be busy.
_PATIENCE = 120


@dataclass(frozen=True)
class Server:
    """A running server and the serving root that it watches."""

    rest: str
    grpc: str
    root: Path
    log: Path
    stderr: Path
    process: subprocess.Popen[str]
    better: Path

    def call(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Return status and JSON, or text where it is no JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.rest + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def predict(self, signature: str, **inputs: Any) -> tuple[int, Any]:
        return self.call("/v1/models/films:predict", {"signature_name": signature, "inputs": inputs})

    def version(self) -> int:
        return int(self.call("/v1/models/films")[1]["model_version_status"][0]["version"])

    def wait_for(self, version: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self.version() != version:
            assert time.monotonic() < deadline, f"version {version} does not serve"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    root = folder / "films"
    version_store.push(save(folder / "first"), root, clock=lambda: 5)
    better = save(folder / "better", factor=20.0)
    process = subprocess.Popen(
        [
            *(sys.executable, "pipeline.py", "serve", "--model-dir", str(root), "--port", "0", "--grpc-port", "0"),
            *("--max-rows", "50", "--log-requests", str(folder / "log"), "--log-share", "1"),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("w"),
        text=True,
    )
    assert process.stdout
    words = process.stdout.readline().split()
    assert words[:2] == ["Version", "5"], (folder / "stderr").read_text()
    yield Server(
        words[7], words[9].rstrip(")"), root, folder / "log" / "requests.jsonl", folder / "stderr", process, better
    )
    if process.poll() is None:
        process.kill()
    process.wait()


def test_the_newest_version_answers_in_columns_and_rows(server: Server) -> None:
    status, answer = server.predict("recommend", user_id=["u1", "nobody"], k=2)
    assert status == 200
    assert answer["outputs"]["item_ids"] == [["i1", "i2"]] * 2
    assert answer["outputs"]["rung"] == ["model", "popularity"]
    assert answer["outputs"]["scores"][0] == pytest.approx([0.6, 0.4])
    rows = {"signature_name": "recommend", "instances": [{"user_id": "u1", "history": ["i1"]}] * 2}
    status, answer = server.call("/v1/models/films/versions/5:predict", rows)
    assert status == 200
    # Where items run out, empty ids follow, and a score that is no number is null.
    assert [row["item_ids"][:3] for row in answer["predictions"]] == [["i2", "i3", ""]] * 2
    assert answer["predictions"][0]["scores"][2] is None
    example = tf.train.Example()
    example.features.feature["rating"].float_list.value.append(4.0)
    encoded = {"b64": base64.b64encode(example.SerializeToString()).decode()}
    for body in ({"instances": [encoded]}, {"inputs": [encoded]}, {"instances": [{"examples": encoded}]}):
        status, answer = server.call("/v1/models/films:predict", body)
        assert (status, next(iter(answer.values()))) == (200, [8.0])
    assert server.predict("similar_items", item_id=["i2"], k=1)[1]["outputs"]["titles"] == [["Title of i1"]]
    ranked = server.predict("rank", candidates=[["i3", "i1"], ["i2"]])[1]["outputs"]["item_ids"]
    assert ranked == [["i1", "i3"], ["i2", ""]]


def test_status_metadata_health_and_metrics(server: Server) -> None:
    status, answer = server.call("/v1/models/films")
    assert (status, answer["model_version_status"][0]["state"]) == (200, "AVAILABLE")
    assert server.call("/v1/models/films/versions/5")[0] == 200
    signatures = server.call("/v1/models/films/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    assert signatures["recommend"]["inputs"]["k"]["dtype"] == "DT_INT32"
    assert server.call("/healthz") == (200, "ok\n")
    assert server.call("/readyz") == (200, "ready\n")
    assert "text/html" in urllib.request.urlopen(server.rest + "/", timeout=10).headers["Content-Type"]
    server.predict("recommend", user_id=["u1"])
    metrics = server.call("/metrics")[1]
    assert 'shortlist_requests_total{code="ok",protocol="rest",signature="recommend"}' in metrics
    assert 'shortlist_recommendations_total{rung="model"}' in metrics
    assert "shortlist_request_seconds_bucket" in metrics


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (":predict", b"{not json", 400, "is not valid JSON"),
        (":predict", b"\xff\xfe", 400, "is not valid JSON"),
        (":predict", b"", 400, "is not valid JSON"),
        (":predict", [1], 400, "expected a JSON object. Received: [1]"),
        (":predict", {}, 400, "expected either inputs or instances"),
        (":predict", {"inputs": {}, "instances": []}, 400, "expected either inputs or instances"),
        (":predict", {"inputs": {}, "k": 5}, 400, "k: is no key of a request"),
        (":predict", {"signature_name": "guess", "inputs": {}}, 400, "'guess': is unknown. Expected one of"),
        (":predict", {"signature_name": 5, "inputs": {}}, 400, "signature_name: expected text"),
        (":predict", {"inputs": {}}, 400, "inputs.examples: is missing. Expected a list of text (string)"),
        (":predict", {"inputs": {"examples": "text"}}, 400, "inputs.examples: expected a list of text"),
        (":predict", {"inputs": {"examples": [{"b64": "%"}]}}, 400, "expected base64"),
        (":predict", {"inputs": {"examples": [{"b64": "AAAA"}]}}, 400, "read them (Could not parse example input"),
        (":predict", {"instances": []}, 400, "expected a list with at least one row"),
        (":predict", {"inputs": {"examples": [""] * 51}}, 400, "examples: has 51 rows. Expected at most 50"),
        (":predict", b'{"inputs": "' + b"x" * 10_000_000 + b'"}', 413, "Expected at most 1048576 bytes"),
        ("/versions/4:predict", {"inputs": {}}, 404, "version 4: is not served. Served: 5"),
        ("/versions/x:predict", {"inputs": {}}, 400, "expected a whole number"),
        (":classify", {}, 404, "is not here"),
        ("/../songs:predict", {"inputs": {}}, 404, "model 'songs': is not served here. Expected 'films'"),
        (":predict", None, 405, "expected POST"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_what_was_expected(
    server: Server, path: str, body: Any, status: int, words: str
) -> None:
    place = "/v1/models/songs:predict" if "songs" in path else f"/v1/models/films{path}"
    found, answer = server.call(place, body)
    assert found == status, answer
    assert words in answer["error"]
    assert "Traceback" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"k": 0}, "k: expected 1 to 3, the number of items. Received: 0"),
        ({"k": -1}, "Received: -1"),
        ({"k": 4}, "Received: 4"),
        ({"k": 2**31}, "inputs.k: expected a whole number (int32)"),
        ({"k": "ten"}, "inputs.k: expected a whole number (int32). Received: 'ten'"),
        ({"k": 1.5}, "inputs.k: expected a whole number"),
        ({"k": True}, "inputs.k: expected a whole number"),
        ({"k": None}, "inputs.k: expected a whole number"),
        ({"history": [["i1"] * 10_001]}, "history: has a list of 10001. Expected at most 10000"),
        ({"history": [["i1"] * 1001] + [[]] * 999}, "inputs.history: would be 1000 x 1001 values. Expected at most"),
        ({"user_id": "u1"}, "inputs.user_id: expected a list of text (string). Received: 'u1'"),
        ({"user_id": [7]}, "inputs.user_id: expected a list of text (string). Received: 7"),
        ({"user_id": [["u1"]]}, "inputs.user_id: expected a list of text"),
        ({"history": ["i1"]}, "inputs.history: expected a list of lists of text"),
        ({"histories": [["i1"]]}, "inputs.histories: is no input of this signature. Expected history, k, user_id"),
    ],
)
def test_a_wrong_input_is_named(server: Server, inputs: dict[str, Any], words: str) -> None:
    status, answer = server.predict("recommend", **{"user_id": ["u1"], **inputs})
    assert status == 400
    assert words in answer["error"]


def test_a_body_in_another_encoding_than_it_says(server: Server) -> None:
    place = f"{server.rest}/v1/models/films:predict"
    request = urllib.request.Request(place, b"{}", headers={"Content-Encoding": "gzip"})
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(request, timeout=10)
    assert "cannot be decoded. Expected Content-Encoding: gzip" in error.value.read().decode()


def test_strange_ids_are_answered(server: Server) -> None:
    strange = ["", "-1", str(2**70), "x" * 10_000, "\x00", "💥"]
    status, answer = server.predict("recommend", user_id=strange, k=3)
    assert status == 200
    assert answer["outputs"]["rung"] == ["popularity"] * 6


def test_grpc_answers_as_tf_serving(server: Server) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "films", "recommend"
        request.inputs["user_id"].CopyFrom(tf.make_tensor_proto(["u1", ""]))
        request.inputs["k"].CopyFrom(tf.make_tensor_proto(2))
        answer = prediction.Predict(request, timeout=10)
        assert tf.make_ndarray(answer.outputs["item_ids"]).tolist() == [[b"i1", b"i2"]] * 2
        assert answer.model_spec.version.value == 5
        request.output_filter.append("rung")
        assert list(prediction.Predict(request, timeout=10).outputs) == ["rung"]
        state = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "films"}), timeout=10
        )
        assert [(v.version, v.state) for v in state.model_version_status] == [(5, 30)]
        asked = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec={"name": "films"}, metadata_field=["signature_def"]
        )
        found = get_model_metadata_pb2.SignatureDefMap()
        prediction.GetModelMetadata(asked, timeout=10).metadata["signature_def"].Unpack(found)
        assert {"recommend", "rank", "serving_default"} < set(found.signature_def)
        for change, code in (
            ("k", "INVALID_ARGUMENT"),
            ("size", "INVALID_ARGUMENT"),
            ("name", "NOT_FOUND"),
            ("signature", "INVALID_ARGUMENT"),
        ):
            wrong = predict_pb2.PredictRequest()
            wrong.CopyFrom(request)
            if change == "k":
                wrong.inputs["k"].CopyFrom(tf.make_tensor_proto(2.5))
            elif change == "size":  # a few bytes that stand for a tensor of 10 GB
                for dim in (100_000, 100_000):
                    wrong.inputs["history"].tensor_shape.dim.add(size=dim)
                wrong.inputs["history"].dtype = tf.string.as_datatype_enum
            elif change == "name":
                wrong.model_spec.name = "songs"
            else:
                wrong.model_spec.signature_name = "guess"
            with pytest.raises(grpc.RpcError) as error:
                prediction.Predict(wrong, timeout=10)
            assert error.value.code().name == code
            assert "xpected" in error.value.details()


def test_the_log_holds_no_user_in_clear(server: Server) -> None:
    server.predict("recommend", user_id=["u7", "u7", ""], history=[["i1"], [], ["i2"]], k=2)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()][-3:]
    assert [line["history"] for line in lines] == [["i1"], [], ["i2"]]
    assert [line["item_ids"] for line in lines] == [["i2", "i3"], ["i1", "i2"], ["i1", "i3"]]
    assert lines[0]["user"] == lines[1]["user"] != lines[2]["user"] == ""
    assert len(lines[0]["user"]) == 16
    assert "u7" not in server.log.read_text()
    assert (server.log.parent / "user-key").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look at the page with")
def test_the_demo_page_asks_and_shows_the_answer(server: Server, tmp_path: Path) -> None:
    assert CHROMIUM
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = subprocess.run(
        [CHROMIUM, *options, "--virtual-time-budget=8000", "--dump-dom", f"{server.rest}/?item=i1"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout
    assert "films, version 5, 3 items" in page
    assert "Little is known: these are similar to the items chosen." in page
    answer = page.partition('<ol id="answer">')[2].partition("</ol>")[0]
    assert [title in answer for title in ("Title of i1", "Title of i2", "Title of i3")] == [False, True, True]


def test_a_model_whose_process_dies_is_started_again(server: Server) -> None:
    (worker,) = psutil.Process(server.process.pid).children()
    worker.kill()
    worker.wait(timeout=10)
    status, answer = server.predict("recommend", user_id=["u1"], k=1)
    assert (status, "Try again in some seconds" in answer["error"]) == (503, True)
    assert server.call("/readyz")[0] == 503
    assert server.call("/healthz")[0] == 200
    deadline = time.monotonic() + 60
    while server.call("/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert server.predict("recommend", user_id=["u1"], k=1)[0] == 200
    assert server.version() == 5
    assert "The process of version 5 was ended by signal 9 (SIGKILL). Out of memory?" in server.stderr.read_text()


def test_a_newer_version_takes_over_without_a_failed_request(server: Server) -> None:
    failed: list[Any] = []
    scores: set[float] = set()
    done = threading.Event()

    def load() -> None:
        while not done.wait(0.005):  # no pause at all, and the loading of versions waits behind the requests
            try:
                status, answer = server.predict("recommend", user_id=["u1"], k=1)
            except OSError as error:
                failed.append(error)
            else:
                scores.add(round(answer["outputs"]["scores"][0][0], 3))
                if status != 200:
                    failed.append(answer)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        newest = version_store.push(server.better, server.root, clock=lambda: 6)
        server.wait_for(newest.number)
        back = version_store.rollback(server.root, clock=lambda: 7)
        server.wait_for(back.number)
        # A tampered version is refused, and the old one serves on.
        damaged = version_store.push(server.better, server.root / "elsewhere" / "films", clock=lambda: 8)
        (damaged.path / "saved_model.pb").write_bytes(b"another graph")
        damaged.path.rename(server.root / "8")
        deadline = time.monotonic() + _PATIENCE
        while not server.call("/v1/models")[1]["refused"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert "was changed" in server.call("/v1/models")[1]["refused"]["8"]
    assert server.version() == 7
    assert not failed
    assert scores == {0.6, 6.0}
    assert "shortlist_refused_versions_total 1.0" in server.call("/metrics")[1]


def test_a_version_of_another_release_is_refused(tmp_path: Path) -> None:
    strange = version_store.push(save(tmp_path / "model", fault="tells no rung"), tmp_path / "films")
    watcher = ModelWatcher(tmp_path / "films")
    with pytest.raises(
        ShortlistError, match=r"has no version that can be served .*`recommend` does not answer with rung"
    ):
        asyncio.run(watcher.start())
    assert strange.number in watcher.refused


def test_a_stop_answers_what_is_under_way(server: Server) -> None:
    host, port = server.rest.removeprefix("http://").split(":")
    body = json.dumps({"signature_name": "recommend", "inputs": {"user_id": ["u1"], "k": 1}}).encode()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST /v1/models/films:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body[:10])
        time.sleep(0.2)
        os.kill(server.process.pid, signal.SIGTERM)
        time.sleep(0.2)
        assert server.call("/readyz")[0] == 503
        connection.sendall(body[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert server.process.wait(timeout=30) == 0
