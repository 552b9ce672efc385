"""What the body of an `infer` request asks, before any model has been looked at."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo, parse_json
from fairlead.transport.v2.binary import BinaryTail

__all__ = ["KEY", "Given", "Inference", "Wanted", "read_inference"]

KEY = "sticky_key"
"""The parameter that names a request's key."""

_LENGTH_DIGITS = 19
_SIZE = "binary_data_size"
_SHORT_BYTES = 1024
"""Longer JSON is not worth keeping."""


class Given:
    """An input as the client describes it; `data` is JSON values, or bytes that came behind the JSON."""

    __slots__ = ("data", "datatype", "name", "shape")  # a plain class: requests make it, and a dataclass takes longer

    def __init__(self, *, name: str, datatype: str, shape: tuple[int, ...], data: list[Any] | memoryview) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.data = data


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An output that the client asks for; `classes` is how many of its best classes, 0 for the tensor itself."""

    name: str
    is_binary: bool = False
    classes: int = 0


class Inference:
    """One request.

    Args:
        id: the client's own, to be echoed; empty when there is none.
        given: the inputs.
        raw: the only input's bytes, when the request is nothing else.
        wanted: the outputs; none means all of them.
        is_binary: whether outputs that are not listed go back as bytes.
        timeout_us: how long the client waits; 0 when it does not say.
        key: requests of one key stay with one version while another is tried; empty when the client gives none.
    """

    __slots__ = ("given", "id", "is_binary", "key", "raw", "timeout_us", "wanted")

    def __init__(
        self,
        *,
        id: str = "",  # noqa: A002 - what the protocol calls it
        given: tuple[Given, ...] = (),
        raw: memoryview | None = None,
        wanted: tuple[Wanted, ...] = (),
        is_binary: bool = False,
        timeout_us: int = 0,
        key: str = "",
    ) -> None:
        self.id = id
        self.given = given
        self.raw = raw
        self.wanted = wanted
        self.is_binary = is_binary
        self.timeout_us = timeout_us
        self.key = key

    def deadline(self, since: float) -> float | None:
        """The monotonic second until which the client waits, counted from `since`."""
        return since + self.timeout_us / 1e6 if self.timeout_us else None


def read_inference(body: bytes, header_length: bytes) -> Inference:
    """What `body` asks; `header_length` is the value of Inference-Header-Content-Length, empty without it.

    Raises:
        FairleadError: INVALID_ARGUMENT when `body` is no request.
    """
    size = _json_size(header_length, len(body))
    if size == 0 and header_length:
        return Inference(raw=memoryview(body), is_binary=True)
    is_short = size <= _SHORT_BYTES and size < len(body)
    head = _read_again(body[:size]) if is_short else _read_head(body[:size])
    tail = BinaryTail(body, size)
    given = tuple([_given(described, tail) for described in head.described])
    tail.finish()
    return Inference(
        id=head.id, given=given, wanted=head.wanted, is_binary=head.is_binary, timeout_us=head.timeout_us, key=head.key
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """An input before the bytes behind the JSON are looked at; `data` is how many of them are its own, or values."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What the JSON says; as in `Inference`."""

    id: str
    described: tuple[_Described, ...]
    wanted: tuple[Wanted, ...]
    is_binary: bool
    timeout_us: int
    key: str


def _read_head(text: bytes) -> _Head:
    document = parse_json(text, takes_tokens=True)
    if not isinstance(document, dict):
        raise invalid(f"the request must be a JSON object, not {echo(document)}")
    parameters = _parameters(document, "the request")
    return _Head(
        id=_field(document, "id", str, "the request") if "id" in document else "",
        described=tuple(_described(element) for element in _elements(document, "inputs")),
        wanted=tuple(_wanted(element) for element in _elements(document, "outputs", is_optional=True)),
        is_binary=_flag(parameters, "binary_data_output"),
        timeout_us=_count(parameters, "timeout", "the request") if "timeout" in parameters else 0,
        key=_field(parameters, KEY, str, "the request") if KEY in parameters else "",
    )


