"""The Open Inference Protocol, version 2, over REST: everything under `/v2`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.serving.predictor import Prediction
from fairlead.serving.statistics import Statistics
from fairlead.serving.target import Target
from fairlead.transport.asked_version import labelled, with_headers
from fairlead.transport.content_coding import compress, plain_body
from fairlead.transport.deadline import earlier
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import Catalogue, ModelControl, Predicting
from fairlead.transport.refusal import refused
from fairlead.transport.v2.answer import check_wanted, encode_answer
from fairlead.transport.v2.inference import Inference, read_inference
from fairlead.transport.v2.inputs import decode_inputs
from fairlead.transport.v2.models import Models
from fairlead.transport.v2.pages import config_page, model_page, server_page
from fairlead.transport.v2.repository import Repository, no_named_repository, read_request
from fairlead.transport.v2.route import Ask, find_route
from fairlead.transport.v2.statistics import statistics_page

__all__ = ["V2"]

_UNAVAILABLE = 503
_OF_REPOSITORY = frozenset({Ask.INDEX, Ask.LOAD, Ask.UNLOAD, Ask.NAMED_REPOSITORY})
_JSON_LENGTH = b"inference-header-content-length"


class V2:
    """Answers as Triton does where clients notice, and where its answers are odd as the protocol's text does."""

    def __init__(
        self,
        predictor: Predicting,
        catalogue: Catalogue,
        statistics: Statistics,
        *,
        control: ModelControl | None,
        is_draining: Callable[[], bool],
        max_rows: int,
    ) -> None:
        self._predictor = predictor
        self._catalogue = catalogue
        self._statistics = statistics
        self._models = Models(catalogue)
        self._repository = Repository(catalogue, control)
        self._is_draining = is_draining
        self._max_rows = max_rows

    async def answer(self, request: Request, call: Call) -> Response:
        route = find_route(request)
        target = route.target
        if target.model and route.ask not in _OF_REPOSITORY:
            target = labelled(with_headers(target, request, self._catalogue), self._catalogue)
        call.model, call.version, call.label = target.model, target.version, target.label or ""
        if route.ask is Ask.INFER:
            return await self._infer(request, target, call)
        if route.ask in _OF_REPOSITORY:
            managing = self._manage(route.ask, target.model, await plain_body(request))
            return await asyncio.create_task(managing)  # a load has a time limit
        return self._page(route.ask, target)

    def refuse(self, error: FairleadError) -> Response:
        """The protocol's `{"error": sentence}`; beside it, for clients that know them, the code and the next step."""
        return refused({"error": str(error), "code": error.code.value, "hint": error.hint}, error)

    async def _infer(self, request: Request, target: Target, call: Call) -> Response:
        call.api = "infer"
        body = await plain_body(request) if request.header(b"content-encoding") else request.take_body()
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
            inputs = decode_inputs(inference, manifest)
            inference.given = ()  # values in JSON would take ten times the memory of the tensors while these wait
            return inputs

        names = [wanted.name for wanted in inference.wanted]
        deadline = earlier(request.deadline, inference.deadline(request.arrived))
        try:
            prediction = await self._predictor.predict(
                target,
                decode,
                outputs=names or None,
                deadline=deadline,
                size=size,
                key=inference.key or call.key,
                tenant=call.tenant,
                trace=call.trace,
            )
        except FairleadError as error:
            if error.code is Code.NOT_FOUND:
                raise self._models.missing(target) from error
            raise
        call.prediction_id = prediction.id
        return prediction

    def _page(self, ask: Ask, target: Target) -> Response:
        match ask:
            case Ask.SERVER:
                return Response.of(server_page(has_control=self._repository.is_controlled))
            case Ask.LIVE | Ask.READY:
                return self._health(ask)
            case Ask.STATISTICS:
                return Response.of(statistics_page(self._models.up(target), self._statistics))
            case Ask.CONFIG:
                return Response.of(config_page(self._models.describe(target), self._max_rows))
            case Ask.MODEL_READY:
                self._models.describe(target)
                return Response.of({"name": target.model, "ready": True})
        return Response.of(model_page(self._models.describe(target), self._models.available(target)))

    def _health(self, ask: Ask) -> Response:
        if ask is Ask.LIVE:
            return Response.of({"live": True})
        is_ready = self._catalogue.readiness().is_ready and not self._is_draining()
        return Response.of({"ready": is_ready}, status=200 if is_ready else _UNAVAILABLE)

    async def _manage(self, ask: Ask, model: str, body: bytes) -> Response:
        """What is there, or have it loaded or unloaded, which answers with nothing."""
        if ask is Ask.NAMED_REPOSITORY:
            raise no_named_repository()
        asked = read_request(body)
        if ask is Ask.INDEX:
            return Response.of(self._repository.index(only_ready=asked.get("ready") is True))
        if ask is Ask.LOAD:
            await self._repository.load(model, asked.get("parameters", {}))
        else:
            await self._repository.unload(model)
        return Response()
