"""Examples become a model's inputs, whichever protocol brought them."""

import base64
import contextlib
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.fakes import manifest_of, specs

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature
from fairlead.transport.tfserving.example_wire import encode_example
from fairlead.transport.tfserving.examples import decode_examples, with_context
from fairlead.transport.tfserving.feature import Example, Feature, Kind
from fairlead.transport.tfserving.json_examples import read_examples


def signature(**inputs: tuple[str, tuple[int, ...]]) -> Signature:
    """A signature with these inputs."""
    return manifest_of("m", specs(**inputs), specs(y=("float32", (-1, 1)))).signature


@pytest.mark.parametrize(
    ("dtype", "feature", "values"),
    [
        ("float16", Feature(Kind.FLOAT, [0.5]), [0.5]),
        ("float64", Feature(Kind.INT64, [2**40]), [2.0**40]),
        ("int8", Feature(Kind.INT64, [-128]), [-128]),
        ("uint64", Feature(Kind.INT64, [2**63 - 1]), [2**63 - 1]),
        ("bool", Feature(Kind.INT64, [1]), [True]),
        ("string", Feature(Kind.BYTES, ["é".encode()]), ["é"]),
    ],
)
def test_each_dtype_takes_its_kind(dtype: str, feature: Feature, values: list[Any]) -> None:
    """A feature is the input's dtype, when its values are."""
    array = decode_examples([{"x": feature}], signature(x=(dtype, (-1, 1))))["x"]
    assert (array.dtype, array.tolist()) == (np.dtype(object if dtype == "string" else dtype), [values])


@pytest.mark.parametrize(
    ("dtype", "feature"),
    [
        ("int8", Feature(Kind.INT64, [128])),
        ("uint8", Feature(Kind.INT64, [-1])),
        ("bool", Feature(Kind.INT64, [2])),
        ("int64", Feature(Kind.FLOAT, [1.0])),
        ("float32", Feature(Kind.BYTES, [b"1"])),
        ("string", Feature(Kind.BYTES, [b"\xff"])),
    ],
)
def test_no_value_is_bent(dtype: str, feature: Feature) -> None:
    """What the input's dtype does not hold is refused by name."""
    with pytest.raises(FairleadError, match="x") as caught:
        decode_examples([{"x": feature}], signature(x=(dtype, (-1, 1))))
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((-1,), 1, (2,)),
        ((-1, -1), 3, (2, 3)),
        ((-1, 2, -1), 6, (2, 2, 3)),
        ((-1, 2, 3), 6, (2, 2, 3)),
        ((-1, -1), 0, (2, 0)),
    ],
)
def test_a_row_has_the_inputs_shape(shape: tuple[int, ...], size: int, expected: tuple[int, ...]) -> None:
    """An axis of any length is as long as the values make it."""
    examples = [{"x": Feature(Kind.FLOAT, [0.5] * size)}] * 2
    assert decode_examples(examples, signature(x=("float32", shape)))["x"].shape == expected


@pytest.mark.parametrize(("shape", "size"), [((-1, 2, -1), 5), ((-1, 0, -1), 1), ((-1, -1, -1), 4), ((-1,), 0)])
def test_a_row_that_cannot_have_the_shape_is_refused(shape: tuple[int, ...], size: int) -> None:
    """Values that do not fill it, or could fill it in several ways, are refused."""
    with pytest.raises(FairleadError):
        decode_examples([{"x": Feature(Kind.FLOAT, [0.5] * size)}], signature(x=("float32", shape)))


def test_no_examples_are_refused() -> None:
    """A message without examples is refused, whichever protocol brings it."""
    with pytest.raises(FairleadError, match="Input is empty"):
        decode_examples([], signature(x=("float32", (-1,))))


VALUES = st.floats(width=32) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text(max_size=4)
FEATURES = st.dictionaries(
    st.text(max_size=3), st.lists(st.floats(width=32)) | st.lists(VALUES, max_size=3) | VALUES, max_size=3
)


