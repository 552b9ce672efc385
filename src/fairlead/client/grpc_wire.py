"""Asks over gRPC, for threads that wait and for an event loop."""

from __future__ import annotations

from typing import Any

from fairlead.client.address import Address
from fairlead.client.call_error import closed, left, told
from fairlead.client.inference_messages import GrpcCall, decode, encode, refusal
from fairlead.client.question import Question
from fairlead.errors import Code, FairleadError

try:
    import grpc
except ModuleNotFoundError as missing:
    raise FairleadError(
        Code.FAILED_PRECONDITION, "grpcio is not installed", hint="pip install 'fairlead[client]', or http://HOST:8501"
    ) from missing

__all__ = ["AsyncGrpcWire", "GrpcWire"]

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # what is asked again, and when, is decided in one place
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),  # else another client's failures would be this one's
)


class GrpcWire:
    """Threads may share it.

    Args:
        address: whom to ask.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._channel = _channel(grpc, address, _credentials(address))
        self._is_closed = False

    def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second.

        Raises:
            FairleadError: when there is none, or it is an error.
        """
        where, call = str(self._address), encode(question)
        if self._is_closed:
            raise closed()
        with told(where):
            timeout_s = left(deadline)
        try:
            answer, made = _method(self._channel, call).with_call(
                call.message, timeout=timeout_s, metadata=_metadata(self._address, call)
            )
        except grpc.RpcError as error:
            raise _refused(error, where) from error
        return decode(question, answer, made.initial_metadata(), where)

    def close(self) -> None:
        """End the connection, and the calls that are being made."""
        self._is_closed = True
        self._channel.close()


class AsyncGrpcWire:
    """Tasks of one event loop may share it, which need not run yet when it is made. As `GrpcWire`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._credentials = _credentials(address)
        self._channel: Any = None
        self._is_closed = False

    async def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second.

        Raises:
            FairleadError: when there is none, or it is an error.
        """
        where, call = str(self._address), encode(question)
        if self._is_closed:
            raise closed()
        with told(where):
            timeout_s = left(deadline)
        if self._channel is None:
            self._channel = _channel(grpc.aio, self._address, self._credentials)
        made = _method(self._channel, call)(call.message, timeout=timeout_s, metadata=_metadata(self._address, call))
        try:
            answer = await made
        except grpc.RpcError as error:
            raise _refused(error, where) from error
        return decode(question, answer, await made.initial_metadata(), where)

    async def close(self) -> None:
        """End the connection, and the calls that are being made."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()


def _credentials(address: Address) -> Any:
    """How the channel is encrypted; None for not at all."""
    return grpc.ssl_channel_credentials(*address.pem()) if address.is_encrypted else None


def _channel(library: Any, address: Address, credentials: Any) -> Any:
    """A channel of grpc, or of its half for event loops."""
    if credentials is None:
        return library.insecure_channel(address.authority, _OPTIONS)
    return library.secure_channel(address.authority, credentials, _OPTIONS)


def _method(channel: Any, call: GrpcCall) -> Any:
    return channel.unary_unary(
        call.path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=call.answer.FromString,
    )


def _metadata(address: Address, call: GrpcCall) -> tuple[tuple[str, str], ...]:
    return (*address.credentials(), *call.metadata)


def _refused(error: Any, where: str) -> FairleadError:
    return refusal(error.code().name, error.details() or "", error.trailing_metadata() or (), where)
