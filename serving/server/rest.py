"""TF Serving's REST API, health, metrics and the demo page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from google.protobuf import json_format

from serving.server.metadata import model_metadata, model_status
from serving.server.model_process import UnavailableError
from serving.server.predictor import NotFoundError, Predictor
from serving.server.tensors import inputs_of_json, json_of_outputs
from settings.errors import RequestError

DEMO_PAGE = Path(__file__).with_name("demo.html")
_MODEL = "/v1/models/{name:[^/:]+}"
_VERSION = _MODEL + "/versions/{version:[^/:]+}"

_log = logging.getLogger(__name__)


def make_app(predictor: Predictor) -> web.Application:
    """Return the application; `app[READY]` is set to False when the server is about to stop."""
    app = web.Application(client_max_size=predictor.limits.max_body_bytes, middlewares=[_explained])
    app[PREDICTOR] = predictor
    app[READY] = [True]
    routes: list[web.RouteDef] = []
    for place in (_MODEL, _VERSION):
        routes += [
            web.get(place, _status),
            web.get(f"{place}/metadata", _metadata),
            web.post(f"{place}:predict", _predict),
        ]
    routes += [
        web.get("/", _demo),
        web.get("/v1/models", _models),
        web.get("/healthz", _alive),
        web.get("/readyz", _ready),
        web.get("/metrics", _metrics),
    ]
    app.add_routes(routes)
    return app


PREDICTOR = web.AppKey("predictor", Predictor)
READY = web.AppKey("ready", list)


async def _predict(request: web.Request) -> web.Response:
    raw = await request.read()
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the request: is not valid JSON ({error}). Expected an object with inputs") from None
    signature = body.get("signature_name", "serving_default") if isinstance(body, dict) else "serving_default"
    if not isinstance(signature, str):
        raise RequestError(f"signature_name: expected text. Received: {signature!r}")
    by_row = False

    def read(specs: Any, optional: Any) -> Any:
        nonlocal by_row
        inputs, by_row = inputs_of_json(body, specs, optional)
        return inputs

    name, version = _asked(request)
    _, outputs = await request.app[PREDICTOR].predict("rest", signature, read, version, name)
    # orjson writes NaN and infinities as null.
    return _json(json_of_outputs(outputs, by_row))


async def _status(request: web.Request) -> web.Response:
    name, version = _asked(request)
    status = model_status(request.app[PREDICTOR].served(version, name))
    return _json(_plain(status))


async def _metadata(request: web.Request) -> web.Response:
    name, version = _asked(request)
    predictor = request.app[PREDICTOR]
    metadata = model_metadata(predictor.served(version, name), predictor.name)
    return _json(_plain(metadata))


async def _models(request: web.Request) -> web.Response:
    predictor = request.app[PREDICTOR]
    served = predictor.served()
    refused = {str(number): reason for number, reason in predictor.watcher.refused.items()}
    return _json(
        {
            "name": predictor.name,
            "version": served.number,
            "catalogue_size": served.catalogue_size,
            "signatures": sorted(served.inputs),
            "refused": refused,
        }
    )


async def _demo(request: web.Request) -> web.FileResponse:
    # A browser asks whether it changed: another release may have another page.
    return web.FileResponse(DEMO_PAGE, headers={"Cache-Control": "no-cache"})


async def _alive(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _ready(request: web.Request) -> web.Response:
    ready = request.app[READY][0] and request.app[PREDICTOR].watcher.ready
    return web.Response(text="ready\n" if ready else "not ready\n", status=200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(
        body=request.app[PREDICTOR].metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


@web.middleware
async def _explained(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer every error in words, as `{"error": ...}`, and never with a trace."""
    try:
        return await handler(request)
    except UnavailableError as error:
        return _json({"error": str(error)}, 503, {"Retry-After": "1"})
    except NotFoundError as error:
        return _json({"error": str(error)}, 404)
    except RequestError as error:
        return _json({"error": str(error)}, 400)
    except web.HTTPRequestEntityTooLarge:
        limit = request.app[PREDICTOR].limits.max_body_bytes
        return _json({"error": f"the request: is too large. Expected at most {limit} bytes"}, 413)
    except web.RequestPayloadError:
        encoding = request.headers.get("Content-Encoding", "none")
        return _json({"error": f"the request: cannot be decoded. Expected Content-Encoding: {encoding}"}, 400)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return _json({"error": f"{request.method} {request.path}: expected {allowed}"}, 405, {"Allow": allowed})
    except web.HTTPNotFound:
        where = f"/v1/models/{request.app[PREDICTOR].name}:predict"
        return _json({"error": f"{request.path}: is not here. Expected for example POST {where}"}, 404)
    except web.HTTPException:
        raise
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return _json({"error": "the model could not answer; the server's log says why"}, 500)


def _asked(request: web.Request) -> tuple[str, int | None]:
    """Return the model's name and the version that the address names."""
    version = request.match_info.get("version")
    if version is not None and not (version.isascii() and version.isdigit()):
        raise RequestError(f"version {version!r}: expected a whole number")
    return request.match_info["name"], None if version is None else int(version)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _plain(message: Any) -> Any:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