_read_again = functools.lru_cache(maxsize=256)(_read_head)
"""The same, for JSON with the data behind it: a client sends the same one with every request."""


def _json_size(header_length: bytes, total: int) -> int:
    if not header_length:
        return total
    if not header_length.isdigit() or len(header_length) > _LENGTH_DIGITS or int(header_length) > total:
        raise invalid(
            f"Inference-Header-Content-Length is {header_length[:80].decode('latin-1')!r}, which is no length of "
            f"JSON at the front of a body of {total} bytes"
        )
    return int(header_length)


def _given(described: _Described, tail: BinaryTail) -> Given:
    data = described.data if isinstance(described.data, list) else tail.take(described.name, described.data)
    return Given(name=described.name, datatype=described.datatype, shape=described.shape, data=data)


def _described(element: dict[str, Any]) -> _Described:
    name = _field(element, "name", str, "an input")
    where = f"input {name[:80]!r}"
    return _Described(
        name=name,
        datatype=_field(element, "datatype", str, where),
        shape=_shape(_field(element, "shape", list, where), where),
        data=_data(element, where),
    )


def _data(element: dict[str, Any], where: str) -> list[Any] | int:
    parameters = _parameters(element, where)
    if (_SIZE in parameters) == ("data" in element):
        raise invalid(
            f"Input must set only one of the following fields: 'data', {_SIZE!r} in 'parameters'; see {where}"
        )
    if _SIZE in parameters:
        return _count(parameters, _SIZE, where)
    data: list[Any] = _field(element, "data", list, where)
    return data


def _shape(sizes: list[Any], where: str) -> tuple[int, ...]:
    for size in sizes:
        if type(size) is not int or size < 0:
            raise invalid(f"Unable to parse 'shape' of {where}: {echo(size)} is no size of an axis")
    return tuple(sizes)


def _wanted(element: dict[str, Any]) -> Wanted:
    name = _field(element, "name", str, "an output")
    where = f"output {name[:80]!r}"
    parameters = _parameters(element, where)
    return Wanted(
        name=name,
        is_binary=_flag(parameters, "binary_data"),
        classes=_count(parameters, "classification", where) if "classification" in parameters else 0,
    )


def _elements(document: Mapping[str, Any], key: str, *, is_optional: bool = False) -> list[dict[str, Any]]:
    if is_optional and key not in document:
        return []
    elements: list[Any] = _field(document, key, list, "the request")
    for element in elements:
        if not isinstance(element, dict):
            raise invalid(f"Unable to parse {key!r}: {echo(element)} is no object")
    return elements


def _parameters(element: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The parameters, most of which nobody here minds."""
    if "parameters" not in element:
        return {}
    parameters: dict[str, Any] = _field(element, "parameters", dict, where)
    for key, value in parameters.items():
        if not isinstance(value, str | int | float):
            raise invalid(f"parameter {key[:80]!r} of {where} has invalid type: it must be a string, number or boolean")
    if "shared_memory_region" in parameters:
        raise invalid(f"{where} lies in shared memory, which is not offered: send it in the body")
    return parameters


def _flag(parameters: Mapping[str, Any], key: str) -> bool:
    value = parameters.get(key, False)
    if not isinstance(value, bool):
        raise invalid(f"parameter {key!r} is {echo(value)}: it must be true or false")
    return value


def _count(parameters: Mapping[str, Any], key: str, where: str) -> int:
    value = parameters[key]
    if type(value) is not int or value < 0:
        raise invalid(f"parameter {key!r} of {where} is {echo(value)}: it must be a whole number from 0 on")
    return value


def _field(element: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """The value under `key`, which must be there and of that kind."""
    if key not in element:
        raise invalid(f"Unable to parse {key!r}: {where} does not have it")
    if not isinstance(element[key], kind):
        raise invalid(f"Unable to parse {key!r}: {where} has {echo(element[key])} there")
    return element[key]
