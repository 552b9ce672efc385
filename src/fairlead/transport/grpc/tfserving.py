"""TensorFlow Serving's PredictionService and ModelService, with its words for what goes wrong."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from dataclasses import replace

from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import DEFAULT_SIGNATURE, Array, Signature, Tensors
from fairlead.serving.model_config import check_configs
from fairlead.serving.target import Target, UnknownSignatureError
from fairlead.transport.asked_version import asked_target
from fairlead.transport.grpc.example_message import read_examples
from fairlead.transport.grpc.messages import Message, enum_values, message_class
from fairlead.transport.grpc.method import Context, Service
from fairlead.transport.grpc.model_config import read_model_configs
from fairlead.transport.grpc.model_spec import fill_spec, read_target
from fairlead.transport.grpc.result_message import fill_result
from fairlead.transport.grpc.signature_message import signature_map
from fairlead.transport.grpc.status import GRPC_STATUS
from fairlead.transport.grpc.tensor_proto import from_proto, write_proto
from fairlead.transport.invalid import invalid
from fairlead.transport.ports import Catalogue, ConfigControl, Predicting
from fairlead.transport.tfserving.inference import Task, infer, infer_all
from fairlead.transport.tfserving.method import Method

__all__ = ["ModelService", "PredictionService"]

_PROTOCOL = "tfserving-grpc"
_STATES = enum_values("tensorflow.serving.ModelVersionStatus.State")
_PredictResponse = message_class("tensorflow.serving.PredictResponse")
_ClassificationResponse = message_class("tensorflow.serving.ClassificationResponse")
_RegressionResponse = message_class("tensorflow.serving.RegressionResponse")
_MultiInferenceResponse = message_class("tensorflow.serving.MultiInferenceResponse")
_MetadataResponse = message_class("tensorflow.serving.GetModelMetadataResponse")
_StatusResponse = message_class("tensorflow.serving.GetModelStatusResponse")
_ReloadResponse = message_class("tensorflow.serving.ReloadConfigResponse")

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
                "Classify": self.classify,
                "Regress": self.regress,
                "Predict": self.predict,
                "MultiInference": self.multi_inference,
                "GetModelMetadata": self.metadata,
            },
            scope=Scope.PREDICT,
            protocol=_PROTOCOL,
            details=_bare,
        )

    async def predict(self, request: Message, context: Context) -> Message:
        """Predict."""
        target = _target(request, context, self._catalogue)

        def decode(manifest: Manifest) -> Tensors:
            context.version = manifest.version
            _check_filter(request.output_filter, manifest.signature)
            return _inputs(request.inputs, manifest.signature, self._max_bytes)

        wanted = list(request.output_filter) or None
        try:
            prediction = await self._predictor.predict(
                target,
                decode,
                outputs=wanted,
                deadline=context.deadline,
                size=context.size,
                key=context.key,
                tenant=context.tenant,
                trace=context.trace,
            )
        except UnknownSignatureError as error:
            raise FairleadError(
                Code.FAILED_PRECONDITION, f'Serving signature key "{error.signature[:200]}" not found.'
            ) from error
        context.prediction_id = prediction.id
        return _response(target, prediction.manifest, prediction.outputs)

    async def classify(self, request: Message, context: Context) -> Message:
        """Classify."""
        return await self._infer(Method.CLASSIFY, request, context, _ClassificationResponse())

    async def regress(self, request: Message, context: Context) -> Message:
        """Regress."""
        return await self._infer(Method.REGRESS, request, context, _RegressionResponse())

    async def multi_inference(self, request: Message, context: Context) -> Message:
        """MultiInference."""
        tasks = [
            Task(target=_target(task, context, self._catalogue), method=Method.named(task.method_name))
            for task in request.tasks
        ]
        if not tasks:
            raise invalid("Inference request has no tasks.")
        examples = read_examples(request.input)
        answers = await infer_all(
            self._predictor,
            tasks,
            examples,
            deadline=context.deadline,
            key=context.key,
            tenant=context.tenant,
            trace=context.trace,
        )
        context.prediction_id = ",".join([answer.id for answer in answers])
        response = _MultiInferenceResponse()
        for task, answer in zip(tasks, answers, strict=True):
            result = response.results.add()
            fill_result(
                result.classification_result if task.method is Method.CLASSIFY else result.regression_result, answer
            )
            _fill_spec(result.model_spec, task.target, answer.manifest)
        context.version = answers[0].manifest.version
        return response

    async def metadata(self, request: Message, context: Context) -> Message:
        """GetModelMetadata."""
        target = _target(request, context, self._catalogue)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field[:80]} is not supported")
        manifest = self._catalogue.describe(replace(target, signature=""))  # all of them are shown
        context.version = manifest.version
        response = _MetadataResponse()
        fill_spec(response.model_spec, manifest.model, manifest.version)
        response.metadata["signature_def"].Pack(signature_map(manifest))
        return response

    async def _infer(self, method: Method, request: Message, context: Context, response: Message) -> Message:
        target = _target(request, context, self._catalogue)
        task = Task(target=target, method=method)
        examples = read_examples(request.input)
        answer = await infer(
            self._predictor,
            task,
            examples,
            deadline=context.deadline,
            key=context.key,
            tenant=context.tenant,
            trace=context.trace,
        )
        context.version, context.prediction_id = answer.manifest.version, answer.id
        fill_result(response.result, answer)
        _fill_spec(response.model_spec, target, answer.manifest)
        return response


class ModelService:
    """What the versions of a model are doing, and which models there are.

    Args:
        catalogue: knows the versions.
        control: replaces the configuration of models; None when there is none.
    """

    def __init__(self, catalogue: Catalogue, control: ConfigControl | None) -> None:
        self._catalogue = catalogue
        self._control = control

    def service(self) -> Service:
        """What of it is offered."""
        return Service(
            name="tensorflow.serving.ModelService",
            unary={"GetModelStatus": self.status, "HandleReloadConfigRequest": self.reload},
            scope=Scope.PREDICT,
            scopes={"HandleReloadConfigRequest": Scope.ADMIN},
            protocol=_PROTOCOL,
            details=_bare,
        )

    async def status(self, request: Message, context: Context) -> Message:
        """GetModelStatus. A label changes nothing, as in TensorFlow Serving."""
        target = _target(request, context, self._catalogue)
        response = _StatusResponse()
        for status in self._catalogue.statuses(target.model, target.version):
            shown = response.model_version_status.add()
            shown.version = status.id.version
            shown.state = _STATES[status.state]
            shown.status.error_code = GRPC_STATUS[status.code] if status.code else 0
            shown.status.error_message = status.message
        return response

    async def reload(self, request: Message, context: Context) -> Message:
        """HandleReloadConfigRequest. What is wrong with the configuration is told whether or not it can be replaced."""
        configs = read_model_configs(request.config)
        check_configs(configs)
        if self._control is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                "the models are those of a store, whose releases decide, and no configuration's: "
                "serve with FAIRLEAD_MODEL_CONFIG_FILE to replace it by request",
            )
        await self._control.reload(configs, deadline=context.deadline)
        response = _ReloadResponse()
        response.status.SetInParent()
        return response


def _target(request: Message, context: Context, catalogue: Catalogue) -> Target:
    """Whom `request` is for, as the metrics are told too."""
    target = asked_target(read_target(request), context.asked, catalogue)
    context.model, context.version, context.label = target.model, target.version, target.label or ""
    return target


def _fill_spec(spec: Message, target: Target, manifest: Manifest) -> None:
    fill_spec(spec, manifest.model, manifest.version, target.signature or DEFAULT_SIGNATURE)


def _check_filter(names: Collection[str], signature: Signature) -> None:
    if not names:
        return
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
                f"Signature input alias: {spec.name}(feed name: {spec.node or spec.name + ':0'}) not found in request "
                "and no default value provided. "
                f"Inputs expected to be in the set {{{','.join(spec.name for spec in specs)}}}."
            )
    return {spec.name: from_proto(spec, given[spec.name], max_bytes) for spec in specs}


def _wrong_count(given: set[str], wanted: set[str]) -> FairleadError:
    return invalid(
        f"input size does not match signature: {len(given)}!={len(wanted)} len({_set(given)}) != len({_set(wanted)}). "
        f"Sent extra: {_set(given - wanted)}. Missing but required: {_set(wanted - given)}."
    )


def _set(names: set[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"


def _response(target: Target, manifest: Manifest, outputs: Mapping[str, Array]) -> Message:
    response = _PredictResponse()
    for name, array in outputs.items():
        write_proto(response.outputs[name], array)
    _fill_spec(response.model_spec, target, manifest)
    return response
