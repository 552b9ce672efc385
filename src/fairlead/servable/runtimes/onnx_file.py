"""What an ONNX file asks for, read from its bytes before a runtime believes them."""

from __future__ import annotations

import math
import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from fairlead.config import available_memory_bytes
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.wire import DamagedError, Span, Value, integers, read_fields, short

__all__ = ["External", "check_onnx_file", "external_files"]

Fields = Sequence[tuple[int, Value]]

_MAX_DEPTH = 100
_MAX_AXES = 64
_MAX_VALUE_BYTES = 16
_MAX_VALUES_A_BYTE = 2
_MAX_OPERATORS = 10**6
_MAX_DENSE_BYTES = 2**31
"""What sparse tensors may be when they are written out: as much as an ONNX file can hold of dense ones."""

_CHILDREN: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {
        "model": {7: "graph", 20: "training", 25: "function"},
        "training": {1: "graph", 2: "graph"},
        "graph": {1: "node", 5: "tensor", 15: "sparse"},
        "function": {7: "node", 11: "attribute"},
        "node": {5: "attribute"},
        "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        "sparse": {1: "tensor", 2: "tensor"},
    }
)
"""The messages that tensors and operators can be in, by the number of their field in the message around them."""
_SINGLE = frozenset({("model", 7), ("attribute", 5), ("attribute", 6), ("attribute", 22), ("sparse", 1), ("sparse", 2)})
"""Those that a message has once. Parsers melt a second one into the first: sizes could be spread over both."""

