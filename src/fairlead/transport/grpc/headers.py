"""Header blocks: compressed by HPACK (RFC 7541), and what makes a request of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple, OversizedHeaderListError
from hpack.table import HeaderTable

from fairlead.transport.grpc.frames import ErrorCode, Http2Error

__all__ = ["EMPTY_TABLE", "MAX_HEADER_LIST", "Head", "HeaderReader", "encode_headers", "prediction_field"]

MAX_HEADER_LIST = 16 * 1024
"""How large a request's headers may be once decoded, counted as HTTP/2 counts them: 32 bytes more for each."""

EMPTY_TABLE = b"\x20"
"""Says that our table is empty and stays so; it goes before the first block of a connection.

What refers to no table is the same bytes for every answer, and no client's limit on the table concerns it.
"""

_PREDICTION_ID = b"x-prediction-id"
_PREDICTION_PREFIX = b"\x10%c%b" % (len(_PREDICTION_ID), _PREDICTION_ID)
"""A literal that is never indexed, its name and the length before it (RFC 7541, 6.2.3); each is its own, so that to
encode it costs next to nothing."""
_LONG_BYTES = 127
_MAX_REMEMBERED = 64
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_REQUIRED = frozenset({b":method", b":scheme", b":path"})
_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NAME = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[^\x00\r\n \t](?:[^\x00\r\n]*[^\x00\r\n \t])?)?")
_MAX_LENGTH_DIGITS = 19

Fields = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True, kw_only=True, eq=False)
class Head:
    """A request's headers. Requests whose blocks are equal share one.

    Attributes:
        fields: by name, those that came several times joined by commas.
        length: what content-length announces.
        reading: what the application made of it, which it keeps here.
    """

    method: bytes
    path: bytes
    fields: dict[bytes, bytes]
    length: int | None = None
    reading: Any = None


class HeaderReader:
    """Decodes a connection's header blocks in the order in which they came.

    Clients repeat themselves: from the second call on a block is a few references into the table of earlier headers. As
    long as the table stays as it is, the same bytes mean the same, and are not decoded again.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(MAX_HEADER_LIST)
        self._table = self._decoder.header_table = _WatchedTable()
        self._heads: dict[bytes, Head | None] = {}

    def read(self, block: bytes) -> Head | None:
        """The request that `block` begins; None when it is malformed.

        Raises:
            Http2Error: COMPRESSION_ERROR, or ENHANCE_YOUR_CALM when it is too large. The table is of no use any more.
        """
        if block in self._heads:
            return self._heads[block]
        head = _head(self.decode(block))
        if not self._table.has_changed and len(self._heads) < _MAX_REMEMBERED:
            self._heads[block] = head
        return head

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """The fields of `block`, whatever they mean; raises as `read` does."""
        self._table.has_changed = block[:1] >= b"\x20" and block[0] < 0x40  # noqa: PLR2004 - a change of the table's size
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"headers of more than {MAX_HEADER_LIST} bytes") from error
        except (HPACKError, IndexError, ValueError) as error:
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, "a header block cannot be decoded") from error
        if self._table.has_changed:
            self._heads.clear()
        return fields


def encode_headers(fields: Fields) -> bytes:
    """A block that refers to the static table alone, so that it is the same at any time on any connection."""
    return Encoder().encode([NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)


def prediction_field(prediction_id: str) -> bytes:
    """The field that tells a caller the id of its prediction, to be put behind a block; empty when there is none."""
    if not prediction_id:
        return b""
    value = prediction_id.encode()
    if len(value) >= _LONG_BYTES:
        return encode_headers([(_PREDICTION_ID, value)])
    return b"%b%c%b" % (_PREDICTION_PREFIX, len(value), value)


class _WatchedTable(HeaderTable):
    """Tells whether a block added to it."""

    has_changed = False

    def add(self, name: bytes, value: bytes) -> None:
        self.has_changed = True
        super().add(name, value)


def _head(fields: Fields) -> Head | None:
    """A request, if the fields are one (RFC 9113, 8.2 and 8.3)."""
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if not _is_well_formed(name, value) or (name[:1] == b":" and not _fits_in_front(name, found)):
            return None
        found[name] = found[name] + b"," + value if name in found else value
    if not found.keys() >= _REQUIRED or not found[b":path"]:
        return None
    length = found.get(b"content-length")
    if length is not None and (not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS):
        return None
    return Head(
        method=found[b":method"],
        path=found[b":path"],
        fields=found,
        length=None if length is None else int(length),
    )


def _is_well_formed(name: bytes, value: bytes) -> bool:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or name in _CONNECTION:
        return False
    return name != b"te" or value == b"trailers"


def _fits_in_front(name: bytes, found: dict[bytes, bytes]) -> bool:
    """Whether the pseudo-header `name` may come after those found: each once, and before all other fields."""
    return name in _PSEUDO and name not in found and found.keys() <= _PSEUDO
