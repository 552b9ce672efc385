"""Writes down what was answered, a batch at a time and before anybody has the answer."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.prediction import Arm
from fairlead.monitoring.spool_record import Answered, VersionRecord, encode_batch
from fairlead.servable.features.extractor import FeatureExtractor
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array
from fairlead.serving.allowance import Allowance
from fairlead.serving.batching import Joined, Outputs, can_batch
from fairlead.serving.lane import LoggedVersion, Waiting
from fairlead.serving.payload_log import Payload, PayloadLog
from fairlead.serving.redacted import redacted

__all__ = ["Kept", "PredictionLog", "Seen", "Sink"]

_SAMPLED_OF = float(1 << 32)
_SHADOW = Arm.SHADOW.value
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where records go; `monitoring.spool.SpoolWriter` is the one."""

    def write(self, version: VersionRecord, batch: bytes) -> None:
        """See `SpoolWriter.write`."""


class Seen:
    """What is told of a batch before it runs.

    Args:
        sampled: of each request, whether its rows are kept.
        features: float32 [rows, features] of the rows that were sampled; None where they have none or are not measured.
    """

    __slots__ = ("features", "sampled")  # a plain class: each batch makes one

    def __init__(self, sampled: list[bool], features: Array | None) -> None:
        self.sampled = sampled
        self.features = features


class Kept:
    """What is kept of a batch beside its counts.

    Args:
        sampled: of each request, whether its rows are kept.
        features: float32 [rows, features] of the rows that were sampled and answered.
        outputs: by name, of the same rows.
        inputs: likewise; empty unless they are kept.
    """

    __slots__ = ("features", "inputs", "outputs", "sampled")  # a plain class: each batch makes one

    def __init__(
        self, sampled: list[bool], features: Array | None, outputs: dict[str, Array], inputs: dict[str, Array]
    ) -> None:
        self.sampled = sampled
        self.features = features
        self.outputs = outputs
        self.inputs = inputs


