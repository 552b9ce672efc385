"""A client for programs that run in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from fairlead.client.address import Address, Credential, read_address
from fairlead.client.async_http_wire import AsyncHttpWire
from fairlead.client.conversation import NOT_THERE, Conversation, Conversations, check_limits, deadline_in, target_of
from fairlead.client.inputs import Inputs
from fairlead.client.question import Give, Index, IsReady, ModelMetadata, ModelVersion, Prediction, Question
from fairlead.client.retrying import Attempts, Budget
from fairlead.errors import FairleadError

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncWire(Protocol):
    """A way to a server."""

    async def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second."""

    async def close(self) -> None:
        """End all connections."""


class AsyncClient:
    """What `Client` is, with the same arguments, for the tasks of one event loop. An asynchronous context, too.

    A call that is cancelled ends its connection.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: Credential | None = None,
        timeout_s: float = 30.0,
        retries: int = 5,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
    ) -> None:
        self._address = read_address(
            url,
            api_key=api_key,
            token=token,
            ca_file=ca_file,
            certificate_file=certificate_file,
            key_file=key_file,
        )
        check_limits(timeout_s, retries)
        self._timeout_s = timeout_s
        self._retries = retries
        self._budget = Budget()
        self._conversations = Conversations()
        self._wire = _wire(self._address)

    async def predict(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        request_id: str | None = None,
        sticky_key: str | None = None,
        deadline_s: float | None = None,
    ) -> Prediction:
        """As `Client.predict`."""
        return await self._hold(
            self._conversations.predict(
                target_of(model, version, label), inputs, request_id=request_id or "", sticky_key=sticky_key or ""
            ),
            deadline_s,
        )

    async def feedback(
        self, labels: Mapping[str, str | int | bool], *, model: str | None = None, deadline_s: float | None = None
    ) -> dict[str, str]:
        """As `Client.feedback`."""
        taken: dict[str, str] = await self._ask(Give(labels=labels, model=model), self._deadline(deadline_s))
        return taken

    async def models(self, *, deadline_s: float | None = None) -> tuple[ModelVersion, ...]:
        """As `Client.models`."""
        versions: tuple[ModelVersion, ...] = await self._ask(Index(), self._deadline(deadline_s))
        return versions

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        deadline_s: float | None = None,
    ) -> ModelMetadata:
        """As `Client.metadata`."""
        return await self._hold(self._conversations.metadata(target_of(model, version, label)), deadline_s)

    async def is_ready(
        self,
        model: str | None = None,
        *,
        version: int | None = None,
        label: str | None = None,
        deadline_s: float | None = None,
    ) -> bool:
        """As `Client.is_ready`."""
        target = None if model is None else target_of(model, version, label)
        try:
            is_ready: bool = await self._wire.ask(IsReady(target=target), self._deadline(deadline_s))
        except FairleadError as error:
            if error.code in NOT_THERE:
                return False
            raise
        return is_ready

    async def close(self) -> None:
        """End all connections."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._address)!r})"

    async def _hold(self, conversation: Conversation[T], deadline_s: float | None) -> T:
        """Answer the questions of `conversation`."""
        deadline = self._deadline(deadline_s)
        try:
            question = next(conversation)
            while True:
                try:
                    answer = await self._ask(question, deadline)
                except FairleadError as error:
                    question = conversation.throw(error)
                else:
                    question = conversation.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _deadline(self, seconds: float | None) -> float:
        return deadline_in(self._timeout_s if seconds is None else seconds)

    async def _ask(self, question: Question, deadline: float) -> Any:
        """Ask, and ask again."""
        attempts = Attempts(self._retries, deadline, self._budget)
        while True:
            try:
                answer = await self._wire.ask(question, deadline)
            except FairleadError as error:
                await asyncio.sleep(attempts.pause(error))
            else:
                attempts.succeeded()
                return answer


def _wire(address: Address) -> AsyncWire:
    if address.is_grpc:
        from fairlead.client.grpc_wire import AsyncGrpcWire  # noqa: PLC0415 - grpcio is an extra

        return AsyncGrpcWire(address)
    return AsyncHttpWire(address)
