"""The Open Inference Protocol's GRPCInferenceService."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.serving.predictor import Prediction
from fairlead.serving.statistics import Statistics
from fairlead.serving.target import Target
from fairlead.transport.asked_version import asked_target
from fairlead.transport.deadline import earlier
from fairlead.transport.grpc.infer_message import encode_response, read_request
from fairlead.transport.grpc.messages import Message, message_class
from fairlead.transport.grpc.method import Context, Service
from fairlead.transport.invalid import invalid
from fairlead.transport.path_version import path_version
from fairlead.transport.ports import Catalogue, ModelControl, Predicting
from fairlead.transport.v2.answer import check_wanted
from fairlead.transport.v2.inference import Inference
from fairlead.transport.v2.inputs import decode_inputs
from fairlead.transport.v2.models import Models
from fairlead.transport.v2.pages import config_page, model_page, server_page
from fairlead.transport.v2.repository import Repository, no_named_repository
from fairlead.transport.v2.statistics import figures_of

__all__ = ["InferenceService"]


def _class(name: str) -> Message:
    return message_class(f"inference.{name}")


_Live, _Ready = _class("ServerLiveResponse"), _class("ServerReadyResponse")
_ModelReady, _ModelMetadata = _class("ModelReadyResponse"), _class("ModelMetadataResponse")
_ServerMetadata, _Index = _class("ServerMetadataResponse"), _class("RepositoryIndexResponse")
_Statistics, _Config = _class("ModelStatisticsResponse"), _class("ModelConfigResponse")
_Loaded, _Unloaded = _class("RepositoryModelLoadResponse"), _class("RepositoryModelUnloadResponse")
_StreamResponse = _class("ModelStreamInferResponse")


class InferenceService:
    """Answers as the REST side does, in messages."""

    def __init__(
        self,
        predictor: Predicting,
        catalogue: Catalogue,
        statistics: Statistics,
        *,
        control: ModelControl | None,
        is_ready: Callable[[], bool],
        max_rows: int,
    ) -> None:
        self._predictor = predictor
        self._catalogue = catalogue
        self._statistics = statistics
        self._models = Models(catalogue)
        self._repository = Repository(catalogue, control)
        self._is_ready = is_ready
        self._max_rows = max_rows

    def service(self) -> Service:
        """What of it is offered."""
        return Service(
            name="inference.GRPCInferenceService",
            unary={
                "ServerLive": self.server_live,
                "ServerReady": self.server_ready,
                "ServerMetadata": self.server_metadata,
                "ModelReady": self.model_ready,
                "ModelMetadata": self.model_metadata,
                "ModelInfer": self.model_infer,
                "RepositoryIndex": self.repository_index,
                "RepositoryModelLoad": self.repository_load,
                "RepositoryModelUnload": self.repository_unload,
                "ModelStatistics": self.model_statistics,
                "ModelConfig": self.model_config,
            },
            streaming={"ModelStreamInfer": self.model_stream_infer},
            protocol="v2-grpc",
            probes=frozenset({"ServerLive", "ServerReady"}),
            scope=Scope.PREDICT,
            scopes={
                "ServerLive": None,
                "ServerReady": None,
                "RepositoryModelLoad": Scope.ADMIN,
                "RepositoryModelUnload": Scope.ADMIN,
            },
        )

    async def server_live(self, _request: Message, _context: Context) -> Message:
        """ServerLive."""
        return _Live(live=True)

    async def server_ready(self, _request: Message, _context: Context) -> Message:
        """ServerReady."""
        return _Ready(ready=self._is_ready())

    async def server_metadata(self, _request: Message, _context: Context) -> Message:
        """ServerMetadata."""
        return _ServerMetadata(**server_page(has_control=self._repository.is_controlled))

    async def model_ready(self, request: Message, context: Context) -> Message:
        """ModelReady. A model that nobody knows is an error."""
        self._models.describe(self._target(request.name, request.version, context))
        return _ModelReady(ready=True)

    async def model_metadata(self, request: Message, context: Context) -> Message:
        """ModelMetadata."""
        target = self._target(request.name, request.version, context)
        return _ModelMetadata(**model_page(self._models.describe(target), self._models.available(target)))

    async def model_infer(self, request: Message, context: Context) -> Message:
        """ModelInfer."""
        target = self._target(request.model_name, request.model_version, context)
        try:
            inference = read_request(request)
        except FairleadError:
            context.version = self._models.describe(target).version  # an unknown model is told before any fault
            raise
        return encode_response(inference, await self._predict(target, inference, context))

    async def _predict(self, target: Target, inference: Inference, context: Context) -> Prediction:
        def decode(manifest: Manifest) -> Tensors:
            context.version = manifest.version
            check_wanted(inference, manifest)
            return decode_inputs(inference, manifest)

        names = [wanted.name for wanted in inference.wanted]
        deadline = earlier(context.deadline, inference.deadline(time.monotonic()))
        try:
            prediction = await self._predictor.predict(
                target,
                decode,
                outputs=names or None,
                deadline=deadline,
                size=context.size,
                key=inference.key or context.key,
                tenant=context.tenant,
                trace=context.trace,
            )
        except FairleadError as error:
            if error.code is Code.NOT_FOUND:
                raise self._models.missing(target) from error
            raise
        context.prediction_id = prediction.id
        return prediction

    async def model_stream_infer(self, requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Message]:
        """ModelStreamInfer: the answers come in the order of the requests, and an error ends nothing."""
        async for request in requests:
            try:
                answer = await self.model_infer(request, context)
            except FairleadError as error:
                yield _StreamResponse(error_message=str(error))
            else:
                yield _StreamResponse(infer_response=answer)

    async def model_statistics(self, request: Message, context: Context) -> Message:
        """ModelStatistics. Without a name it is of all models."""
        ids = self._models.up(self._target(request.name, request.version, context))
        figures = self._statistics.read(ids)
        return _Statistics(model_stats=[figures_of(id_, figures[id_]) for id_ in figures])

    async def model_config(self, request: Message, context: Context) -> Message:
        """ModelConfig."""
        manifest = self._models.describe(self._target(request.name, request.version, context))
        return _Config(config=config_page(manifest, self._max_rows))

    async def repository_index(self, request: Message, _context: Context) -> Message:
        """RepositoryIndex."""
        _check_unnamed(request)
        return _Index(models=self._repository.index(only_ready=request.ready))

    async def repository_load(self, request: Message, context: Context) -> Message:
        """RepositoryModelLoad."""
        _check_unnamed(request)
        context.model = request.model_name
        await self._repository.load(request.model_name, request.parameters)
        return _Loaded()

    async def repository_unload(self, request: Message, context: Context) -> Message:
        """RepositoryModelUnload."""
        _check_unnamed(request)
        context.model = request.model_name
        await self._repository.unload(request.model_name)
        return _Unloaded()

    def _target(self, model: str, version: str, context: Context) -> Target:
        """Whom a request is for; an empty version leaves the choice to the metadata, and then to the server."""
        if version and not (version.isascii() and version.isdigit()):
            raise invalid(
                f"failed to get model version from specified version string {version[:80]!r}: it is no number"
            )
        target = Target(model=model, version=path_version(version or None))
        if model:
            target = asked_target(target, context.asked, self._catalogue)
        context.model, context.version, context.label = target.model, target.version, target.label or ""
        return target


def _check_unnamed(request: Message) -> None:
    if request.repository_name:
        raise no_named_repository()
