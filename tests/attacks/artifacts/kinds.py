"""Models as an attacker would hand them in, made on the spot; each takes the directory that it goes into.

Whatever runs code leaves the file `CANARY` names behind: a test that finds it has found a hole.
"""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, load_model, save_model

from fairlead.servable.golden import GOLDEN_FILE
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.testing import write_digit_model

__all__ = ["CANARY", "FILES", "MODELS", "write_external", "write_good"]

CANARY = "code-was-run"
SECRET = "secret.bin"
"""Lies beside the versions' directories and belongs to none of them: forty bytes, as the digit model's scores are."""

Write = Callable[[Path], None]


def write_good(directory: Path, digit: int = 4) -> None:
    """A model that may be served; nothing else here may."""
    directory.mkdir(parents=True, exist_ok=True)
    write_digit_model(directory, digit)


class Bomb:
    """What its pickle does when it is read."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def _bomb(directory: Path) -> bytes:
    return pickle.dumps(Bomb(directory / CANARY))


def _edit(directory: Path, change: Callable[[ModelProto], None]) -> None:
    """Change the model in the directory."""
    model = load_model(str(directory / MODEL_FILE))
    change(model)
    save_model(model, str(directory / MODEL_FILE))


def write_external(directory: Path, location: str, *, offset: int = 0, length: int = 40) -> None:
    """The model's scores are said to be in another file."""

    def change(model: ModelProto) -> None:
        (scores,) = [tensor for tensor in model.graph.initializer if tensor.name == "scores"]
        _move_out(scores, location, offset, length)

    _edit(directory, change)


def _move_out(tensor: TensorProto, location: str, offset: int = 0, length: int = 40) -> None:
    for field in ("float_data", "raw_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def _nested_external(directory: Path) -> None:
    """The same in a constant of a branch of an If: where a check of the graph's own tensors does not look."""
    scores = helper.make_tensor("scores", TensorProto.FLOAT, [10], [0.0] * 10)
    _move_out(scores, f"../{SECRET}")
    branches = [
        helper.make_graph(
            [helper.make_node("Constant", [], [f"{name}_out"], value=scores)],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [10])],
        )
        for name in ("then", "else")
    ]
    _edit(
        directory,
        lambda model: model.graph.node.extend(
            [
                helper.make_node(
                    "Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True])
                ),
                helper.make_node("If", ["yes"], ["stolen"], then_branch=branches[0], else_branch=branches[1]),
            ]
        ),
    )


def _linked_external(directory: Path) -> None:
    write_external(directory, "weights.bin")
    (directory / "weights.bin").symlink_to(directory.parent / SECRET)


def _hard_linked_external(directory: Path) -> None:
    """ONNX Runtime itself takes this one."""
    write_external(directory, "weights.bin")
    (directory / "weights.bin").hardlink_to(directory.parent / SECRET)


def _external_in_memory(directory: Path) -> None:
    """By the name that ONNX Runtime gives to what is in its own memory, at an address of the attacker's choice."""
    write_external(directory, "*/_ORT_MEM_ADDR_/*", offset=4096)


def _external_beyond_its_end(directory: Path) -> None:
    write_external(directory, "weights.bin", length=4000)
    (directory / "weights.bin").write_bytes(bytes(40))


def _huge_external(directory: Path) -> None:
    """A hundred thousand gigabytes, none of which take a block of the disk."""

    def change(model: ModelProto) -> None:
        (scores,) = [tensor for tensor in model.graph.initializer if tensor.name == "scores"]
        del scores.dims[:]
        scores.dims.extend([25, 10**9])
        _move_out(scores, "weights.bin", 0, 10**11)

    _edit(directory, change)
    (directory / "weights.bin").touch()
    os.truncate(directory / "weights.bin", 10**11)


def _sparse(directory: Path) -> None:
    """One value of 25,000,000,000: a hundred gigabytes when it is written out."""
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("huge", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("huge_at", TensorProto.INT64, [1], [7]),
        [25, 10**9],
    )
    _edit(directory, lambda model: model.graph.sparse_initializer.extend([sparse]))


def _sparse_constant(directory: Path) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("", TensorProto.INT64, [1], [7]),
        [25 * 10**9],
    )
    node = helper.make_node("Constant", [], ["huge"], sparse_value=sparse)
    _edit(directory, lambda model: model.graph.node.extend([node]))


def _declared(directory: Path) -> None:
    """A dense tensor that says it is a hundred gigabytes and holds forty bytes."""

    def change(model: ModelProto) -> None:
        (scores,) = [tensor for tensor in model.graph.initializer if tensor.name == "scores"]
        del scores.dims[:]
        scores.dims.extend([25, 10**9])

    _edit(directory, change)


