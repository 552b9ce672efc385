"""`POST /predict` and `POST /feedback`, described."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.transport.openapi.operation import Content, Operation, Parameter, Schema, ref

__all__ = ["OPERATIONS", "SCHEMAS"]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_SERVED: Mapping[str, Schema] = {"model": _TEXT, "version": {"type": "integer"}}
_VERDICT: Mapping[str, Schema] = {
    "label": _TEXT,
    "proba": _NUMBER,
    "probabilities": {"type": "object", "additionalProperties": _NUMBER},
    "prediction_id": _TEXT,
}
_LABEL: Mapping[str, Schema] = {
    "prediction_id": _TEXT,
    "label": {"description": "the class that was right", "type": ["string", "integer", "boolean"]},
}
_TAKEN: Mapping[str, Schema] = {
    "prediction_id": _TEXT,
    "outcome": {"enum": ["joined", "waiting", "repeated", "corrected", "unknown"]},
}
_OUTPUTS: Mapping[str, Schema] = {
    "outputs": {"type": "object", "description": "tensors, of a model that names no classes"}
}

SCHEMAS: Mapping[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {"code": _TEXT, "message": _TEXT, "hint": _TEXT},
                "required": ["code", "message", "hint"],
            }
        },
        "required": ["error"],
    },
    "PredictRequest": {
        "type": "object",
        "properties": {
            "instances": {"type": "array", "minItems": 1, "description": "one element a row"},
            "image": {"type": "string", "description": "a PNG or JPEG picture in base64, or as a data URL"},
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["image"]}],
    },
    "PredictResponse": {
        "type": "object",
        "properties": {
            **_SERVED,
            **_VERDICT,
            **_OUTPUTS,
            "predictions": {"type": "array", "items": {"type": "object", "properties": dict(_VERDICT)}},
        },
        "required": ["model", "version"],
    },
    "Label": {"type": "object", "properties": dict(_LABEL), "required": ["prediction_id", "label"]},
    "FeedbackRequest": {
        "oneOf": [
            {"type": "object", "properties": dict(_LABEL), "required": ["prediction_id", "label"]},
            {
                "type": "object",
                "properties": {
                    "labels": {"type": "array", "maxItems": 10_000, "items": {"$ref": "#/components/schemas/Label"}}
                },
                "required": ["labels"],
            },
        ]
    },
    "FeedbackResponse": {
        "type": "object",
        "properties": {
            **_TAKEN,
            "labels": {"type": "array", "items": {"type": "object", "properties": dict(_TAKEN)}},
        },
    },
}

_ERRORS = dict.fromkeys((400, 404, 413, 415, 429, 500, 501, 503, 504), ref("Error"))
_PICTURE: Schema = {"type": "string", "format": "binary"}

OPERATIONS = (
    Operation(
        method="post",
        path="/predict",
        about="Predict a picture or rows, with names for classes",
        tag="Simple",
        parameters=(
            Parameter(name="model", place="query", about="the only or the default model when it is left out"),
            Parameter(
                name="version", place="query", about="a version's number", schema={"type": "integer", "minimum": 1}
            ),
            Parameter(name="label", place="query", about="a name that a release gave to a version"),
        ),
        body=(
            Content(schema=ref("PredictRequest"), example={"instances": [[1.0, 2.0]]}),
            Content(schema=_PICTURE, media_type="image/png"),
            Content(schema=_PICTURE, media_type="image/jpeg"),
        ),
        answers=(
            Content(
                schema=ref("PredictResponse"),
                example={
                    "label": "7",
                    "proba": 0.98,
                    "probabilities": {"1": 0.02, "7": 0.98},
                    "model": "digits",
                    "version": 3,
                    "prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                },
            ),
        ),
        errors=_ERRORS,
    ),
    Operation(
        method="post",
        path="/feedback",
        about="Say what was true of predictions; answered once the labels are committed",
        tag="Simple",
        parameters=(Parameter(name="model", place="query", about="the only model whose predictions are meant"),),
        body=(
            Content(
                schema=ref("FeedbackRequest"),
                example={"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "label": "7"},
            ),
        ),
        answers=(
            Content(
                schema=ref("FeedbackResponse"),
                example={"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "outcome": "joined"},
            ),
        ),
        errors=_ERRORS,
    ),
)