_NODE_NAMES = (7, 4, 8)
_FUNCTION_NAMES = (10, 1, 13)
"""The fields with the domain, the operator and the overload."""
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 9, 13, 14
_TENSOR_NAME, _TENSOR_STRINGS = 8, 6
_TENSOR_TYPED = frozenset({4, 5, 7, 10, 11})
_SPARSE_DIMS = 3
_OWN: Final[Mapping[str, frozenset[int]]] = MappingProxyType(
    {
        "node": frozenset(_NODE_NAMES),
        "function": frozenset(_FUNCTION_NAMES),
        "tensor": _TENSOR_TYPED
        | {_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _TENSOR_NAME, _TENSOR_STRINGS},
        "sparse": frozenset({_SPARSE_DIMS}),
    }
)
"""The fields of each message that say something by themselves."""
_STRING = 8
_BITS: Final[Mapping[int, int]] = MappingProxyType(
    {1: 32, 4: 16, 5: 16, 6: 32, 7: 64, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
    | {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}
)
"""Of one value, by the number of its type; 8 for the others."""

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"})
"""Whose operators are ONNX's own or come with ONNX Runtime."""
_OUTSIDE = frozenset({"EPContext", "PythonOp", "PythonOpGrad", "Snpe"})
"""Operators of ONNX Runtime's that run what is no part of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A tensor whose values are in another file.

    Attributes:
        tensor: its name.
        location: the file, as the model names it.
        offset: where they begin there.
        size_bytes: how long they are at least.
    """

    tensor: str
    location: str
    offset: int
    size_bytes: int


Operator = tuple[str, str, str]
"""Its domain, its name, and which of several of that name it is."""


@dataclass(slots=True)
class _Asked:
    """What the messages read so far ask for.

    Attributes:
        external: tensors with values elsewhere.
        operators: how often the graph, or the function that is being read, has each operator.
        functions: the operators that are made of others, and how often they have each of those.
        dense_bytes: what sparse tensors take when they are written out.
    """

    external: list[External] = field(default_factory=list)
    operators: Counter[Operator] = field(default_factory=Counter)
    functions: dict[Operator, Counter[Operator]] = field(default_factory=dict)
    dense_bytes: int = 0


def check_onnx_file(path: Path, *, may_be_custom: bool = False) -> None:
    """Raise unless the ONNX file at `path` keeps to its own directory, its own size and known operators.

    Args:
        path: the file.
        may_be_custom: whether operators are allowed that neither ONNX nor ONNX Runtime knows.

    Raises:
        FairleadError: DATA_LOSS when it is no ONNX file, FAILED_PRECONDITION for what it asks for, and
            RESOURCE_EXHAUSTED for tensors that are larger than they can be.
    """
    asked = _read(path)
    _check_operators(path, asked, may_be_custom=may_be_custom)
    for tensor in asked.external:
        _check_external(path, tensor)
    needed, there = sum(tensor.size_bytes for tensor in asked.external), available_memory_bytes()
    if needed > there:
        raise FairleadError(
            Code.RESOURCE_EXHAUSTED,
            f"{path.name} is refused: its tensors take {needed:,} bytes of memory, and there are {there:,}",
        )


def external_files(path: Path) -> tuple[str, ...]:
    """The other files that the ONNX file at `path` has values in, as it names them.

    Raises:
        FairleadError: as `check_onnx_file` for the file alone.
    """
    return tuple(sorted({tensor.location for tensor in _read(path).external}))


def _read(path: Path) -> _Asked:
    asked = _Asked()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _walk("model", Span(file.fileno(), 0, size), asked, path.name, 0)
    except OSError as error:
        raise FairleadError(Code.DATA_LOSS, f"{path.name} cannot be loaded: {error}") from error
    except ValueError as error:  # of what is no protobuf, or no text
        raise FairleadError(Code.DATA_LOSS, f"{path.name} cannot be loaded: it is no ONNX file: {error}") from error
    return asked


def _walk(kind: str, data: memoryview | Span, asked: _Asked, file: str, depth: int) -> None:
    """Read one message, and those in it.

    What is too deep, or has twice what it can have once, was made by no tool and is refused as damaged.
    """
    if depth > _MAX_DEPTH:
        raise DamagedError(f"messages are nested more than {_MAX_DEPTH} deep")
    around = asked.operators
    if kind == "function":
        asked.operators = Counter()
    children, wanted = _CHILDREN.get(kind, {}), _OWN.get(kind, frozenset())
    own: list[tuple[int, Value]] = []
    seen: set[int] = set()
    for number, value in read_fields(data):
        if number in wanted:
            own.append((number, value))
            continue
        child = children.get(number)
        if child is None or isinstance(value, int):
            continue
        if number in seen and (kind, number) in _SINGLE:
            raise DamagedError(f"field {number} of a {kind} is there twice")
        seen.add(number)
        _walk(child, value, asked, file, depth + 1)
    if kind in _OWN:
        _take(kind, own, asked, file)
    if kind == "function":
        asked.operators = around


def _take(kind: str, own: Fields, asked: _Asked, file: str) -> None:
    """Note what one message says by itself."""
    if kind == "node":
        asked.operators[_names(own, _NODE_NAMES)] += 1
    elif kind == "function":
        name = _names(own, _FUNCTION_NAMES)
        if name in asked.functions:
            raise DamagedError(f"the function {name[0]}::{name[1]} is there twice")
        asked.functions[name] = asked.operators
    elif kind == "tensor":
        _take_tensor(own, asked, file)
    else:
        _take_sparse(own, asked, file)


def _take_tensor(fields: Fields, asked: _Asked, file: str) -> None:
    name, kind = _text(fields, _TENSOR_NAME), _number(fields, _TENSOR_TYPE)
    count = _count(fields, _TENSOR_DIMS, name)
    entries = [value for number, value in fields if number == _TENSOR_EXTERNAL]
    if entries or _number(fields, _TENSOR_LOCATION):
        asked.external.append(_external(entries, name, count * _BITS.get(kind, 8) // 8))
        return
    held = _held(fields, kind)
    if count > held:
        raise FairleadError(
            Code.RESOURCE_EXHAUSTED, f"{file} is refused: tensor {name!r} declares {count:,} values and holds {held:,}"
        )


def _take_sparse(fields: Fields, asked: _Asked, file: str) -> None:
    """Count what the tensor is when it is written out, which is what a runtime does with it."""
    asked.dense_bytes += _count(fields, _SPARSE_DIMS, "sparse") * _MAX_VALUE_BYTES
    if asked.dense_bytes > _MAX_DENSE_BYTES:
        raise FairleadError(
            Code.RESOURCE_EXHAUSTED,
            f"{file} is refused: its sparse tensors take up to {asked.dense_bytes:,} bytes of memory, "
            f"and {_MAX_DENSE_BYTES:,} are the most",
        )


def _held(fields: Fields, kind: int) -> int:
    """How many values the bytes of a tensor can be."""
    if kind == _STRING:
        return sum(number == _TENSOR_STRINGS for number, _ in fields)
    raw = sum(_size(value) for number, value in fields if number == _TENSOR_RAW)
    typed = sum(_size(value) for number, value in fields if number in _TENSOR_TYPED)
    return raw * 8 // _BITS.get(kind, 8) + typed * _MAX_VALUES_A_BYTE


def _external(entries: Sequence[Value], name: str, size_bytes: int) -> External:
    said = {_text(pair, 1): _text(pair, 2) for pair in (list(read_fields(short(entry))) for entry in entries)}
    if len(said) < len(entries):
        raise DamagedError(f"tensor {name!r} says twice where its values are")
    return External(
        tensor=name,
        location=said.get("location", ""),
        offset=int(said.get("offset", "0")),
        size_bytes=max(size_bytes, int(said.get("length", "0"))),
    )


def _check_operators(path: Path, asked: _Asked, *, may_be_custom: bool) -> None:
    used = asked.operators.keys() | {name for names in asked.functions.values() for name in names}
    for domain, operator, _ in sorted(used - asked.functions.keys()):
        if operator in _OUTSIDE or not (may_be_custom or domain in _DOMAINS):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{path.name} is refused: {domain}::{operator} is an operator that runs code from outside of the model",
            )
    count = _written_out(asked.operators, asked.functions, {})
    if count > _MAX_OPERATORS:
        raise FairleadError(
            Code.RESOURCE_EXHAUSTED,
            f"{path.name} is refused: its functions come to {_shown(count)} operators when they are written out, "
            f"and {_MAX_OPERATORS:,} are the most",
        )


def _written_out(
    operators: Counter[Operator],
    functions: Mapping[Operator, Counter[Operator]],
    known: dict[Operator, float],
    depth: int = 0,
) -> float:
    """How many operators these are once functions are replaced by what they are made of; without end in a circle."""
    if depth > _MAX_DEPTH:
        return math.inf
    total = 0.0
    for operator, count in operators.items():
        if operator in functions and operator not in known:
            known[operator] = math.inf  # until it is known: one that is met again in itself never ends
            known[operator] = _written_out(functions[operator], functions, known, depth + 1)
        total += count * known.get(operator, 1.0)
    return total


def _shown(count: float) -> str:
    return f"{count:,.0f}" if count < math.inf else "endlessly many"


def _check_external(path: Path, tensor: External) -> None:
    where = PurePosixPath(tensor.location)
    if where.is_absolute() or not where.parts or ".." in where.parts or "\0" in tensor.location:
        raise _refused_external(path, tensor, "which leads out of its directory")
    target = path.parent
    for part in where.parts:
        target /= part
        if target.is_symlink():
            raise _refused_external(path, tensor, "which is a link")
    try:
        found = target.lstat()
    except OSError as error:
        raise _refused_external(path, tensor, f"which cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise _refused_external(path, tensor, "which is not a regular file of that name alone")
    if tensor.offset < 0 or tensor.offset + tensor.size_bytes > found.st_size:
        raise _refused_external(
            path, tensor, f"{tensor.size_bytes:,} bytes from {tensor.offset:,} on, and it has {found.st_size:,}"
        )


def _refused_external(path: Path, tensor: External, why: str) -> FairleadError:
    return FairleadError(
        Code.FAILED_PRECONDITION,
        f"{path.name} is refused: tensor {tensor.tensor!r} has its values in {tensor.location!r}, {why}",
    )


def _count(fields: Fields, number: int, name: str) -> int:
    """How many values a tensor declares with its sizes."""
    sizes = [size for found, value in fields if found == number for size in integers(value)]
    if len(sizes) > _MAX_AXES or any(size < 0 for size in sizes):
        raise DamagedError(f"tensor {name!r} has {len(sizes)} axes of the sizes {sizes[:8]}")
    return math.prod(sizes)


def _names(fields: Fields, numbers: tuple[int, int, int]) -> Operator:
    domain, name, overload = (_text(fields, number) for number in numbers)
    return domain, name, overload


def _text(fields: Iterable[tuple[int, Value]], number: int) -> str:
    """The text in the field `number`, as parsers have it: the last one counts, and none is empty."""
    found = [value for field, value in fields if field == number]
    return bytes(short(found[-1])).decode() if found else ""


def _number(fields: Fields, number: int) -> int:
    found = [value for field, value in fields if field == number and isinstance(value, int)]
    return found[-1] if found else 0


def _size(value: Value) -> int:
    """In bytes; of a number one, which it has at least."""
    return 1 if isinstance(value, int) else len(value)
