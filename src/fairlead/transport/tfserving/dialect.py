"""TensorFlow Serving's REST dialect: the routes under `/v1/`, the order of its checks and the words of its errors."""

from __future__ import annotations

import asyncio
import functools
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.serving.target import Target
from fairlead.transport.asked_version import with_headers
from fairlead.transport.content_coding import inflate
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.path_version import path_version
from fairlead.transport.ports import Catalogue, Predicting
from fairlead.transport.refusal import refused
from fairlead.transport.tfserving.answer import encode_outputs, encode_predictions, encode_results
from fairlead.transport.tfserving.document import read_document
from fairlead.transport.tfserving.inference import Task, infer
from fairlead.transport.tfserving.json_examples import read_examples
from fairlead.transport.tfserving.method import Method
from fairlead.transport.tfserving.pages import metadata_page, status_page
from fairlead.transport.tfserving.predict_body import PredictBody

__all__ = ["TfServing"]

_MODEL = r"([^/:]+)"
_QUALIFIER = r"(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_POST = re.compile(rf"/v1/models/{_MODEL}{_QUALIFIER}:(classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/{_MODEL})?{_QUALIFIER}(/metadata)?", re.IGNORECASE)
_SHOWN_CHARS = 1024
_INLINE_BYTES = 1 << 20
_BEFORE_DECODING = (Code.NOT_FOUND, Code.INVALID_ARGUMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a path asks for: "predict", "classify" or "regress" of a POST, "metadata" or "status" of a GET."""

    verb: str
    target: Target


class TfServing:
    """Answers everything under `/v1/`. It never answers 405, and says 404 for what is not loaded, as its model does."""

    def __init__(self, predictor: Predicting, catalogue: Catalogue) -> None:
        self._predictor = predictor
        self._catalogue = catalogue

    async def answer(self, request: Request, call: Call) -> Response:
        if request.method == "OPTIONS":
            return _options(request)
        route = _route(request)
        target = with_headers(route.target, request, self._catalogue)
        call.model, call.version, call.label = target.model, target.version, target.label or ""
        if request.method == "GET":
            return self._page(route.verb, target, call)
        call.api = route.verb
        if route.verb == "predict":
            return await self._predict(target, await _predict_body(request), request.deadline, call)
        return await self._infer(target, Method(route.verb), await _body(request), request.deadline, call)

    def refuse(self, error: FairleadError) -> Response:
        """Every error is `{"error": message}`; its hint has no place there."""
        return refused({"error": error.message}, error)

    async def _predict(self, target: Target, asked: PredictBody, deadline: float | None, call: Call) -> Response:
        if asked.signature:
            target = replace(target, signature=asked.signature)

        def decode(manifest: Manifest) -> Tensors:
            call.version = manifest.version
            return asked.decode(manifest)

        try:
            prediction = await self._predictor.predict(
                target, decode, deadline=deadline, size=asked.size, key=call.key, tenant=call.tenant, trace=call.trace
            )
        except FairleadError as error:
            if error.code in _BEFORE_DECODING:
                asked.check()  # a body that is no JSON is told before a model that nobody knows
            raise
        call.prediction_id = prediction.id
        return Response(body=(encode_predictions if asked.is_rows else encode_outputs)(prediction.outputs))

    async def _infer(self, target: Target, method: Method, body: bytes, deadline: float | None, call: Call) -> Response:
        document = read_document(body)
        examples = read_examples(document, method)  # all of the body is read before the model is looked up
        target = replace(target, signature=document.get("signature_name", ""))
        inferred = await infer(
            self._predictor,
            Task(target=target, method=method),
            examples,
            deadline=deadline,
            key=call.key,
            tenant=call.tenant,
            trace=call.trace,
        )
        call.version, call.prediction_id = inferred.manifest.version, inferred.id
        return Response(body=encode_results(inferred.result))

    def _page(self, verb: str, target: Target, call: Call) -> Response:
        if verb == "status":
            return Response.of(status_page(self._catalogue.statuses(target.model, target.version)))
        manifest = self._catalogue.describe(target)
        call.version = manifest.version
        return Response.of(metadata_page(manifest))


def _options(request: Request) -> Response:
    """TensorFlow Serving answers a browser's preflight with 200 and nothing, whatever its CORS flag says."""
    if re.match(rb"https?://", request.header(b"origin")):
        return Response()
    return Response(status=400, code=Code.INVALID_ARGUMENT)


def _route(request: Request) -> Route:
    """Match the undecoded path; a query is a part of it, and so of the name."""
    return _find_route(request.method, f"{request.path}?{request.query}" if request.query else request.path)


@functools.lru_cache(maxsize=256)  # few are asked again and again
def _find_route(method: str, path: str) -> Route:
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if not match or (method == "POST" and match[4] != match[4].lower()):
        raise FairleadError(Code.INVALID_ARGUMENT, f"Malformed request: {method[:_SHOWN_CHARS]} {path[:_SHOWN_CHARS]}")
    if not match[1]:
        raise FairleadError(Code.INVALID_ARGUMENT, "Missing model name in request.")
    target = Target(
        model=unquote(match[1]), version=path_version(match[2]), label=unquote(match[3]) if match[3] else None
    )
    if method == "POST":
        return Route(verb=match[4], target=target)
    return Route(verb="metadata" if match[4] == "/metadata" else "status", target=target)


async def _predict_body(request: Request) -> PredictBody:
    body = await _body(request)
    return PredictBody(body) if len(body) <= _INLINE_BYTES else await asyncio.to_thread(PredictBody, body)


async def _body(request: Request) -> bytes:
    """TensorFlow Serving looks for the word anywhere in the header and takes any other coding for plain JSON."""
    if b"gzip" in request.header(b"content-encoding"):
        return await inflate(request, b"gzip")
    return request.take_body()