def _huge_input(directory: Path) -> None:
    """An input that a row of zeros would take a hundred gigabytes for."""

    def change(model: ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 10**9

    _edit(directory, change)


def _add(directory: Path, node: NodeProto, **domains: int) -> None:
    def change(model: ModelProto) -> None:
        model.graph.node.extend([node])
        model.opset_import.extend(helper.make_opsetid(name.replace("_", "."), n) for name, n in domains.items())

    _edit(directory, change)


def _custom_operator(directory: Path) -> None:
    node = helper.make_node("Steal", ["scores"], ["stolen"], domain="attacker.example")
    _add(directory, node, attacker_example=1)


def _python_operator(directory: Path) -> None:
    """An operator of ONNX Runtime's own, in its builds for training."""
    _add(directory, helper.make_node("PythonOp", ["scores"], ["a", "b"], domain="com.microsoft"), com_microsoft=1)


def _functions(directory: Path) -> None:
    """Forty functions that each use the one before twice: a trillion operators, if somebody writes them out."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    bodies = [[helper.make_node("Add", ["a", "a"], ["b"])]]
    bodies += [[_call(n, "a", "c"), _call(n, "c", "b")] for n in range(39)]
    functions = [helper.make_function("f", f"F{n}", ["a"], ["b"], body, opsets) for n, body in enumerate(bodies)]
    _edit(directory, lambda model: model.functions.extend(functions))
    _add(directory, _call(39, "scores", "grown"), f=1)


def _call(number: int, source: str, target: str) -> NodeProto:
    return helper.make_node(f"F{number}", [source], [target], domain="f")


def _library(directory: Path) -> None:
    """A library that runs code as soon as somebody links it, under the name that tools look for."""
    canary = str(directory / CANARY).replace('"', "")
    source = f'#include <fcntl.h>\n__attribute__((constructor)) void go(void) {{ open("{canary}", O_CREAT, 0600); }}\n'
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(directory / "custom_ops.so"), "-"]
    subprocess.run(command, input=source.encode(), check=True, timeout=60)


def _pickle(directory: Path, name: str = MODEL_FILE) -> None:
    (directory / name).write_bytes(_bomb(directory))


def _compressed_pickle(directory: Path) -> None:
    (directory / "pipeline.joblib").write_bytes(gzip.compress(_bomb(directory)))


def _array_of_objects(directory: Path) -> None:
    array = np.empty(1, object)
    array[0] = Bomb(directory / CANARY)
    np.save(directory / "features.npy", array, allow_pickle=True)


def _golden_of_objects(directory: Path) -> None:
    array = np.empty(1, object)
    array[0] = Bomb(directory / CANARY)
    np.savez(directory / GOLDEN_FILE, **{"input:image": array, "output:probs": array})  # type: ignore[arg-type] # so typed


def _torch_file(directory: Path) -> None:
    with zipfile.ZipFile(directory / "weights.pt", "w") as archive:
        archive.writestr("archive/data.pkl", _bomb(directory))


MODELS: Sequence[tuple[str, Write, str]] = (
    ("traversal", lambda directory: write_external(directory, f"../{SECRET}"), "leads out of its directory"),
    ("traversal-below", lambda directory: write_external(directory, f"a/../../{SECRET}"), "leads out of its directory"),
    ("absolute", lambda directory: write_external(directory, "/etc/passwd"), "leads out of its directory"),
    ("nested-traversal", _nested_external, "leads out of its directory"),
    ("nowhere", lambda directory: write_external(directory, "weights.bin"), "cannot be read"),
    ("memory", _external_in_memory, "cannot be read"),
    ("beyond-end", _external_beyond_its_end, "4,000 bytes from 0 on, and it has 40"),
    ("sparse", _sparse, "its sparse tensors take up to 400,000,000,000 bytes of memory"),
    ("sparse-constant", _sparse_constant, "its sparse tensors take up to 400,000,000,000 bytes of memory"),
    ("declared", _declared, "declares 25,000,000,000 values and holds"),
    ("huge-input", _huge_input, "more than 2,147,483,648 values a row"),
    ("custom-operator", _custom_operator, "attacker.example::Steal is an operator that runs code from outside"),
    ("python-operator", _python_operator, "com.microsoft::PythonOp is an operator that runs code from outside"),
    ("functions", _functions, "come to 549,755,813,892 operators when they are written out"),
    ("library", _library, "custom_ops.so is refused: it is a program or a library"),
    ("pickle", _pickle, "model.onnx is refused: it is a pickle"),
    ("joblib", _compressed_pickle, "pipeline.joblib is refused: it is a pickle"),
    ("array", _array_of_objects, "features.npy is refused: it is an array of pickled objects"),
    ("golden", _golden_of_objects, "golden.npz is refused: it is an archive with the pickle 'input:image.npy' in it"),
    ("torch", _torch_file, "weights.pt is refused: it is an archive with the pickle 'archive/data.pkl' in it"),
)
"""What can be published or copied: a name, how it is made of a good model, and what must be said of it."""

FILES: Sequence[tuple[str, Write, str]] = (
    *MODELS,
    ("link", _linked_external, "weights.bin is refused: it is a link that leads out of its version"),
    ("hard-link", _hard_linked_external, "'weights.bin', which is not a regular file of that name alone"),
    ("huge-external", _huge_external, "bytes of memory, and there are"),
    ("pipe", lambda directory: os.mkfifo(directory / "pipe"), "pipe is refused: it is no regular file"),
)
"""And what only a plain directory can have in it: publishing copies bytes."""
