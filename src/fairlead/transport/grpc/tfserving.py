"""TensorFlow Serving's PredictionService and ModelService, with its words for what goes wrong."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.transport.grpc.messages import Message, enum_values, message_class
from fairlead.transport.grpc.method import Context, Service
from fairlead.transport.grpc.model_spec import SERVING_DEFAULT, fill_spec, read_target
from fairlead.transport.grpc.status import GRPC_STATUS
from fairlead.transport.grpc.tensor_proto import DATA_TYPES, from_proto, write_proto
from fairlead.transport.invalid import invalid
from fairlead.transport.ports import Catalogue, Predicting

__all__ = ["ModelService", "PredictionService"]

_PROTOCOL = "tfserving-grpc"
_PREDICT_METHOD = "tensorflow/serving/predict"
_STATES = enum_values("tensorflow.serving.ModelVersionStatus.State")
_PredictResponse = message_class("tensorflow.serving.PredictResponse")
_MetadataResponse = message_class("tensorflow.serving.GetModelMetadataResponse")
_SignatureDefMap = message_class("tensorflow.serving.SignatureDefMap")
_StatusResponse = message_class("tensorflow.serving.GetModelStatusResponse")

_bare = operator.attrgetter("message")
"""TensorFlow Serving's clients match on its texts: an error's hint has no place there."""


class PredictionService:
    """Predictions, and what a model takes and gives."""

    def __init__(self, predictor: Predicting, catalogue: Catalogue, max_bytes: int) -> None:
        self._predictor = predictor
        self._catalogue = catalogue
        self._max_bytes = max_bytes

    def service(self) -> Service:
        """What of it is offered."""
        return Service(
            name="tensorflow.serving.PredictionService",
            unary={
                "Predict": self.predict,
                "GetModelMetadata": self.metadata,
                "Classify": self.not_offered,
                "Regress": self.not_offered,
                "MultiInference": self.not_offered,
            },
            protocol=_PROTOCOL,
            details=_bare,
        )

    async def predict(self, request: Message, context: Context) -> Message:
        """Predict."""
        target = read_target(request)
        context.model, context.version, context.label = target.model, target.version, target.label or ""

        def decode(manifest: Manifest) -> Tensors:
            context.version = manifest.version
            _check_signature(request.model_spec.signature_name)
            _check_filter(request.output_filter, manifest.signature)
            return _inputs(request.inputs, manifest.signature, self._max_bytes)

        wanted = list(request.output_filter) or None
        prediction = await self._predictor.predict(
            target, decode, outputs=wanted, deadline=context.deadline, size=context.size
        )
        return _response(prediction.manifest, prediction.outputs)

    async def metadata(self, request: Message, context: Context) -> Message:
        """GetModelMetadata."""
        target = read_target(request)
        context.model, context.version, context.label = target.model, target.version, target.label or ""
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field[:80]} is not supported")
        manifest = self._catalogue.describe(target)
        context.version = manifest.version
        response = _MetadataResponse()
        fill_spec(response.model_spec, manifest.model, manifest.version)
        response.metadata["signature_def"].Pack(_signature_map(manifest.signature))
        return response

    async def not_offered(self, _request: Message, context: Context) -> Message:
        """Classify, Regress and MultiInference."""
        raise FairleadError(Code.UNIMPLEMENTED, f"{context.api} is not offered; send the tensors to Predict instead")


class ModelService:
    """What the versions of a model are doing."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def service(self) -> Service:
        """What of it is offered."""
        return Service(
            name="tensorflow.serving.ModelService",
            unary={"GetModelStatus": self.status, "HandleReloadConfigRequest": self.reload},
            protocol=_PROTOCOL,
            details=_bare,
        )

    async def status(self, request: Message, context: Context) -> Message:
        """GetModelStatus. A label changes nothing, as in TensorFlow Serving."""
        target = read_target(request)
        context.model, context.version, context.label = target.model, target.version, target.label or ""
        response = _StatusResponse()
        for status in self._catalogue.statuses(target.model, target.version):
            shown = response.model_version_status.add()
            shown.version = status.id.version
            shown.state = _STATES[status.state]
            shown.status.error_code = GRPC_STATUS[status.code] if status.code else 0
            shown.status.error_message = status.message
        return response

    async def reload(self, request: Message, _context: Context) -> Message:
        """HandleReloadConfigRequest."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        raise FairleadError(
            Code.UNIMPLEMENTED, "the configuration is not changed by request: the store's releases decide"
        )


def _check_signature(name: str) -> None:
    if name not in ("", SERVING_DEFAULT):
        raise FairleadError(Code.FAILED_PRECONDITION, f'Serving signature key "{name[:200]}" not found.')


def _check_filter(names: list[str], signature: Signature) -> None:
    known = [spec.name for spec in signature.outputs]
    seen: set[str] = set()
    for name in names:
        if name not in known:
            raise invalid(
                f"output tensor alias not found in signature: {name[:200]} "
                f"Outputs expected to be in the set {{{','.join(known)}}}."
            )
        if name in seen:
            raise invalid(f"duplicate output tensor alias: {name}")
        seen.add(name)


def _inputs(given: Mapping[str, Message], signature: Signature, max_bytes: int) -> Tensors:
    specs = signature.inputs
    if len(given) != len(specs):
        raise _wrong_count(set(given), {spec.name for spec in specs})
    for spec in specs:
        if spec.name not in given:
            raise invalid(
                f"Signature input alias: {spec.name}(feed name: {spec.name}:0) not found in request and no default "
                f"value provided. Inputs expected to be in the set {{{','.join(spec.name for spec in specs)}}}."
            )
    return {spec.name: from_proto(spec, given[spec.name], max_bytes) for spec in specs}


def _wrong_count(given: set[str], wanted: set[str]) -> FairleadError:
    return invalid(
        f"input size does not match signature: {len(given)}!={len(wanted)} len({_set(given)}) != len({_set(wanted)}). "
        f"Sent extra: {_set(given - wanted)}. Missing but required: {_set(wanted - given)}."
    )


def _set(names: set[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"


def _response(manifest: Manifest, outputs: Mapping[str, Array]) -> Message:
    response = _PredictResponse()
    for name, array in outputs.items():
        write_proto(response.outputs[name], array)
    fill_spec(response.model_spec, manifest.model, manifest.version, SERVING_DEFAULT)
    return response


def _signature_map(signature: Signature) -> Message:
    """The model's signatures; its only one is `serving_default`."""
    found = _SignatureDefMap()
    described = found.signature_def[SERVING_DEFAULT]
    described.method_name = _PREDICT_METHOD
    for side, specs in ((described.inputs, signature.inputs), (described.outputs, signature.outputs)):
        for spec in specs:
            _describe(side[spec.name], spec)
    return found


def _describe(info: Message, spec: TensorSpec) -> None:
    info.name = f"{spec.name}:0"
    info.dtype = DATA_TYPES[spec.dtype]
    info.tensor_shape.SetInParent()
    for size in spec.shape:
        info.tensor_shape.dim.add().size = size
