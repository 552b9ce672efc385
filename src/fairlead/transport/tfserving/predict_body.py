"""The body of a `:predict` request: which signature it names, and the tensors in it."""

from __future__ import annotations

import re
from typing import Any

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
from fairlead.transport.quick_rows import quick_tensors
from fairlead.transport.tfserving.document import read_document
from fairlead.transport.tfserving.tensors import decode_tensors

__all__ = ["PredictBody"]

_KEY = b"signature_name"
_FIRST = re.compile(rb'\s*\{\s*"signature_name"\s*:\s*"(\w*)"\s*,')
_LAST = re.compile(rb',\s*"signature_name"\s*:\s*"(\w*)"\s*\}\s*\Z')


class PredictBody:
    """A body that is read no further than its signature's name, until it is known who takes the rest.

    Once the tensors are there the body is let go: while they wait for the model it would take three times their memory.

    Args:
        body: the JSON text.

    Attributes:
        signature: the name of the signature that is asked; empty when none is named.
        size: its bytes.
        is_rows: whether the tensors came as rows, once they were decoded.

    Raises:
        FairleadError: INVALID_ARGUMENT when it had to be parsed for the name, and could not be.
    """

    def __init__(self, body: bytes) -> None:
        self.size = len(body)
        self._body = body
        self._rest: bytes | None = body
        self._document: dict[str, Any] | None = None
        self.signature = ""
        self.is_rows = True
        if _names_more_than_one_key(body):
            self._find_signature()

    def decode(self, manifest: Manifest) -> Tensors:
        """The inputs of `manifest`'s signature. Called once.

        Raises:
            FairleadError: INVALID_ARGUMENT, in TensorFlow Serving's words.
        """
        tensors = None if self._rest is None else quick_tensors(self._rest, manifest.signature)
        if tensors is None:
            document = self._read()
            self.is_rows = "instances" in document
            tensors = decode_tensors(document, manifest.signature)
        self._body, self._rest, self._document = b"", None, {}
        return tensors

    def check(self) -> None:
        """Raise INVALID_ARGUMENT unless the body is an object."""
        self._read()

    def _read(self) -> dict[str, Any]:
        if self._document is None:
            self._document = read_document(self._body)
        return self._document

    def _find_signature(self) -> None:
        """Cut the name off where most clients write it, so that the rest can go the short way; else parse it all."""
        body = self._body
        if _KEY not in body and b"\\" not in body:  # an escape may stand for a letter of the key
            return
        if first := _FIRST.match(body):  # of equal keys the first counts
            self.signature, self._rest = first[1].decode(), b"{" + body[first.end() :]
            return
        last = _LAST.match(body, body.rfind(b","))
        if last and body.count(_KEY) == 1 and b"\\" not in body:
            self.signature, self._rest = last[1].decode(), body[: last.start()] + b"}"
            return
        self.signature, self._rest = self._read().get("signature_name", ""), None


def _names_more_than_one_key(body: bytes) -> bool:
    """Whether `body` has more than the two quotes around one key, which is soon seen, whatever its size."""
    start = body.find(b'"')
    return body.find(b'"', body.find(b'"', start + 1) + 1) > start
