"""`POST /predict`, `POST /feedback` and `GET /models`, described."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.transport.openapi.operation import VERSION_HEADERS, Content, Operation, Parameter, Schema, ref

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
_TENSORS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": _TEXT,
            "dtype": _TEXT,
            "shape": {
                "description": "-1 for an axis of any length, null when the number of axes is not known",
                "type": ["array", "null"],
                "items": {"type": "integer"},
            },
        },
        "required": ["name", "dtype", "shape"],
    },
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
            "row": {"description": "one row alone; of a table, an object with a value for each column"},
            "text": {"type": "string", "description": "one text, for a model that takes one a row"},
            "image": {"type": "string", "description": "a PNG or JPEG picture in base64, or as a data URL"},
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["row"]}, {"required": ["text"]}, {"required": ["image"]}],
    },
    "PredictResponse": {
        "type": "object",
        "properties": {
            **_SERVED,
            **_VERDICT,
            **_OUTPUTS,
            "inputs": {"type": "object", "description": "what the picture became, when inputs=true asks for it"},
            "predictions": {"type": "array", "items": {"type": "object", "properties": dict(_VERDICT)}},
        },
        "required": ["model", "version"],
    },
    "Models": {
        "type": "object",
        "properties": {
            "models": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
            "default": {"description": "the model that is meant when none is named", "type": ["string", "null"]},
            "feedback": {"description": "whether labels are taken in here", "type": "boolean"},
        },
        "required": ["models", "default", "feedback"],
    },
    "Model": {
        "type": "object",
        "properties": {
            "name": _TEXT,
            "versions": {"type": "array", "items": {"$ref": "#/components/schemas/ModelVersion"}},
        },
        "required": ["name", "versions"],
    },
    "ModelVersion": {
        "type": "object",
        "properties": {
            "version": {"type": "integer"},
            "labels": {"type": "array", "items": _TEXT},
            "takes": {"enum": ["handwriting", "picture", "text", "rows"]},
            "classes": {"type": "array", "items": _TEXT},
            "inputs": _TENSORS,
            "outputs": _TENSORS,
        },
        "required": ["version", "labels", "takes", "classes", "inputs", "outputs"],
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
        about="Predict a picture, a text or rows, with names for classes",
        tag="Simple",
        parameters=(
            Parameter(name="model", place="query", about="the only or the default model when it is left out"),
            Parameter(
                name="version", place="query", about="a version's number", schema={"type": "integer", "minimum": 1}
            ),
            Parameter(name="label", place="query", about="a name that a release gave to a version"),
            Parameter(
                name="inputs",
                place="query",
                about="whether the answer shows what a picture became",
                schema={"type": "boolean"},
            ),
            *VERSION_HEADERS,
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
    Operation(
        method="get",
        path="/models",
        about="List what answers: models, versions and their labels, what each takes and gives",
        tag="Simple",
        answers=(
            Content(
                schema=ref("Models"),
                example={
                    "models": [
                        {
                            "name": "digits",
                            "versions": [
                                {
                                    "version": 3,
                                    "labels": ["stable"],
                                    "takes": "handwriting",
                                    "classes": ["0", "1"],
                                    "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 28, 28, 1]}],
                                    "outputs": [{"name": "probs", "dtype": "float32", "shape": [-1, 2]}],
                                }
                            ],
                        }
                    ],
                    "default": "digits",
                    "feedback": True,
                },
            ),
        ),
    ),
)
