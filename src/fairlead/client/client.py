"""A client for programs whose threads wait for answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from fairlead.client.address import Address, Credential, read_address
from fairlead.client.conversation import NOT_THERE, Conversation, Conversations, check_limits, deadline_in, target_of
from fairlead.client.http_wire import HttpWire
from fairlead.client.inputs import Inputs
from fairlead.client.question import Give, Index, IsReady, ModelMetadata, ModelVersion, Prediction, Question
from fairlead.client.retrying import Attempts, Budget
from fairlead.errors import FairleadError

__all__ = ["Client"]

T = TypeVar("T")


class Wire(Protocol):
    """A way to a server."""

    def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second."""

    def close(self) -> None:
        """End all connections."""


class Client:
    """Asks a server over REST or gRPC, and asks again where that is safe. Threads may share it. A context, too.

    Args:
        url: `http://HOST:8501` or `https://` for REST, `grpc://HOST:8500` or `grpcs://` for gRPC, which needs
            `pip install 'fairlead[client]'`.
        api_key: a key that the server knows.
        token: a JSON Web Token, or what gives one that is still good.
        timeout_s: how long a call may take in all, its retries among it, unless it says so itself.
        retries: how often a call may be made again. Only what is safe is: a refused or broken connection, and a server
            that says that it cannot just now.
        ca_file: whom to trust, in PEM; by default those whom the system trusts.
        certificate_file: what to show to a server that asks for a certificate, in PEM.
        key_file: its private key, if it is in a file of its own.

    Raises:
        FairleadError: INVALID_ARGUMENT for what makes no client.
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

    def predict(
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
        """What the model answers to `inputs`.

        Args:
            model: its name.
            inputs: an array or nested lists with a row on the first axis, or texts, for a model of one input; several
                by name; or rows of a table, each a mapping of columns to values, None for a missing one. Numbers are
                converted to the dtypes that the model states, where nothing is lost but precision.
            version: the only one that may answer.
            label: the same by its label.
            request_id: echoed in the answer.
            sticky_key: calls of one key are answered by one version while another is tried.
            deadline_s: how long it may take in all; by default `timeout_s`.

        Raises:
            FairleadError: with the server's code, sentence and hint; INVALID_ARGUMENT for inputs that the model does
                not take; UNAVAILABLE, RESOURCE_EXHAUSTED and DEADLINE_EXCEEDED when there was no answer in time.
        """
        return self._hold(
            self._conversations.predict(
                target_of(model, version, label), inputs, request_id=request_id or "", sticky_key=sticky_key or ""
            ),
            deadline_s,
        )

    def feedback(
        self, labels: Mapping[str, str | int | bool], *, model: str | None = None, deadline_s: float | None = None
    ) -> dict[str, str]:
        """Say what was true of earlier predictions; over REST alone. To say it again is harmless.

        Args:
            labels: by the ids of the predictions.
            model: the only one whose predictions are meant.
            deadline_s: as of `predict`.

        Returns:
            What became of each: joined, waiting, repeated, corrected or unknown.

        Raises:
            FairleadError: as of `predict`; then none was taken.
        """
        taken: dict[str, str] = self._ask(Give(labels=labels, model=model), self._deadline(deadline_s))
        return taken

    def models(self, *, deadline_s: float | None = None) -> tuple[ModelVersion, ...]:
        """Every version that the server knows."""
        versions: tuple[ModelVersion, ...] = self._ask(Index(), self._deadline(deadline_s))
        return versions

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        deadline_s: float | None = None,
    ) -> ModelMetadata:
        """What a model takes and gives."""
        return self._hold(self._conversations.metadata(target_of(model, version, label)), deadline_s)

    def is_ready(
        self,
        model: str | None = None,
        *,
        version: int | None = None,
        label: str | None = None,
        deadline_s: float | None = None,
    ) -> bool:
        """Whether the server answers for all its models, or for one; asked once.

        Raises:
            FairleadError: NOT_FOUND for a model that the server does not know.
        """
        target = None if model is None else target_of(model, version, label)
        try:
            is_ready: bool = self._wire.ask(IsReady(target=target), self._deadline(deadline_s))
        except FairleadError as error:
            if error.code in NOT_THERE:
                return False
            raise
        return is_ready

    def close(self) -> None:
        """End all connections. Calls that are being made end as they may."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._address)!r})"

    def _hold(self, conversation: Conversation[T], deadline_s: float | None) -> T:
        """Answer the questions of `conversation`."""
        deadline = self._deadline(deadline_s)
        try:
            question = next(conversation)
            while True:
                try:
                    answer = self._ask(question, deadline)
                except FairleadError as error:
                    question = conversation.throw(error)
                else:
                    question = conversation.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _deadline(self, seconds: float | None) -> float:
        return deadline_in(self._timeout_s if seconds is None else seconds)

    def _ask(self, question: Question, deadline: float) -> Any:
        """Ask, and ask again."""
        attempts = Attempts(self._retries, deadline, self._budget)
        while True:
            try:
                answer = self._wire.ask(question, deadline)
            except FairleadError as error:
                time.sleep(attempts.pause(error))
            else:
                attempts.succeeded()
                return answer


def _wire(address: Address) -> Wire:
    if address.is_grpc:
        from fairlead.client.grpc_wire import GrpcWire  # noqa: PLC0415 - grpcio is an extra

        return GrpcWire(address)
    return HttpWire(address)