class PredictionLog:
    """Makes records of batches.

    Args:
        sink: where they go.
        sample: the share of requests whose rows are kept; counts are exact in any case, and while a candidate is tried
            all rows are kept.
        measured_per_s: on how many rows a second of each version drift is measured; the others of a busy version are
            kept without.
        keeps_inputs: whether inputs that are numbers are kept too; texts never are.
        payloads: takes all that was asked and answered, for people to read; None for nobody.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        sample: float = 1.0,
        measured_per_s: int = 1000,
        keeps_inputs: bool = False,
        payloads: PayloadLog | None = None,
    ) -> None:
        self._sink = sink
        self._sample = sample
        self._measured_per_s = measured_per_s
        self._keeps_inputs = keeps_inputs
        self._payloads = payloads
        self._numbers = itertools.count(1)

    def open(self, manifest: Manifest) -> LoggedVersion:
        """How the log knows a version from now on."""
        is_batched = can_batch(manifest.signature)
        extractor = FeatureExtractor.of(manifest.signature) if is_batched else None
        record = VersionRecord(
            number=next(self._numbers) % (1 << 16),
            model=manifest.model,
            version=manifest.version,
            labels=manifest.labels,
            features=extractor.names if extractor else (),
            categories=extractor.categories if extractor else {},
        )
        has_text = any(spec.dtype == "string" for spec in manifest.signature.inputs)
        return LoggedVersion(
            record=record,
            extractor=extractor,
            allowance=Allowance(self._measured_per_s),
            is_batched=is_batched,
            keeps_inputs=self._keeps_inputs and is_batched and not has_text,
        )

    def look(self, version: LoggedVersion, batch: Sequence[Waiting], joined: Joined) -> Seen:
        """Choose what is kept of a batch and measure it; called in the thread that is about to run it.

        Its rows have just been brought together then: once the model has run, they are out of the processor's caches,
        and to measure them takes twice as long. A fault costs the rows, not the answers.
        """
        try:
            sampled = [self._is_sampled(request) for request in batch]
            if version.extractor is None or True not in sampled:
                return Seen(sampled, None)
            if not version.allowance.take(
                sum([request.rows for request, keeps in zip(batch, sampled, strict=True) if keeps])
            ):
                return Seen(sampled, None)
            if False in sampled:
                joined = Joined([request.inputs for request, keeps in zip(batch, sampled, strict=True) if keeps])
            return Seen(sampled, version.extractor.measure(joined.inputs))
        except Exception:  # noqa: BLE001 - whatever the callers sent, they wait for their answers
            _log.exception("%s: what was asked cannot be logged", batch[0].handle.manifest.id)
            return Seen([False] * len(batch), None)

    def keep(
        self, version: LoggedVersion, batch: Sequence[Waiting], answers: Sequence[Outputs | Exception], seen: Seen
    ) -> Kept:
        """What is kept of a batch; called in the thread that ran it. A fault costs the rows, not the answers."""
        try:
            return _kept(version, batch, answers, seen)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: what was answered cannot be logged", batch[0].handle.manifest.id)
            return Kept([False] * len(batch), None, {}, {})

    def write(
        self,
        version: LoggedVersion,
        batch: Sequence[Waiting],
        answers: Sequence[Outputs | Exception],
        kept: Kept,
        compute_s: float,
    ) -> None:
        """Write the batch down. Called in the event loop; returns when the kernel has it.

        Of a copy, the latency is that of the model alone: it waits behind the request that it is a copy of.
        """
        now, compute_us = time.monotonic(), int(compute_s * 1e6)
        requests = [
            Answered(
                request.id,
                request.handle.arm,
                request.rows if version.is_batched else 1,
                compute_us if request.handle.arm == _SHADOW else int((now - request.since) * 1e6),
                _code(answer),
                is_sampled=is_sampled,
            )
            for request, answer, is_sampled in zip(batch, answers, kept.sampled, strict=True)
        ]
        record = encode_batch(
            version.record.number, requests, features=kept.features, outputs=kept.outputs, inputs=kept.inputs
        )
        try:
            self._sink.write(version.record, record)
            if self._payloads is not None:
                _put_payloads(self._payloads, batch, answers, kept.sampled)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: what was answered cannot be logged", batch[0].handle.manifest.id)

    def _is_sampled(self, request: Waiting) -> bool:
        if self._sample >= 1.0 or request.handle.is_tried:
            return True
        return int(request.id[-8:], 16) / _SAMPLED_OF < self._sample


def _put_payloads(
    payloads: PayloadLog, batch: Sequence[Waiting], answers: Sequence[Outputs | Exception], sampled: list[bool]
) -> None:
    at = time.time()
    for request, answer, is_sampled in zip(batch, answers, sampled, strict=True):
        if is_sampled and not isinstance(answer, Exception):
            trace_id = request.step.link[0] if request.step is not None else ""
            id_, arm = request.handle.manifest.id, request.handle.arm
            payloads.put(Payload(at, request.id, trace_id, id_, arm, request.inputs, answer))


def _kept(version: LoggedVersion, batch: Sequence[Waiting], answers: Sequence[Outputs | Exception], seen: Seen) -> Kept:
    chosen = [
        (request, None if isinstance(answer, Exception) else answer)
        for request, answer, is_sampled in zip(batch, answers, seen.sampled, strict=True)
        if is_sampled
    ]
    answered = [(request, answer) for request, answer in chosen if answer is not None]
    if not answered:
        return Kept(seen.sampled, None, {}, {})
    features = seen.features
    if features is not None and len(answered) < len(chosen):
        is_answered = [answer is not None for _, answer in chosen]
        features = features[np.repeat(is_answered, [request.rows for request, _ in chosen])]
    inputs = Joined([request.inputs for request, _ in answered]).inputs if version.keeps_inputs else {}
    outputs = _rows_of([answer for _, answer in answered], is_batched=version.is_batched)
    return Kept(seen.sampled, features, {name: redacted(values) for name, values in outputs.items()}, dict(inputs))


def _rows_of(answers: list[Outputs], *, is_batched: bool) -> Outputs:
    """Their rows in order; of requests that are no batches, each is a row."""
    if not is_batched:
        return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    if len(answers) == 1:
        return answers[0]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _code(answer: Outputs | Exception) -> str:
    if not isinstance(answer, Exception):
        return ""
    return answer.code.value if isinstance(answer, FairleadError) else Code.INTERNAL.value
