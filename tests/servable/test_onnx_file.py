"""What an ONNX file asks for is read from its bytes, however large or damaged it is."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import FunctionProto, ModelProto, TensorProto, helper, load_model_from_string, save_model

from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx_file import check_onnx_file, external_files


def write(path: Path, nodes: int = 1, values: int = 4, functions: tuple[FunctionProto, ...] = ()) -> ModelProto:
    """A chain of so many operators, with a tensor of so many numbers."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [values], np.ones(values, np.float32).tobytes(), raw=True)
    chain = [helper.make_node("Identity", [f"x{n}"], [f"x{n + 1}"], name=f"n{n}") for n in range(nodes)]
    graph = helper.make_graph(
        chain,
        "chain",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info(f"x{nodes}", TensorProto.FLOAT, ["n"])],
        [weights],
    )
    model = helper.make_model(graph, functions=list(functions), opset_imports=[helper.make_opsetid("", 18)])
    save_model(model, str(path))
    return model


def fault(path: Path) -> FairleadError:
    """The error that the file is refused with."""
    with pytest.raises(FairleadError) as caught:
        check_onnx_file(path)
    return caught.value


@pytest.mark.parametrize(("nodes", "values"), [(1, 4), (20_000, 4), (1, 2**20), (20_000, 2**20)])
def test_large_and_small_files_are_read_to_their_end(tmp_path: Path, nodes: int, values: int) -> None:
    """Whether it is held in memory or read in pieces: an operator at the very end is found."""
    path = tmp_path / "model.onnx"
    model = write(path, nodes, values)
    check_onnx_file(path)
    assert external_files(path) == ()
    model.graph.node.extend([helper.make_node("Steal", ["w"], ["y"], domain="attacker.example")])
    save_model(model, str(path))

    assert "attacker.example::Steal" in fault(path).message


def test_twenty_thousand_operators_take_a_moment(tmp_path: Path) -> None:
    """The check is made at every load."""
    path = tmp_path / "model.onnx"
    write(path, 20_000, 2**22)
    began = time.process_time()
    check_onnx_file(path)

    assert time.process_time() - began < 3.0


def test_functions_of_the_file_are_no_custom_operators(tmp_path: Path) -> None:
    """Exporters give them domains of their own; what they consist of is looked at as well."""
    path = tmp_path / "model.onnx"
    opsets = [helper.make_opsetid("", 18)]
    good = helper.make_function("exporter", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets)
    model = write(path, functions=(good,))
    model.graph.node.extend([helper.make_node("Twice", ["w"], ["y"], domain="exporter")])
    save_model(model, str(path))
    check_onnx_file(path)
    model.functions[0].node.extend([helper.make_node("Steal", ["a"], ["c"], domain="attacker.example")])
    save_model(model, str(path))

    assert "attacker.example::Steal" in fault(path).message
    check_onnx_file(path, may_be_custom=True)


def chained(count: int, uses: int) -> tuple[FunctionProto, ...]:
    """So many functions, each of which uses the one before it so many times."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    bodies = [[helper.make_node("Add", ["a", "a"], ["b"])]]
    for number in range(1, count):
        names = ["a", *(f"c{use}" for use in range(uses - 1)), "b"]
        bodies.append([helper.make_node(f"F{number - 1}", [x], [y], domain="f") for x, y in itertools.pairwise(names)])
    return tuple(helper.make_function("f", f"F{n}", ["a"], ["b"], body, opsets) for n, body in enumerate(bodies))


def test_functions_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    """Forty functions that each use the one before twice are a trillion operators, if ONNX Runtime writes them out."""
    path = tmp_path / "model.onnx"
    model = write(path, functions=chained(40, 2))
    check_onnx_file(path)  # nobody uses them
    model.graph.node.extend([helper.make_node("F39", ["w"], ["y"], domain="f")])
    save_model(model, str(path))
    assert "come to 549,755,813,889 operators when they are written out" in fault(path).message
    model.functions[0].node.extend([helper.make_node("F39", ["a"], ["z"], domain="f")])
    save_model(model, str(path))
    assert "come to endlessly many operators" in fault(path).message
    for depth, fits in ((100, True), (3000, False)):
        model = write(path, functions=chained(depth, 1))
        model.graph.node.extend([helper.make_node(f"F{depth - 1}", ["w"], ["y"], domain="f")])
        save_model(model, str(path))
        if fits:
            check_onnx_file(path)
        else:
            assert "endlessly many" in fault(path).message
    model.functions.extend([model.functions[0]])
    save_model(model, str(path))
    assert "the function f::F0 is there twice" in fault(path).message


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Parsers melt both into one: the sizes of a tensor could be in one and its values in the other."""
    path = tmp_path / "model.onnx"
    write(path)
    path.write_bytes(path.read_bytes() * 2)
    error = fault(path)

    assert (error.code, "field 7 of a model is there twice" in error.message) == (Code.DATA_LOSS, True)


def test_a_hundred_messages_deep_is_too_deep(tmp_path: Path) -> None:
    """As for every parser of protobuf: the check's own stack is no target."""
    path = tmp_path / "model.onnx"
    message = b""
    for number in (6, 5, 1) * 200:  # a graph in an attribute of a node in a graph ...
        message = bytes([number << 3 | 2]) + _varint(len(message)) + message
    path.write_bytes(b"\x3a" + _varint(len(message)) + message)

    assert "nested more than 100 deep" in fault(path).message


def test_the_check_agrees_with_the_library_of_onnx(tmp_path: Path) -> None:
    """What the library takes for a model with values elsewhere is never taken for one without."""
    path = tmp_path / "model.onnx"
    model = write(path)
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    whole = model.SerializeToString()
    dice = random.Random(20260101)
    agreed = 0
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read = load_model_from_string(bytes(damaged))
        except Exception:  # noqa: BLE001 - whatever the library says to what it cannot read
            continue
        wanted = any(tensor.data_location == TensorProto.EXTERNAL for tensor in read.graph.initializer)
        try:
            found = external_files(path)
        except FairleadError:
            continue
        agreed += 1
        assert found or not wanted
    assert agreed > 100


def _varint(number: int) -> bytes:
    """A length as protobuf writes it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
