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
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.batching import Outputs, can_batch
from fairlead.serving.lane import LoggedVersion, Waiting

__all__ = ["Kept", "PredictionLog", "Sink"]

_SAMPLED_OF = float(1 << 32)
_SHADOW = Arm.SHADOW.value
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where records go; `monitoring.spool.SpoolWriter` is the one."""

    def write(self, version: VersionRecord, batch: bytes) -> None:
        """See `SpoolWriter.write`."""


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
        keeps_inputs: whether inputs that are numbers are kept too; texts never are.
    """

    def __init__(self, sink: Sink, *, sample: float = 1.0, keeps_inputs: bool = False) -> None:
        self._sink = sink
        self._sample = sample
        self._keeps_inputs = keeps_inputs
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
        )
        has_text = any(spec.dtype == "string" for spec in manifest.signature.inputs)
        return LoggedVersion(
            record=record,
            extractor=extractor,
            is_batched=is_batched,
            keeps_inputs=self._keeps_inputs and is_batched and not has_text,
        )

    def keep(self, version: LoggedVersion, batch: Sequence[Waiting], answers: Sequence[Outputs | Exception]) -> Kept:
        """What is to be kept of a batch; called in the thread that ran it. A fault costs the rows, not the answers."""
        sampled = [self._is_sampled(request) for request in batch]
        try:
            return self._keep(version, batch, answers, sampled)
        except Exception:  # noqa: BLE001 - whatever a model answers, its callers wait for it
            _log.exception("%s: what was answered cannot be logged", batch[0].handle.manifest.id)
            return Kept([False] * len(batch), None, {}, {})

    def _keep(
        self,
        version: LoggedVersion,
        batch: Sequence[Waiting],
        answers: Sequence[Outputs | Exception],
        sampled: list[bool],
    ) -> Kept:
        chosen = [
            (request.inputs, answer)
            for request, answer, is_sampled in zip(batch, answers, sampled, strict=True)
            if is_sampled and not isinstance(answer, Exception)
        ]
        if not chosen:
            return Kept(sampled, None, {}, {})
        inputs = _joined([given for given, _ in chosen], is_batched=version.is_batched)
        outputs = _joined([answer for _, answer in chosen], is_batched=version.is_batched)
        features = None if version.extractor is None else version.extractor.measure(inputs)
        return Kept(sampled, features, outputs, inputs if version.keeps_inputs else {})

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
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: what was answered cannot be logged", batch[0].handle.manifest.id)

    def _is_sampled(self, request: Waiting) -> bool:
        if self._sample >= 1.0 or request.handle.is_tried:
            return True
        return int(request.id[-8:], 16) / _SAMPLED_OF < self._sample


def _joined(tensors: list[Tensors], *, is_batched: bool) -> dict[str, Array]:
    """Their rows in order; of requests that are no batches, each is a row."""
    if not is_batched:
        return {name: np.stack([tensor[name] for tensor in tensors]) for name in tensors[0]}
    if len(tensors) == 1:
        return dict(tensors[0])
    return {name: np.concatenate([tensor[name] for tensor in tensors]) for name in tensors[0]}


def _code(answer: Outputs | Exception) -> str:
    if not isinstance(answer, Exception):
        return ""
    return answer.code.value if isinstance(answer, FairleadError) else Code.INTERNAL.value
