"""The protocol buffers' messages and services, in a pool of their own.

TensorFlow or a client library in the same process may have registered messages of the same names: the default pool
takes each name once only.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, message_factory, wrappers_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

__all__ = ["POOL", "SERVICES", "DecodeError", "Message", "enum_values", "message_class", "service_named"]

Message = Any
"""A message of the pool: its attributes are made from the descriptors, where no type checker sees them."""


def message_class(full_name: str) -> Message:
    """The class of a message, such as "inference.ModelInferRequest"."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def enum_values(full_name: str) -> dict[str, int]:
    """The numbers of an enum's names."""
    return {value.name: value.number for value in POOL.FindEnumTypeByName(full_name).values}


def service_named(full_name: str) -> ServiceDescriptor:
    """The methods of a service and their messages."""
    return POOL.FindServiceByName(full_name)


def _files() -> list[Any]:
    generated = resources.files(__package__).joinpath("protos.binpb").read_bytes()
    return list(descriptor_pb2.FileDescriptorSet.FromString(generated).file)


def _pool(files: list[Any]) -> DescriptorPool:
    pool = DescriptorPool()
    for borrowed in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(borrowed.DESCRIPTOR.serialized_pb)
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_FILES = _files()
POOL = _pool(_FILES)
SERVICES = tuple(f"{file.package}.{service.name}" for file in _FILES for service in file.service)
"""The full names of all services."""
