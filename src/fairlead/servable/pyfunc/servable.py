"""A model in a process of its own as a Servable: the process is started anew whenever it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.pyfunc.layout import Layout
from fairlead.servable.pyfunc.place import Place
from fairlead.servable.pyfunc.process import Conditions, ModelProcess
from fairlead.servable.servable import LoadedModel, NoAnswerError
from fairlead.servable.signature import DEFAULT_SIGNATURE, Array, Signature, Tensors, TensorSpec

__all__ = ["PyfuncLoader", "PyfuncServable", "checked", "missing_texts"]

_FIRST_DELAY_S: Final = 0.5
_LAST_DELAY_S: Final = 30.0
_STEADY_S: Final = 60.0
"""A process that was up so long has not failed because it is started too often."""

_log = logging.getLogger(__name__)


class PyfuncServable:
    """The model of a version, whose files stay where they are; one run at a time.

    A thread of its own starts the process and sees it end: the kernel ends a process with the thread that began it.

    Args:
        version: the directory of the version.
        conditions: under what its process runs.

    Raises:
        FairleadError: saying why it does not load, or is none.
    """

    def __init__(self, version: Path, conditions: Conditions) -> None:
        self.layout = Layout.read(version)
        self._conditions = conditions
        self._place = Place()
        self.layout.take_up(version, self._place.path)
        self._missing = missing_texts(self.layout.signature)
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._process: ModelProcess | None = None
        first: SimpleQueue[Exception | None] = SimpleQueue()
        threading.Thread(target=self._keep, args=(first,), name=f"keeper of {version.name}", daemon=True).start()
        error = first.get()
        if error is not None:
            raise error

    @property
    def peak_bytes(self) -> int:
        """Memory that its process has had at most, as of the last run."""
        return self._process.peak_bytes if self._process is not None else 0

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        if not self._turn.acquire(timeout=self._conditions.run_s):
            raise NoAnswerError(Code.DEADLINE_EXCEEDED, "runs of the model before this one took too long")
        try:
            process = self._process
            if process is None:
                raise NoAnswerError(
                    Code.UNAVAILABLE, "the model's process ended and is being started anew", hint="try again shortly"
                )
            answer = process.run(self.layout.form, inputs, self._missing)
        finally:
            self._turn.release()
        rows = len(next(iter(inputs.values())))
        return {
            spec.name: checked(spec, answer, rows)
            for spec in self.layout.signature.outputs
            if outputs is None or spec.name in outputs
        }

    def close(self) -> None:
        self._closing.set()
        if self._process is not None:
            self._process.close()

    def _keep(self, first: SimpleQueue[Exception | None]) -> None:
        """Have a process until it is closed; the first time, what comes of it is told."""
        delay_s, is_first = _FIRST_DELAY_S, True
        with closing(self._place):
            while not self._closing.is_set():
                began = time.monotonic()
                try:
                    process = self._process = ModelProcess(self._place.path, self._conditions)
                except Exception as error:  # noqa: BLE001 - of the system too, which may have no process to give
                    if is_first:
                        first.put(error)
                        return
                    reason = str(error)
                else:
                    if is_first:
                        for difference in process.differs:
                            _log.warning("a model asks for %s", difference)
                        first.put(None)
                    is_first = False
                    reason = self._see_out(process)
                    delay_s = _FIRST_DELAY_S if time.monotonic() - began > _STEADY_S else delay_s
                if not self._closing.wait(0):
                    _log.warning("a model's process ended, and is started anew in %g s: %s", delay_s, reason)
                self._closing.wait(delay_s)
                delay_s = min(2 * delay_s, _LAST_DELAY_S)

    def _see_out(self, process: ModelProcess) -> str:
        """Wait until the process is gone; why it went."""
        if self._closing.is_set():  # `close` may have come before there was anything to end
            process.close()
        reason = process.wait()
        self._process = None
        process.close()
        return reason


class PyfuncLoader:
    """Loads versions with a model of MLflow's.

    Args:
        conditions: under what their processes run.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def load(self, directory: Path) -> LoadedModel:
        servable = PyfuncServable(directory, self._conditions)
        return LoadedModel(
            signatures={DEFAULT_SIGNATURE: servable.layout.signature}, servables={DEFAULT_SIGNATURE: servable}
        )


def missing_texts(signature: Signature) -> tuple[str, ...]:
    """The columns of texts in which an empty one is missing."""
    return tuple(
        spec.name
        for spec in signature.inputs
        if spec.dtype == "string" and spec.column is not None and spec.column.may_be_missing
    )


def checked(spec: TensorSpec, answer: Tensors, rows: int) -> Array:
    """The output of a run, in its dtype.

    Raises:
        FairleadError: INTERNAL when the model did not give it, or gave another shape or type, or no finite numbers.
    """
    array = answer.get(spec.name)
    if array is None:
        raise FairleadError(Code.INTERNAL, f"the model's answer lacks {spec.name!r}: it has {sorted(answer)}")
    if (
        not spec.admits(array.shape)
        or (spec.shape[:1] == (-1,) and len(array) != rows)
        or not np.can_cast(array.dtype, spec.numpy_dtype, "safe")
        or (array.dtype.kind == "O") != (spec.dtype == "string")
    ):
        raise FairleadError(
            Code.INTERNAL,
            f"the model answered {spec.name!r} {array.dtype}{list(array.shape)} for {rows} rows, "
            f"and its signature says {spec.dtype}{list(spec.shape)}",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FairleadError(Code.INTERNAL, f"the model's {spec.name!r} holds numbers that are not finite")
    return array.astype(spec.numpy_dtype, copy=False)
