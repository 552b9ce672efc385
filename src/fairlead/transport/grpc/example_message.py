"""TensorFlow's Example messages as named features."""

from __future__ import annotations

from fairlead.transport.grpc.messages import Message
from fairlead.transport.tfserving.examples import with_context
from fairlead.transport.tfserving.feature import Example, Feature, Kind

__all__ = ["read_examples"]

_KINDS = {"bytes_list": Kind.BYTES, "float_list": Kind.FLOAT, "int64_list": Kind.INT64}


def read_examples(given: Message) -> list[Example]:
    """The examples of an Input, each with the features of the context that it does not have itself."""
    if given.WhichOneof("kind") == "example_list_with_context":
        shared = given.example_list_with_context
        return with_context([_read(example) for example in shared.examples], _read(shared.context))
    return [_read(example) for example in given.example_list.examples]


def _read(example: Message) -> Example:
    return {name: _feature(feature) for name, feature in example.features.feature.items()}


def _feature(feature: Message) -> Feature:
    kind = feature.WhichOneof("kind") or "bytes_list"
    return Feature(_KINDS[kind], getattr(feature, kind).value)
