"""grpcio's own client with the messages of the private pool."""

from collections.abc import Iterable, Iterator
from typing import Any, Self

import grpc
from tests.transport.grpc.live import TIMEOUT_S

from fairlead.transport.grpc.messages import message_class, service_named

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"
INFERENCE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"


class Channel:
    """Calls methods by their names."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def ask(self, service: str, method: str, request: Any = None, /, metadata: Any = (), **fields: Any) -> Any:
        """The answer to one message, which may be given by its fields.

        Raises:
            grpc.RpcError: when it is an error.
        """
        described = service_named(service).methods_by_name[method]
        if request is None:
            request = message_class(described.input_type.full_name)(**fields)
        call = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(described.output_type.full_name).FromString,
        )
        return call(request, timeout=TIMEOUT_S, metadata=tuple(metadata))

    def stream(self, service: str, method: str, requests: Iterable[Any]) -> Iterator[Any]:
        """The answers to several messages."""
        described = service_named(service).methods_by_name[method]
        call = self._channel.stream_stream(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class(described.output_type.full_name).FromString,
        )
        return iter(call(iter(requests), timeout=TIMEOUT_S))

    def refusal(self, service: str, method: str, request: Any = None, /, **fields: Any) -> tuple[str, str]:
        """The code and the sentence of a call that must fail."""
        try:
            answer = self.ask(service, method, request, **fields)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        raise AssertionError(answer)
