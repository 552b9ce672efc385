"""The API for people: `POST /predict` with rows, a text, a picture in JSON, or just the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import parse_version
from fairlead.servable.json_array import text_of
from fairlead.servable.manifest import Manifest
from fairlead.servable.scores import NOT_FINITE, best_class, class_scores, spoken
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.prediction_id import row_ids
from fairlead.serving.predictor import Decode, Prediction
from fairlead.serving.target import Target
from fairlead.transport.asked_version import labelled, with_headers
from fairlead.transport.codes import HttpError
from fairlead.transport.content_coding import plain_body
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import Catalogue, Predicting
from fairlead.transport.refusal import refusal
from fairlead.transport.simple.question import Picture, Question, Rows, read_question

__all__ = ["Simple"]

_PARAMETERS = ("model", "version", "label", "inputs")
_WORDS = {"true": True, "false": False}
_NOTHING: Final[dict[str, str]] = {}
_FEW: Final = 32
"""Numbers that Python looks through sooner than NumPy is called."""


class Simple:
    """Answers `/predict`: names for classes, one id for each prediction, and errors that say what to do next.

    Args:
        predictor: answers.
        catalogue: what there is.
    """

    def __init__(self, predictor: Predicting, catalogue: Catalogue) -> None:
        self._predictor = predictor
        self._catalogue = catalogue
        self._usual = Target(model="")

    async def answer(self, request: Request, call: Call) -> Response:
        if request.method != "POST":
            raise HttpError(
                405,
                Code.INVALID_ARGUMENT,
                f"/predict does not answer {request.method[:20]}",
                hint="POST a picture, a text or rows: curl --data-binary @digit.png URL/predict",
                headers=((b"allow", b"POST"),),
            )
        call.api = "predict"
        asked = _asked(request.query) if request.query else _NOTHING
        target = with_headers(self._target(asked), request, self._catalogue)
        call.model, call.version = target.model, target.version
        body = await plain_body(request) if request.header(b"content-encoding") else request.take_body()
        question = read_question(request.header(b"content-type"), body)
        inputs: dict[str, Array] = {}
        decode = _keeping(question, inputs) if _shows_inputs(asked) else question.tensors
        prediction = await self._predictor.predict(
            target,
            decode,
            deadline=request.deadline,
            size=question.size,
            key=call.key,
            tenant=call.tenant,
            trace=call.trace,
        )
        call.version, call.label = prediction.manifest.version, target.label or ""
        call.prediction_id = prediction.id
        return self._response(question, prediction, inputs)

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)

    def _target(self, asked: Mapping[str, str]) -> Target:
        if not asked:
            model = self._catalogue.default_model()
            if self._usual.model != model:
                self._usual = Target(model=model)
            return self._usual
        version = _version(asked["version"]) if "version" in asked else None
        if version is not None and "label" in asked:
            raise FairleadError(Code.INVALID_ARGUMENT, "version and label are both given", hint="leave one of them out")
        model = asked.get("model") or self._catalogue.default_model()
        return labelled(Target(model=model, version=version, label=asked.get("label")), self._catalogue)

    def _response(self, question: Question, prediction: Prediction, inputs: Mapping[str, Array]) -> Response:
        manifest = prediction.manifest
        served: dict[str, Any] = {"model": manifest.model, "version": manifest.version}
        scores = _scores(prediction)
        members = spoken(prediction.outputs, prediction.rows)
        if not isinstance(question, Rows):
            answer = (
                {"outputs": _plain(prediction)}
                if scores is None
                else best_class(manifest.labels, scores[0]) | members[0]
            )
            shown = {"inputs": inputs} if inputs else {}
            return Response.of(answer | served | {"prediction_id": prediction.id} | shown)
        if scores is None:
            return Response.of({"outputs": _plain(prediction)} | served)
        ids = row_ids(prediction.id, len(scores))
        rows = [
            best_class(manifest.labels, row) | who | {"prediction_id": id_}
            for row, who, id_ in zip(scores, members, ids, strict=True)
        ]
        return Response.of({"predictions": rows} | served)


def _asked(query: str) -> dict[str, str]:
    """The parameters by name."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := [name for name in asked if name not in _PARAMETERS]:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"/predict has no parameter {unknown[0][:80]!r}",
            hint=f"it has {', '.join(_PARAMETERS)}",
        )
    return asked


def _shows_inputs(asked: Mapping[str, str]) -> bool:
    """Whether the answer is to show what the picture became."""
    if (word := asked.get("inputs", "false")) not in _WORDS:
        raise FairleadError(Code.INVALID_ARGUMENT, f"inputs is {word[:80]!r}", hint="inputs is true or false")
    return _WORDS[word]


def _keeping(question: Question, inputs: dict[str, Array]) -> Decode:
    """Decodes a picture, and keeps what it became in `inputs`."""
    if not isinstance(question, Picture):
        raise FairleadError(Code.INVALID_ARGUMENT, "inputs=true is for pictures: rows and texts are the inputs already")

    def decode(manifest: Manifest) -> Tensors:
        inputs.update(question.tensors(manifest))
        return inputs

    return decode


def _version(text: str) -> int:
    version = parse_version(text)
    if version is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{text[:80]!r} is not a version", hint="a version is a whole number from 1 on"
        )
    return version


def _scores(prediction: Prediction) -> Array | None:
    """One probability a class for each row; None when the version is no classifier."""
    scores = class_scores(prediction.manifest.labels, prediction.outputs, prediction.rows)
    return None if scores is None else _finite(scores)


def _plain(prediction: Prediction) -> dict[str, Any]:
    return {name: _values(_finite(array)) for name, array in prediction.outputs.items()}


def _values(array: Array) -> Any:
    return (np.vectorize(text_of, otypes=[object])(array) if array.dtype.kind == "O" else array).tolist()


def _finite(array: Array) -> Array:
    """`array`, unless it holds what strict JSON cannot say."""
    if array.dtype.kind == "f" and not _is_finite(array):
        raise FairleadError(
            Code.OUT_OF_RANGE, NOT_FINITE, hint="look for values in the rows that are far from those it was trained on"
        )
    return array


def _is_finite(array: Array) -> bool:
    if array.size <= _FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())
