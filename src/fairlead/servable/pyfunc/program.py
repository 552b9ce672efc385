"""The program of the process that holds a model, and the words that are exchanged with it.

It imports nothing of Fairlead's: the interpreter that runs it may be another one, with the model's requirements. A word
is the sizes of two parts, a JSON object, and the bytes of the tensors that it lists, one after the other.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["receive", "send"]

_SIZES = struct.Struct(">IQ")
_MOST_HEAD_BYTES = 2**24
_MOST_BYTES = 2**29
_NUMBERS = frozenset("bfiu")
_REASON_CHARS = 2000

Tensors = Mapping[str, Any]


def send(write: Callable[[bytes], object], head: Mapping[str, Any], tensors: Tensors) -> None:
    """Say something: texts go as a JSON list of str, numbers as they are in memory.

    Args:
        write: sends all the bytes that it is given.
        head: what is said beside the tensors.
        tensors: arrays by name, of numbers or (object) of str.
    """
    parts = [_packed(np.asarray(array)) for array in tensors.values()]
    listed = [
        [name, "string" if array.dtype.kind == "O" else array.dtype.str, array.shape, len(part)]
        for (name, array), part in zip(tensors.items(), parts, strict=True)
    ]
    words = json.dumps({**head, "tensors": listed}).encode()
    write(_SIZES.pack(len(words), sum(map(len, parts))) + words)
    for part in parts:
        write(part)


def receive(read: Callable[[int], bytearray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was said: the JSON object and the tensors by name, all of which fit what was announced.

    Args:
        read: gives so many bytes.

    Raises:
        Exception: of several kinds, when it is none of such words; EOFError is for `read` to raise.
    """
    head_size, body_size = _SIZES.unpack(read(_SIZES.size))
    if head_size > _MOST_HEAD_BYTES or body_size > _MOST_BYTES:
        raise ValueError(f"a word of {head_size + body_size:,} bytes, which is more than anybody says")
    head = json.loads(read(head_size))
    body = memoryview(read(body_size))
    tensors: dict[str, Any] = {}
    start = 0
    for name, kind, shape, size in head["tensors"]:
        if not isinstance(size, int) or not 0 <= size <= body_size - start:
            raise ValueError(f"tensor {name!r} of {size!r} bytes, where {body_size - start} are left")
        tensors[str(name)] = _unpacked(body[start : start + size], str(kind), shape)
        start += size
    return head, tensors


def _packed(array: Any) -> bytes:
    if array.dtype.kind == "O":
        return json.dumps(array.ravel().tolist()).encode()
    return bytes(np.ascontiguousarray(array).data.cast("B")) if array.size else b""


def _unpacked(part: memoryview, kind: str, shape: list[int]) -> Any:
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"a tensor of the shape {shape}")
    if kind == "string":
        texts = json.loads(bytes(part))
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("a tensor of texts with something else in it")
        return np.array(texts, object).reshape(shape)
    dtype = np.dtype(kind)
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"a tensor of {kind}, which are no numbers")
    return np.frombuffer(part, dtype).reshape(shape)


def main() -> None:
    """Load the model and answer until nobody asks any more; arguments are a descriptor and the model's directory."""
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent]
    line = socket.socket(fileno=int(sys.argv[1]))
    directory = sys.argv[2]
    os.dup2(2, 1)  # what a model prints is no answer
    try:
        import mlflow.pyfunc  # noqa: PLC0415 - slow, and what is wrong with it is said on the line

        model = mlflow.pyfunc.load_model(directory)
        send(line.sendall, {"differs": _differences(directory)}, {})
    except Exception as error:  # noqa: BLE001 - whatever a model raises
        send(line.sendall, {"error": _worded(error)}, {})
        return
    while True:
        try:
            head, tensors = receive(lambda size: _read(line, size))
        except EOFError:
            return
        try:
            if head["do"] == "example":
                form, rows = _example(model)
                send(line.sendall, {"form": form}, rows)
            else:
                answer = model.predict(_given(head, tensors))
                send(line.sendall, {"peak_bytes": _peak_bytes()}, _tensors(answer))
        except Exception as error:  # noqa: BLE001 - as above
            names = {kind.__name__ for kind in type(error).__mro__}
            is_refusal = not names.isdisjoint(("ValueError", "MlflowException"))
            send(line.sendall, {"error": _worded(error), "is_refusal": is_refusal}, {})


def _read(line: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = line.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return data


def _given(head: Mapping[str, Any], tensors: Tensors) -> Any:
    """The rows in the form that the model takes: one array, arrays by name, or a table."""
    if head["form"] == "array":
        return next(iter(tensors.values()))
    if head["form"] == "arrays":
        return dict(tensors)
    import pandas as pd  # noqa: PLC0415 - MLflow has it where there are tables

    columns = {
        name: [text or None for text in array.tolist()] if name in head["missing"] else array
        for name, array in tensors.items()
    }
    return pd.DataFrame(columns)


def _tensors(answer: Any) -> dict[str, Any]:
    """What a model answered, by name; `output` where it has none.

    Raises:
        TypeError: when it is nothing that tensors can hold.
    """
    if hasattr(answer, "columns") and hasattr(answer, "iloc"):  # a table
        found = {str(name): answer[name].to_numpy() for name in answer.columns}
    elif isinstance(answer, dict):
        found = {str(name): np.asarray(value) for name, value in answer.items()}
    else:
        found = {"output": answer.to_numpy() if hasattr(answer, "to_numpy") else np.asarray(answer)}
    return {name: _tensor(name, array) for name, array in found.items()}


def _tensor(name: str, array: Any) -> Any:
    array = array.astype(object) if array.dtype.kind == "U" else array
    is_text = array.dtype.kind == "O" and all(isinstance(item, str) for item in array.ravel().tolist())
    if not is_text and array.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name!r} holds {array.dtype}, which are neither numbers nor texts")
    return array


def _example(model: Any) -> tuple[str, dict[str, Any]]:
    """The rows that came with the model, and their form; no rows where none came."""
    example = model.input_example
    if example is None:
        return "", {}
    if hasattr(example, "columns") and hasattr(example, "iloc"):
        return "table", _tensors(example)
    return "arrays" if isinstance(example, dict) else "array", _tensors(example)


def _differences(directory: str) -> list[str]:
    """Where this interpreter is not what the model asks for."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - needed here alone

    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - MLflow has it

    path = Path(directory) / "requirements.txt"
    found = []
    for text in path.read_text().splitlines() if path.is_file() else ():
        try:
            wanted = Requirement(text.partition("#")[0].strip())
            has = version(wanted.name)
        except InvalidRequirement:
            continue  # an option of pip's, or an empty line
        except PackageNotFoundError:
            has = ""
        if wanted.name == "mlflow" and not has:
            continue  # there is only the part of it that is needed
        if not has or not wanted.specifier.contains(has, prereleases=True):
            found.append(f"{wanted}, and here is {has or 'none'}")
    return found


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _worded(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_REASON_CHARS]


if __name__ == "__main__":
    main()
