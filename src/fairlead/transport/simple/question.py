"""What a body of `POST /predict` asks: a picture, a text, a row or several."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.servable.transform import transform_from_json
from fairlead.transport.codes import HttpError
from fairlead.transport.json_document import parse_json
from fairlead.transport.quick_rows import quick_tensors
from fairlead.transport.tfserving.tensors import decode_instances

__all__ = ["Picture", "Question", "Row", "Rows", "Text", "read_question"]

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_ROWS = re.compile(rb'\s*\{\s*"instances"\s*:')
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
_INFLATION = 100
"""How many bytes one byte of a picture file may become: what a few hundred bytes of PNG hold is soon decoded."""

_EXAMPLES = (
    """send a picture (curl --data-binary @digit.png), {"instances": [row, ...]}, {"row": row}, {"text": "..."} or """
    """{"image": "<base64>"}"""
)
_FORMS = frozenset(("instances", "row", "image", "text"))
_TEXT_SHAPES = ((-1,), (-1, 1))


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture file."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes that have to be decoded, about."""
        return len(self.data) * _INFLATION

    def tensors(self, manifest: Manifest) -> Tensors:
        """One row, made by the version's own transform."""
        transform = transform_from_json(manifest.transform)
        if transform is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"model {manifest.model!r} version {manifest.version} does not say how a picture becomes its input",
                hint='send {"instances": [row, ...]}, or publish the model with a transform',
            )
        return {manifest.signature.inputs[0].name: transform.apply(self.data)}


@dataclass(frozen=True, slots=True)
class Rows:
    """A JSON text with rows in it; it is read where the signature is known."""

    text: bytes

    @property
    def size(self) -> int:
        """Bytes that have to be decoded."""
        return len(self.text)

    def tensors(self, manifest: Manifest) -> Tensors:
        """The rows as the version's inputs.

        Raises:
            FairleadError: INVALID_ARGUMENT when the text is no JSON, has no rows for this version, or has a number in
                them that is not finite in the input's dtype: the model's answer to it means nothing.
        """
        tensors = quick_tensors(self.text, manifest.signature)
        if tensors is None:
            document = _document(self.text)
            tensors = decode_instances(document[_form(document)], manifest.signature)
        manifest.signature.check_finite(tensors)
        return tensors


@dataclass(frozen=True, slots=True)
class Text:
    """One text, for a model that takes one a row."""

    text: str

    @property
    def size(self) -> int:
        """Bytes that have to be decoded: none, for the text is here."""
        return 0

    def tensors(self, manifest: Manifest) -> Tensors:
        """One row with the text.

        Raises:
            FairleadError: FAILED_PRECONDITION when the version takes something else.
        """
        inputs = manifest.signature.inputs
        spec = inputs[0]
        if len(inputs) > 1 or spec.dtype != "string" or spec.shape not in _TEXT_SHAPES:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"model {manifest.model!r} version {manifest.version} does not take one text a row",
                hint='send {"instances": [row, ...]}; GET /models says what it takes',
            )
        array = np.empty((1,) * len(spec.shape), object)
        array.fill(self.text)
        return {spec.name: array}


@dataclass(frozen=True, slots=True)
class Row:
    """One row alone: of a table, an object with a value for each column."""

    value: Any

    @property
    def size(self) -> int:
        """Bytes that have to be decoded: few."""
        return 0

    def tensors(self, manifest: Manifest) -> Tensors:
        """A batch of that row.

        Raises:
            FairleadError: INVALID_ARGUMENT, as of `Rows`.
        """
        tensors = decode_instances([self.value], manifest.signature)
        manifest.signature.check_finite(tensors)
        return tensors


Question = Picture | Row | Rows | Text


def read_question(content_type: bytes, body: bytes) -> Question:
    """What `body` asks. Its first bytes count for more than its type, because curl names a type of its own.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is none of the forms.
    """
    kind = content_type.strip().lower()
    if kind.startswith(b"multipart/"):
        raise HttpError(
            415,
            Code.INVALID_ARGUMENT,
            "/predict does not take multipart forms",
            hint="send the file alone: curl --data-binary @digit.png URL/predict",
        )
    if kind.startswith(b"image/") or body.startswith(_MAGIC):
        return Picture(body)
    if _ROWS.match(body):
        return Rows(body)
    document = _document(body)
    match _form(document):
        case "text":
            return _text(document)
        case "row":
            return Row(document["row"])
        case "image":
            return Picture(_from_base64(document["image"]))
        case _:
            return Rows(body)


def _text(document: Mapping[str, Any]) -> Text:
    text = document["text"]
    if not isinstance(text, str):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f'"text" is a {type(text).__name__}, not one text',
            hint='send several as {"instances": ["...", "..."]}',
        )
    return Text(text)


def _document(body: bytes) -> Any:
    if not body:
        raise FairleadError(Code.INVALID_ARGUMENT, "The body is empty", hint=_EXAMPLES)
    try:
        return parse_json(body)
    except FairleadError as error:
        message = f"The body is neither a PNG or JPEG picture nor JSON. {error.message}"
        raise FairleadError(error.code, message, hint=_EXAMPLES) from error


def _form(document: Any) -> str:
    """Which of the keys it has."""
    forms = document.keys() & _FORMS if isinstance(document, dict) else set()
    if len(forms) == 1:
        return str(*forms)
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        'The body must be an object with one of "instances", "row", "text" and "image"',
        hint=_EXAMPLES,
    )


def _from_base64(text: Any) -> bytes:
    try:
        encoded = "".join(_DATA_URL.sub("", text, count=1).split())
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (TypeError, binascii.Error, ValueError) as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, '"image" is not the base64 text of a picture', hint="base64 -w0 digit.png"
        ) from error
