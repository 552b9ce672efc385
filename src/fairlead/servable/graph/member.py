"""A version that a graph asks: in threads of its own, so that one that hangs takes nobody's along."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors, TensorSpec

__all__ = ["Answers", "Call", "Member", "Outcome", "Said"]

_log = logging.getLogger(__name__)


class Outcome(enum.StrEnum):
    """What became of a member in a run, or of a row that it was asked."""

    SPOKE = "spoke"
    LATE = "late"  # it had not answered by its deadline
    SKIPPED = "skipped"  # not asked: it was still at work on what it was late with
    FAILED = "failed"  # it raised
    INVALID = "invalid"  # another shape or type than its signature says, a NaN or an infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a member said in a run.

    Attributes:
        member: who.
        outputs: by name, a row for each row asked; empty when it said nothing that fits.
        spoke: for each row asked, whether it spoke.
        outcome: of the rows for which it did not speak; SPOKE when there are none.
        error: why, where it failed: the first of what it raised.
    """

    member: ServableId
    outputs: Tensors
    spoke: NDArray[np.bool_]
    outcome: Outcome
    error: FairleadError | None = None

    @staticmethod
    def nothing(member: ServableId, rows: int, outcome: Outcome, error: FairleadError | None = None) -> Said:
        """What one said that said nothing."""
        return Said(member=member, outputs={}, spoke=np.zeros(rows, np.bool_), outcome=outcome, error=error)


class Call:
    """One question to a member.

    Args:
        place: of the member among those that are asked.
        inputs: what it is asked.
        answers: where what it says goes.
    """

    __slots__ = ("answers", "inputs", "is_done", "is_late", "place")

    def __init__(self, place: int, inputs: Tensors, answers: Answers) -> None:
        self.place = place
        self.inputs = inputs
        self.answers = answers
        self.is_late = self.is_done = False


Answers = SimpleQueue[tuple[int, Said]]


class Member:
    """A version with threads of its own, as many as there are runs of the graph at once; they are made when needed.

    After a deadline that it missed it is asked nothing until it is back, so it never holds more threads than there were
    runs when it got stuck.

    Args:
        id_: who.
        outputs: what it gives.
        servable: answers.
        deadline_s: how long a run waits for it.
    """

    def __init__(self, id_: ServableId, outputs: Sequence[TensorSpec], servable: Servable, deadline_s: float) -> None:
        self.id = id_
        self._outputs = tuple(outputs)
        self.deadline_s = deadline_s
        self._servable = servable
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Call | None]] = []
        self._overdue = 0
        self._is_closed = False
        self._is_broken = False

    def begin(self, place: int, inputs: Tensors, answers: Answers) -> Call | None:
        """Ask it, and return at once; None when it is not asked because it is stuck."""
        with self._lock:
            if self._overdue or self._is_closed:
                return None
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=f"member {self.id}", daemon=True).start()
        call = Call(place, inputs, answers)
        inbox.put(call)
        return call

    def give_up(self, call: Call) -> None:
        """Note that nobody waits for an answer any more."""
        with self._lock:
            if not call.is_done:
                call.is_late = True
                self._overdue += 1

    def close(self) -> None:
        """Let the threads go; one that is stuck goes when it is back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _work(self, inbox: SimpleQueue[Call | None]) -> None:
        while (call := inbox.get()) is not None:
            said = self._say(call.inputs)
            with self._lock:
                call.is_done = True
                self._overdue -= call.is_late
                is_over = self._is_closed
                if not is_over:
                    self._idle.append(inbox)
            call.answers.put((call.place, said))
            del call, said  # what was asked is not kept until the next question
            if is_over:
                return

    def _say(self, inputs: Tensors) -> Said:
        """What it says, and that alone: a thread that ended with an error would be waited for for ever."""
        rows = len(next(iter(inputs.values())))
        try:
            return self._speak(inputs, rows)
        except BaseException as error:  # noqa: BLE001 - what a broken model gives need not even be arrays
            self._note_break(error)
            return Said.nothing(self.id, rows, Outcome.INVALID)

    def _speak(self, inputs: Tensors, rows: int) -> Said:
        try:
            answer = self._servable.predict(inputs)
        except FairleadError as error:
            return self._speak_apart(inputs, rows, error)
        except BaseException as error:  # noqa: BLE001 - whatever a model raises, it is this one that did not speak
            self._note_break(error)
            return self._speak_apart(inputs, rows, FairleadError(Code.INTERNAL, "the server's log says more"))
        if not self._fits(answer, rows):
            return Said.nothing(self.id, rows, Outcome.INVALID)
        self._is_broken = False
        spoke = _finite_rows(answer, rows)
        outcome = Outcome.SPOKE if spoke.all() else Outcome.INVALID
        return Said(member=self.id, outputs=answer, spoke=spoke, outcome=outcome)

    def _note_break(self, error: BaseException) -> None:
        """Log what nobody is told; once until it answers again, since all runs of a broken model break."""
        if not self._is_broken:
            self._is_broken = True
            _log.error("%s broke as a graph's member", self.id, exc_info=error)

    def _speak_apart(self, inputs: Tensors, rows: int, error: FairleadError) -> Said:
        """What is left of rows that failed together: of several callers' rows, one that is refused takes none along."""
        if rows == 1:
            return Said.nothing(self.id, rows, Outcome.FAILED, error)
        middle = rows // 2
        first, second = (
            self._speak({name: array[start:stop] for name, array in inputs.items()}, stop - start)
            for start, stop in ((0, middle), (middle, rows))
        )
        spoke = np.concatenate([first.spoke, second.spoke])
        like = first.outputs or second.outputs
        if not spoke.any() or any(array.shape[1:] != like[name].shape[1:] for name, array in second.outputs.items()):
            return Said.nothing(self.id, rows, Outcome.FAILED, error)
        outputs = {
            name: np.concatenate([half.outputs.get(name, _blank(array, size)) for half, size in
                                  ((first, middle), (second, rows - middle))])
            for name, array in like.items()
        }  # fmt: skip
        return Said(member=self.id, outputs=outputs, spoke=spoke, outcome=Outcome.FAILED, error=error)

    def _fits(self, answer: Tensors, rows: int) -> bool:
        return all(
            spec.name in answer
            and answer[spec.name].dtype == spec.numpy_dtype
            and answer[spec.name].shape[:1] == (rows,)
            and spec.admits(answer[spec.name].shape)
            for spec in self._outputs
        )


def _blank(like: Array, rows: int) -> Array:
    return np.full((rows, *like.shape[1:]), "" if like.dtype.kind == "O" else 0, like.dtype)


def _finite_rows(answer: Tensors, rows: int) -> NDArray[np.bool_]:
    """Of each row, whether all its numbers are."""
    finite = np.ones(rows, np.bool_)
    for array in answer.values():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            finite &= np.isfinite(array).reshape(rows, -1).all(axis=1)
    return finite
