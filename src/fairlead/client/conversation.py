"""What is asked for each call of a client, step by step, whoever waits for the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

from fairlead.client.inputs import Inputs, tensors_of
from fairlead.client.question import Describe, Infer, ModelMetadata, Prediction, Question
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import MAX_VERSION
from fairlead.serving.target import Target

__all__ = ["NOT_THERE", "Conversation", "Conversations", "check_limits", "deadline_in", "target_of"]

NOT_THERE = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
"""What a server that is not ready may answer, if it does."""

T = TypeVar("T")
Conversation = Generator[Question, Any, T]
"""Gives questions, is sent their answers or thrown their errors, and returns what the call returns."""


class Conversations:
    """Those of one client, which remembers what models take. Threads may share it."""

    def __init__(self) -> None:
        self._known: dict[Target, ModelMetadata] = {}

    def predict(self, target: Target, inputs: Inputs, *, request_id: str, sticky_key: str) -> Conversation[Prediction]:
        """Predict; what a model takes is asked before its first prediction, and again when it seems to have changed."""
        known = self._known.get(target)
        metadata = known or (yield from self.metadata(target))
        try:
            return (yield from _infer(target, inputs, metadata, request_id, sticky_key))
        except FairleadError as error:
            if known is None or error.code is not Code.INVALID_ARGUMENT:
                raise
            metadata = yield from self.metadata(target)
            if metadata.inputs == known.inputs:
                raise
        return (yield from _infer(target, inputs, metadata, request_id, sticky_key))

    def metadata(self, target: Target) -> Conversation[ModelMetadata]:
        """What a model takes and gives."""
        metadata: ModelMetadata = yield Describe(target=target)
        self._known[target] = metadata
        return metadata


def _infer(
    target: Target, inputs: Inputs, metadata: ModelMetadata, request_id: str, sticky_key: str
) -> Conversation[Prediction]:
    tensors = tensors_of(inputs, metadata)
    prediction: Prediction = yield Infer(
        target=target, tensors=tensors, classes=metadata.classes, request_id=request_id, sticky_key=sticky_key
    )
    return prediction


def check_limits(timeout_s: float, retries: int) -> None:
    """Raise INVALID_ARGUMENT for a time that is none, or a number of retries below 0."""
    deadline_in(timeout_s)
    if retries < 0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{retries} is no number of retries", hint="it is 0 or more")


def deadline_in(seconds: float) -> float:
    """The monotonic second so many from now.

    Raises:
        FairleadError: INVALID_ARGUMENT for what is no time to wait.
    """
    if not 0 < seconds < math.inf:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{seconds!r} is no time to wait", hint="it is seconds, above 0")
    return time.monotonic() + seconds


def target_of(model: str, version: int | None, label: str | None) -> Target:
    """Whom a call is for.

    Raises:
        FairleadError: INVALID_ARGUMENT for both a version and a label, and for what is no version.
    """
    if version is not None and label is not None:
        raise FairleadError(Code.INVALID_ARGUMENT, "version and label are both given", hint="leave one of them out")
    if version is not None and (isinstance(version, bool) or not 0 < version <= MAX_VERSION):
        raise FairleadError(Code.INVALID_ARGUMENT, f"{version!r} is not a version", hint="versions count from 1 on")
    return Target(model=model, version=version, label=label)
