"""gRPC's reflection service, which tools ask what is served."""

from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from tests.transport.grpc.channel import Channel

from fairlead.transport.grpc.messages import message_class

VERSIONS = ["grpc.reflection.v1", "grpc.reflection.v1alpha"]


@pytest.fixture(params=VERSIONS)
def package(request: pytest.FixtureRequest) -> str:
    """Both names of the service."""
    return str(request.param)


def ask(channel: Channel, package: str, **fields: Any) -> Any:
    """The answer to one question."""
    request = message_class(f"{package}.ServerReflectionRequest")(host="h", **fields)
    (answer,) = channel.stream(f"{package}.ServerReflection", "ServerReflectionInfo", [request])
    assert (answer.valid_host, answer.original_request) == ("h", request)
    return answer


def files(answer: Any) -> dict[str, Any]:
    """The files in an answer by name."""
    found = map(descriptor_pb2.FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
    return {file.name: file for file in found}


def test_all_services_are_listed(channel: Channel, package: str) -> None:
    """Their full names, reflection's own included."""
    listed = [service.name for service in ask(channel, package, list_services="").list_services_response.service]

    assert listed == [
        "grpc.health.v1.Health",
        "inference.GRPCInferenceService",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
    ]


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("inference.GRPCInferenceService", "inference.proto"),
        ("inference.GRPCInferenceService.ModelInfer", "inference.proto"),
        ("tensorflow.serving.PredictRequest", "tensorflow_serving.proto"),
        ("tensorflow.DataType", "tensorflow.proto"),
        ("google.protobuf.Any", "google/protobuf/any.proto"),
    ],
)
def test_a_symbol_is_found_with_all_that_it_needs(channel: Channel, package: str, symbol: str, file: str) -> None:
    """A service, method, message or enum leads to its file and that file's imports: enough to build a client from."""
    found = files(ask(channel, package, file_containing_symbol=symbol))
    pool = DescriptorPool()
    for name in reversed(found):
        pool.Add(found[name])

    assert next(iter(found)) == file
    assert pool.FindFileByName(file).name == file


def test_a_file_is_found_by_name(channel: Channel, package: str) -> None:
    """Each file once, though several others need it."""
    found = ask(channel, package, file_by_filename="tensorflow_serving.proto").file_descriptor_response

    assert len(found.file_descriptor_proto) == len(
        files(ask(channel, package, file_by_filename="tensorflow_serving.proto"))
    )
    assert len(found.file_descriptor_proto) == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"file_by_filename": "nope.proto"},
        {"file_containing_symbol": "nope"},
        {"file_containing_symbol": "inference.GRPCInferenceService.Nope"},
        {"file_containing_extension": {"containing_type": "inference.ModelInferRequest", "extension_number": 1}},
        {"all_extension_numbers_of_type": "nope"},
        {},
    ],
)
def test_what_is_not_there_is_an_answer_too(channel: Channel, package: str, fields: dict[str, Any]) -> None:
    """Unknown names get NOT_FOUND in the answer, and the stream goes on."""
    assert ask(channel, package, **fields).error_response.error_code == 5


def test_messages_have_no_extensions(channel: Channel, package: str) -> None:
    """A known message has none."""
    answer = ask(channel, package, all_extension_numbers_of_type="inference.ModelInferRequest")

    assert answer.all_extension_numbers_response.base_type_name == "inference.ModelInferRequest"
    assert not answer.all_extension_numbers_response.extension_number
