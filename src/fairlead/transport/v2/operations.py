"""The Open Inference Protocol's routes, described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.transport.openapi.operation import VERSION_HEADERS, Content, Operation, Parameter, Schema, ref
from fairlead.transport.v2.datatype import DATATYPES

__all__ = ["OPERATIONS", "SCHEMAS"]

_TAG = "Open Inference Protocol V2"
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHAPE: Schema = {"type": "array", "items": _COUNT}
_DATATYPE: Schema = {"enum": sorted(DATATYPES.values())}
_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "description": "binary_data_size, binary_data, binary_data_output, classification, and any others",
}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TENSOR = _object("name", "datatype", "shape", name=_TEXT, datatype=_DATATYPE, shape=_list({"type": "integer"}))
_CONFIG = _object("name", "data_type", "dims", name=_TEXT, data_type=_TEXT, dims=_list({"type": "integer"}))
_DURATION = _object("count", "ns", count=_COUNT, ns=_COUNT)

SCHEMAS: Mapping[str, Schema] = {
    "V2Error": _object("error", "code", "hint", error=_TEXT, code=_TEXT, hint=_TEXT),
    "V2Server": _object("name", "version", "extensions", name=_TEXT, version=_TEXT, extensions=_list(_TEXT)),
    "V2Live": _object("live", live={"const": True}),
    "V2Ready": _object("ready", ready={"type": "boolean"}),
    "V2ModelReady": _object("name", "ready", name=_TEXT, ready={"const": True}),
    "V2Model": _object(
        "name",
        "versions",
        "platform",
        "inputs",
        "outputs",
        name=_TEXT,
        versions=_list(_TEXT),
        platform=_TEXT,
        inputs=_list(_TENSOR),
        outputs=_list(_TENSOR),
        properties=_object(classes={"type": "string", "description": "a list of the classes' names, in JSON"}),
    ),
    "V2InferRequest": _object(
        "inputs",
        id=_TEXT,
        parameters=_PARAMETERS,
        inputs=_list(
            _object(
                "name",
                "shape",
                "datatype",
                name=_TEXT,
                shape=_SHAPE,
                datatype=_DATATYPE,
                parameters=_PARAMETERS,
                data={"type": "array", "description": "the elements in row-major order, nested or flat"},
            )
        ),
        outputs=_list(_object("name", name=_TEXT, parameters=_PARAMETERS)),
    ),
    "V2InferResponse": _object(
        "model_name",
        "model_version",
        "outputs",
        id=_TEXT,
        model_name=_TEXT,
        model_version=_TEXT,
        outputs=_list(
            _object(
                "name",
                "datatype",
                "shape",
                name=_TEXT,
                datatype=_DATATYPE,
                shape=_SHAPE,
                data={"type": "array"},
                parameters=_PARAMETERS,
            )
        ),
    ),
    "V2Config": _object(
        "name",
        "max_batch_size",
        "input",
        "output",
        name=_TEXT,
        platform=_TEXT,
        backend=_TEXT,
        max_batch_size=_COUNT,
        input=_list(_CONFIG),
        output=_list(_CONFIG),
    ),
    "V2RepositoryRequest": _object(parameters={"type": "object"}),
    "V2IndexRequest": _object(ready={"type": "boolean"}),
    "V2Index": _list(
        _object(
            "name",
            name=_TEXT,
            version=_TEXT,
            state={"enum": ["READY", "UNAVAILABLE", "LOADING", "UNLOADING", "UNKNOWN"]},
            reason=_TEXT,
        )
    ),
    "V2Statistics": _object(
        "model_stats",
        model_stats=_list(
            _object(
                "name",
                "version",
                name=_TEXT,
                version=_TEXT,
                last_inference=_COUNT,
                inference_count=_COUNT,
                execution_count=_COUNT,
                inference_stats={"type": "object", "additionalProperties": _DURATION},
                batch_stats=_list(_object("batch_size", batch_size=_COUNT, compute_infer=_DURATION)),
            )
        ),
    ),
}

_QUALIFIERS = ("", "/versions/{version}", "/labels/{label}")
_INFERENCE: Schema = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then the bytes of the tensors that have none of their data in it",
}
_REQUEST = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}
_RESPONSE = {
    "model_name": "m",
    "model_version": "1",
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.9, 0.1]}],
}
_JSON_LENGTH = Parameter(
    name="Inference-Header-Content-Length",
    place="header",
    about="how many bytes of the body are JSON, when tensors follow it",
    schema=_COUNT,
)


def _errors(*statuses: int) -> Mapping[int, Schema]:
    return dict.fromkeys(statuses, ref("V2Error"))


def _get(path: str, about: str, schema: str, errors: Mapping[int, Schema]) -> Operation:
    return Operation(
        method="get", path=path, about=about, tag=_TAG, answers=(Content(schema=ref(schema)),), errors=errors
    )


def _operations() -> Iterator[Operation]:
    yield _get("/v2", "Say who answers, and which extensions there are", "V2Server", {})
    yield _get("/v2/health/live", "Say whether the process lives", "V2Live", {})
    yield _get("/v2/health/ready", "Say whether every model is ready", "V2Ready", {503: ref("V2Ready")})
    for qualifier in _QUALIFIERS:
        model = "/v2/models/{model}" + qualifier
        known = _errors(400, 404, 503)
        yield _get(model, "Say what a model takes and gives", "V2Model", known)
        yield _get(f"{model}/ready", "Say whether a model is ready", "V2ModelReady", known)
        yield _get(f"{model}/config", "Say how a model is configured, as Triton does", "V2Config", known)
        yield _get(f"{model}/stats", "Say what a model's versions have done", "V2Statistics", _errors(400, 404))
        yield _infer(model)
    yield _get("/v2/models/stats", "Say what all versions have done", "V2Statistics", {})
    yield Operation(
        method="post",
        path="/v2/repository/index",
        about="List all models and their versions",
        tag=_TAG,
        body=(Content(schema=ref("V2IndexRequest"), example={"ready": True}),),
        answers=(Content(schema=ref("V2Index")),),
        errors=_errors(400, 413, 501),
    )
    for verb, about in (("load", "Load a model and wait until it answers"), ("unload", "Begin to unload a model")):
        yield Operation(
            method="post",
            path=f"/v2/repository/models/{{model}}/{verb}",
            about=f"{about}, where models are loaded by request",
            tag=_TAG,
            body=(Content(schema=ref("V2RepositoryRequest"), example={"parameters": {}}),),
            errors=_errors(400, 404, 413, 501, 503, 504),
        )


def _infer(model: str) -> Operation:
    return Operation(
        method="post",
        path=f"{model}/infer",
        about="Predict tensors, in JSON or in bytes",
        tag=_TAG,
        parameters=(_JSON_LENGTH, *VERSION_HEADERS),
        body=(
            Content(schema=ref("V2InferRequest"), example=_REQUEST),
            Content(schema=_INFERENCE, media_type="application/octet-stream"),
        ),
        answers=(
            Content(schema=ref("V2InferResponse"), example=_RESPONSE),
            Content(schema=_INFERENCE, media_type="application/octet-stream"),
        ),
        errors=_errors(400, 404, 413, 429, 500, 501, 503, 504),
    )


OPERATIONS = tuple(_operations())
