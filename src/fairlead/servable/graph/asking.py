"""Members asked at the same time, each until its deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from fairlead.errors import Code, FairleadError
from fairlead.servable.graph.member import Answers, Call, Member, Outcome, Said
from fairlead.servable.signature import Tensors

__all__ = ["ask"]


def ask(members: Sequence[Member], inputs: Tensors, patience_s: float = 0.0) -> list[Said]:
    """What each of the members says, in their order. Returns when all have spoken or are late.

    Args:
        members: who is asked.
        inputs: what each is asked.
        patience_s: the least that each is waited for, whatever its deadline.
    """
    rows = len(next(iter(inputs.values())))
    answers: Answers = SimpleQueue()
    began = time.monotonic()
    said: dict[int, Said] = {}
    waiting: dict[int, tuple[float, Call]] = {}
    for place, member in enumerate(members):
        try:
            call = member.begin(place, inputs, answers)
        except RuntimeError as error:  # there can be no more threads
            failed = FairleadError(Code.RESOURCE_EXHAUSTED, f"{member.id} cannot be asked: {error}")
            said[place] = Said.nothing(member.id, rows, Outcome.FAILED, failed)
            continue
        if call is None:
            said[place] = Said.nothing(member.id, rows, Outcome.SKIPPED)
        else:
            waiting[place] = (began + max(member.deadline_s, patience_s), call)
    while waiting:
        due = min(at for at, _ in waiting.values())
        try:
            place, answer = answers.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            for place in [place for place, (at, _) in waiting.items() if at <= due]:
                members[place].give_up(waiting.pop(place)[1])
                said[place] = Said.nothing(members[place].id, rows, Outcome.LATE)
        else:
            if waiting.pop(place, None) is not None:  # else it was given up a moment ago
                said[place] = answer
    return [said[place] for place in range(len(members))]