@given(st.lists(FEATURES, min_size=1, max_size=3), FEATURES)
def test_a_feature_is_one_kind_or_none(examples: list[dict[str, Any]], context: dict[str, Any]) -> None:
    """Any features are read whole, in one kind each, or refused; the wire carries every byte of them."""
    try:
        read = read_examples({"examples": examples, "context": context}, "classify")
    except FairleadError:
        return
    for example, told in zip(read, examples, strict=True):
        assert example.keys() == told.keys() | context.keys()
        for name, feature in example.items():
            value = told.get(name, context.get(name))
            assert len(feature.values) == (len(value) if isinstance(value, list) else 1)


JSON = st.recursive(
    st.none() | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "b64"]), inner),
)


@given(
    st.dictionaries(
        st.sampled_from(["examples", "context", "signature_name"]), JSON | st.lists(st.dictionaries(st.just("x"), JSON))
    )
)
def test_no_document_breaks_the_reader(document: dict[str, Any]) -> None:
    """Any JSON is examples or a refusal."""
    with contextlib.suppress(FairleadError):
        assert read_examples(document, "regress")


def test_base64_is_bytes() -> None:
    """A base64 object is one value of bytes, whatever they are."""
    (example,) = read_examples({"examples": [{"x": {"b64": base64.b64encode(b"\xff\x00").decode()}}]}, "classify")
    assert example == {"x": Feature(Kind.BYTES, [b"\xff\x00"])}


def test_a_context_is_overridden() -> None:
    """An example's own feature counts more than the context's."""
    one, two = Feature(Kind.INT64, [1]), Feature(Kind.INT64, [2])
    assert with_context([{"a": one}, {}], {"a": two, "b": two}) == [{"a": one, "b": two}, {"a": two, "b": two}]


def message_class() -> Any:
    """TensorFlow's `Example`, described field by field."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    for name, type_ in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        file.message_type.add(name=name).field.add(name="value", number=1, type=type_, label=field.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), 1):
        list_type = f".tensorflow.{name.title().replace('_', '')}"
        feature.field.add(name=name, number=number, type=field.TYPE_MESSAGE, type_name=list_type, oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING)
    entry.field.add(name="value", number=2, type=field.TYPE_MESSAGE, type_name=".tensorflow.Feature")
    features.field.add(
        name="feature", number=1, label=field.LABEL_REPEATED, type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
    )  # fmt: skip
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


EXAMPLE = message_class()
EXAMPLES = st.dictionaries(
    st.text(max_size=4),
    st.builds(Feature, st.just(Kind.BYTES), st.lists(st.binary(max_size=200), max_size=3))
    | st.builds(Feature, st.just(Kind.FLOAT), st.lists(st.floats(width=32, allow_nan=False), max_size=300))
    | st.builds(Feature, st.just(Kind.INT64), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)),
    max_size=3,
)


@given(EXAMPLES)
def test_the_wire_carries_any_example(example: Example) -> None:
    """What protobuf reads back is what went in; a feature without values has no kind."""
    read = EXAMPLE.FromString(encode_example(example)).features.feature
    lists = {Kind.BYTES: "bytes_list", Kind.FLOAT: "float_list", Kind.INT64: "int64_list"}
    assert read.keys() == example.keys()
    for name, feature in example.items():
        kind = read[name].WhichOneof("kind")
        assert kind == (lists[feature.kind] if feature.values else None)
        assert not kind or list(getattr(read[name], kind).value) == feature.values


def test_a_number_beyond_32_bits_is_infinite_on_the_wire() -> None:
    """A float of an example has 32 bits."""
    message = EXAMPLE.FromString(encode_example({"x": Feature(Kind.FLOAT, [1e300])}))
    assert list(message.features.feature["x"].float_list.value) == [float("inf")]
