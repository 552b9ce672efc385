"""TensorFlow Serving's routes, described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.transport.openapi.operation import VERSION_HEADERS, Content, Operation, Schema, ref

__all__ = ["OPERATIONS", "SCHEMAS"]

_TAG = "TensorFlow Serving"
_VALUE: Schema = {"description": 'a number, a boolean, a string, {"b64": ...} for bytes, or lists of them'}
_NAME: Schema = {"type": "string", "description": "a signature; serving_default when it is empty or left out"}
_FEATURES: Schema = {
    "type": "object",
    "additionalProperties": {"description": "a value or a list of values of one kind"},
}

SCHEMAS: Mapping[str, Schema] = {
    "TfError": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    "TfPredictRequest": {
        "type": "object",
        "properties": {
            "signature_name": _NAME,
            "instances": {
                "type": "array",
                "minItems": 1,
                "items": _VALUE,
                "description": "one element a row; an object of named inputs where there are several",
            },
            "inputs": {"description": "whole tensors; an object of named inputs where there are several"},
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    },
    "TfPredictResponse": {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "description": "one element a row; the answer to instances"},
            "outputs": {"description": "whole tensors; the answer to inputs"},
        },
    },
    "TfExamplesRequest": {
        "type": "object",
        "properties": {
            "signature_name": _NAME,
            "context": _FEATURES,
            "examples": {"type": "array", "minItems": 1, "items": _FEATURES},
        },
        "required": ["examples"],
    },
    "TfResultsResponse": {
        "type": "object",
        "properties": {
            "results": {"type": "array", "description": "for each example its [label, score] pairs, or a value"}
        },
        "required": ["results"],
    },
    "TfStatus": {
        "type": "object",
        "properties": {
            "model_version_status": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "string"},
                        "state": {"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                        "status": {
                            "type": "object",
                            "properties": {"error_code": {"type": "string"}, "error_message": {"type": "string"}},
                        },
                    },
                    "required": ["version", "state", "status"],
                },
            }
        },
        "required": ["model_version_status"],
    },
    "TfMetadata": {
        "type": "object",
        "properties": {
            "model_spec": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("name", "signature_name", "version")},
            },
            "metadata": {
                "type": "object",
                "description": "signature_def, with the inputs and outputs of each signature",
            },
        },
        "required": ["model_spec", "metadata"],
    },
}

_EXAMPLES = {"examples": [{"x": [1.0, 2.0]}]}
_VERBS = {
    "predict": (
        "Predict rows or whole tensors",
        Content(schema=ref("TfPredictRequest"), example={"instances": [[1.0, 2.0], [3.0, 4.0]]}),
        Content(schema=ref("TfPredictResponse"), example={"predictions": [[0.9, 0.1], [0.2, 0.8]]}),
    ),
    "classify": (
        "Classify examples by named features",
        Content(schema=ref("TfExamplesRequest"), example=_EXAMPLES),
        Content(schema=ref("TfResultsResponse"), example={"results": [[["cat", 0.9], ["dog", 0.1]]]}),
    ),
    "regress": (
        "Give one value for each example",
        Content(schema=ref("TfExamplesRequest"), example=_EXAMPLES),
        Content(schema=ref("TfResultsResponse"), example={"results": [2.5]}),
    ),
}
_QUALIFIERS = ("", "/versions/{version}", "/labels/{label}")


def _errors(*statuses: int) -> Mapping[int, Schema]:
    return dict.fromkeys(statuses, ref("TfError"))


def _operations() -> Iterator[Operation]:
    for qualifier in _QUALIFIERS:
        model = "/v1/models/{model}" + qualifier
        for verb, (about, body, answer) in _VERBS.items():
            yield Operation(
                method="post",
                path=f"{model}:{verb}",
                about=about,
                tag=_TAG,
                parameters=VERSION_HEADERS,
                body=(body,),
                answers=(answer,),
                errors=_errors(400, 404, 413, 429, 500, 503, 504),
            )
        status, metadata = Content(schema=ref("TfStatus")), Content(schema=ref("TfMetadata"))
        yield Operation(
            method="get",
            path=model,
            about="Say what each version does",
            tag=_TAG,
            answers=(status,),
            errors=_errors(400, 404),
        )
        yield Operation(
            method="get",
            path=f"{model}/metadata",
            about="Say what a version takes and gives",
            tag=_TAG,
            answers=(metadata,),
            errors=_errors(400, 404, 503),
        )


OPERATIONS = tuple(_operations())
