"""The models that every client asks: they take and give what codecs get wrong, and numpy knows what they answer."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx.parser

from fairlead.servable.column import Column, set_columns
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.signature import Array, Tensors
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

__all__ = ["DATATYPES", "KINDS", "MIXED", "MIXED_ANSWER", "check_tensor", "fill", "release"]

DATATYPES = {
    "bool": "BOOL",
    "string": "BYTES",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
}
"""What the Open Inference Protocol calls each dtype."""


def _ends(dtype: str) -> Array:
    """Two rows of two: the ends of the dtype's range among them."""
    if dtype == "bool":
        return np.array([[True, False], [False, True]])
    if dtype == "string":
        return np.array([["a", ""], ["é ✓", "\x00\n"]], object)
    if dtype.startswith("float"):
        bounds = np.finfo(dtype)
        return np.array([[bounds.min, bounds.max], [bounds.smallest_normal, -1.5]], dtype)
    limits = np.iinfo(dtype)
    return np.array([[limits.min, limits.max], [1, 0]], dtype)


KINDS = {dtype: _ends(dtype) for dtype in DATATYPES}
"""By dtype, two rows for the model `kinds`, which gives the input `x_DTYPE` back as `y_DTYPE`."""

MIXED: dict[str, Array] = {
    "weights": np.array([[0.5, -1.25], [3.0, 1e-3], [-0.0, 2.5e7]], np.float32),
    "count": np.array([2, -3, 2**53 + 1], np.int64),
    "flag": np.array([True, False, True]),
    "text": np.array(["plain", 'naïve ✓ \x00 "quoted"', ""], object),
}
"""Three rows for the model `mixed`."""

MIXED_ANSWER: dict[str, Array] = {
    "total": MIXED["weights"].sum(axis=1),
    "double": MIXED["count"] * 2,
    "opposite": ~MIXED["flag"],
    "same_text": MIXED["text"],
    "same_bytes": MIXED["text"],
}
"""What it answers to them; TensorFlow Serving writes an output whose name ends in `_bytes` as base64."""

_HALF_PLUS_TWO = """
    half_plus_two (float[n] x) => (float[n] y) {
        half = Constant <value_float = 0.5> ()
        two = Constant <value_float = 2.0> ()
        halved = Mul (x, half)
        y = Add (halved, two)
    }
"""

_MIXED = """
    mixed (float[n, 2] weights, int64[n] count, bool[n] flag, string[n] text)
    => (float[n] total, int64[n] double, bool[n] opposite, string[n] same_text, string[n] same_bytes) {
        last = Constant <value_ints = [1]> ()
        total = ReduceSum <keepdims = 0> (weights, last)
        double = Add (count, count)
        opposite = Not (flag)
        same_text = Identity (text)
        same_bytes = Identity (text)
    }
"""

_TABLE = """
    table (int64[n] age, float[n] pay, string[n] kind) => (int64[n] same_age, float[n] same_pay, string[n] same_kind) {
        same_age = Identity (age)
        same_pay = Identity (pay)
        same_kind = Identity (kind)
    }
"""

_COLUMNS = {
    "age": Column(minimum=0, maximum=120),
    "pay": Column(may_be_missing=True),
    "kind": Column(categories=("plain", "fancy"), may_be_missing=True),
}

_ONNX_TYPES = {dtype: {"float32": "float", "float64": "double"}.get(dtype, dtype) for dtype in DATATYPES}

_KINDS = f"""
    kinds ({", ".join(f"{kind}[n, 2] x_{dtype}" for dtype, kind in _ONNX_TYPES.items())})
    => ({", ".join(f"{kind}[n, 2] y_{dtype}" for dtype, kind in _ONNX_TYPES.items())}) {{
        {" ".join(f"y_{dtype} = Identity (x_{dtype})" for dtype in DATATYPES)}
    }}
"""

_SLOW = """
    slow (int64[n] turns) => (int64[n] done) {
        most = ReduceMax <keepdims = 0> (turns)
        size = Constant <value_ints = [256, 256]> ()
        start = ConstantOfShape (size)
        one = Constant <value_int = 1> ()
        always = Cast <to = 9> (one)
        product = Loop (most, always, start) <
            body = turn (int64 index, bool before, float[256, 256] matrix)
            => (bool after, float[256, 256] squared) {
                after = Identity (before)
                squared = MatMul (matrix, matrix)
            }
        >
        zero = ReduceSum <keepdims = 0> (product)
        nothing = Cast <to = 7> (zero)
        done = Add (turns, nothing)
    }
"""


def fill(store: WritableStore) -> None:
    """Publish and release them all.

    * `digits`: version 1 sure of a 3, labelled `previous`, and the stable version 2 sure of a 7;
    * `half_plus_two`: one number a row;
    * `mixed`: four inputs of different types;
    * `kinds`: an input and an output of each dtype;
    * `table`: three columns, which it gives back, with bounds, categories and values that may be missing;
    * `slow`: gives `turns` back, about a second later for every 3,000.
    """
    older, newer = (publish_digit(store, "digits", digit).manifest.id for digit in (3, 7))
    store.promote(newer, why="")
    store.promote(older, why="", label="previous")
    release(store, _HALF_PLUS_TWO, {"x": np.ones(1, np.float32)}, {"y": np.full(1, 2.5, np.float32)})
    release(store, _MIXED, MIXED, {"total": MIXED_ANSWER["total"]})
    release(store, _KINDS, {f"x_{dtype}": array for dtype, array in KINDS.items()}, {"y_int8": KINDS["int8"]})
    row = {"age": np.array([39]), "pay": np.ones(1, np.float32), "kind": np.array(["plain"], object)}
    release(store, _TABLE, row, {"same_age": np.array([39])}, _COLUMNS)
    release(store, _SLOW, {"turns": np.ones(1, np.int64)}, {"done": np.ones(1, np.int64)})


def check_tensor(got: Array, want: Array) -> None:
    """Assert that they are equal to the last bit; strings come as texts or, from binary data, in UTF-8."""
    if want.dtype == object:
        got = np.array([item.decode() if isinstance(item, bytes) else item for item in got.flat], object)
        want = want.ravel()
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def release(
    store: WritableStore,
    graph: str,
    inputs: Tensors,
    outputs: Tensors,
    columns: Mapping[str, Column] = MappingProxyType({}),
    labels: tuple[str, ...] = (),
) -> None:
    """Publish the model that the graph is and is named after, and make it stable; it gives `outputs` for `inputs`."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {graph}')
    model = proto.graph.name
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        onnx.save_model(proto, str(directory / MODEL_FILE))
        if columns:
            set_columns(directory / MODEL_FILE, columns)
        # A file of arrays holds strings of numpy's own kind, and no objects.
        plain = {name: array.astype(str) if array.dtype == object else array for name, array in inputs.items()}
        Golden(inputs=plain, outputs=outputs).save(directory / GOLDEN_FILE)
        _, signature = open_model(directory / MODEL_FILE)

        def describe(version: int, files: Mapping[str, str]) -> Manifest:
            return Manifest(
                model=model,
                version=version,
                runtime="onnx",
                signature=signature,
                labels=labels,
                files=files,
                created_at=datetime.now(UTC),
            )

        published = store.publish(model, {path.name: path for path in directory.iterdir()}, describe)
    store.promote(published.manifest.id, why="")
