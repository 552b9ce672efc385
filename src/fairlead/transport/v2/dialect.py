"""The Open Inference Protocol, version 2, over REST: everything under `/v2`."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.serving.predictor import Prediction
from fairlead.serving.target import Target
from fairlead.transport.content_coding import compress, plain_body
from fairlead.transport.deadline import earlier
from fairlead.transport.json_document import parse_json
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import Catalogue, Predicting
from fairlead.transport.refusal import refused
from fairlead.transport.v2.answer import check_wanted, encode_answer
from fairlead.transport.v2.inference import Inference, read_inference
from fairlead.transport.v2.inputs import decode_inputs
from fairlead.transport.v2.models import Models
from fairlead.transport.v2.pages import index_entry, model_page, server_page
from fairlead.transport.v2.route import Ask, find_route

__all__ = ["V2"]

_UNAVAILABLE = 503
_JSON_LENGTH = b"inference-header-content-length"


class V2:
    """Answers as Triton does where clients notice, and where its answers are odd as the protocol's text does."""

    def __init__(self, predictor: Predicting, catalogue: Catalogue, is_draining: Callable[[], bool]) -> None:
        self._predictor = predictor
        self._catalogue = catalogue
        self._models = Models(catalogue)
        self._is_draining = is_draining

    async def answer(self, request: Request, call: Call) -> Response:
        route = find_route(request)
        call.model, call.version, call.label = route.target.model, route.target.version, route.target.label or ""
        if route.ask is Ask.INFER:
            return await self._infer(request, route.target, call)
        if route.ask is Ask.INDEX:
            return self._index(await plain_body(request))
        return self._page(route.ask, route.target)

    def refuse(self, error: FairleadError) -> Response:
        """Every error is `{"error": sentence}`."""
        return refused({"error": str(error)}, error)

    async def _infer(self, request: Request, target: Target, call: Call) -> Response:
        call.api = "infer"
        body = await plain_body(request)
        try:
            inference = read_inference(body, request.header(_JSON_LENGTH))
        except FairleadError:
            manifest = self._models.describe(target)  # an unknown model is told before any fault in the body
            call.version = manifest.version
            raise
        prediction = await self._predict(request, target, call, inference, len(body))
        accepted = request.header(b"accept-encoding")
        response = encode_answer(inference, prediction)
        return await compress(response, accepted) if accepted else response

    async def _predict(
        self, request: Request, target: Target, call: Call, inference: Inference, size: int
    ) -> Prediction:
        def decode(manifest: Manifest) -> Tensors:
            call.version = manifest.version
            check_wanted(inference, manifest)
            return decode_inputs(inference, manifest)

        names = [wanted.name for wanted in inference.wanted]
        deadline = earlier(request.deadline, inference.deadline(request.arrived))
        try:
            return await self._predictor.predict(target, decode, outputs=names or None, deadline=deadline, size=size)
        except FairleadError as error:
            if error.code is Code.NOT_FOUND:
                raise self._models.missing(target) from error
            raise

    def _page(self, ask: Ask, target: Target) -> Response:
        match ask:
            case Ask.SERVER:
                return Response.of(server_page())
            case Ask.LIVE:
                return Response.of({"live": True})
            case Ask.READY:
                return self._ready()
            case Ask.STATISTICS:
                raise FairleadError(
                    Code.UNIMPLEMENTED, "statistics are not offered", hint="GET /metrics counts requests"
                )
            case Ask.LOAD:
                raise self._models.not_controlled(target)
            case Ask.MODEL_READY:
                self._models.describe(target)
                return Response.of({"name": target.model, "ready": True})
        return Response.of(model_page(self._models.describe(target), self._models.available(target)))

    def _ready(self) -> Response:
        is_ready = self._catalogue.readiness().is_ready and not self._is_draining()
        return Response.of({"ready": is_ready}, status=200 if is_ready else _UNAVAILABLE)

    def _index(self, body: bytes) -> Response:
        """All versions of all models; those that are ready when the body says so."""
        asked = parse_json(body) if body else {}
        only_ready = isinstance(asked, dict) and asked.get("ready") is True
        return Response.of([index_entry(status) for status in self._models.index(only_ready=only_ready)])
