"""The incident itself: a bad version in a canary, which must be caught, and one that was promoted in a hurry."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fairlead.app.drill.report import Book, Line
from fairlead.app.drill.scene import Scene
from fairlead.app.drill.traffic import Answer, Traffic
from fairlead.controller.rollout_record import Rollout, Status
from fairlead.controller.rollouts import Rollouts
from fairlead.rollout.guards import INVALID, findings
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.verdict import Verdict
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore

__all__ = ["CANARY", "HURRY", "MOST_ROLLBACK_S", "Incident"]

CANARY = ("canary", "caught", "rolled back", "stable again")
HURRY = ("promoted by hand", "rolled back by hand")
MOST_ROLLBACK_S = 10.0
"""What a rollback may take until all answers come from the earlier version."""

_PLAN = Plan(mode=Mode.CANARY, weights=(0.1, 0.5), bake_s=10.0, min_requests=50, timeout_s=60.0)
_LOOK_EVERY_S = 0.1
_FIRST_ANSWER_S, _CAUGHT_S, _SETTLED_S = 20.0, 65.0, 20.0
_QUIET_S = 2.0
_LEAST_ANSWERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What an incident takes.

    Attributes:
        scene: where it happens.
        book: told of each step.
        store: of the scratch copy.
        rollouts: of that store; nobody else brings them forward.
        traffic: that asks the server over that store.
        good: the version that serves.
        bad: the version that must not.
    """

    scene: Scene
    book: Book
    store: WritableStore
    rollouts: Rollouts
    traffic: Traffic
    good: ServableId
    bad: ServableId

    def canary(self) -> None:
        """Try the bad version beside the good one, and bring the rollout forward until it is over.

        Raises:
            FairleadError: when a step failed so that there is no going on; the book has it.
        """
        canary, caught, rolled_back, stable_again = CANARY
        with self.book.step(canary) as line:
            began_s = time.monotonic()
            self.rollouts.start(self.bad, _PLAN, who="drill", why="do the guards catch it?", again=True)
            line.seconds = self.scene.wait(self._first_answer, _FIRST_ANSWER_S, f"an answer of {self.bad}") - began_s
            line.what = f"{self.bad} gets {_PLAN.weights[0]:.0%} of the requests; the first {line.seconds:.2f} s on"
        with self.book.step(caught) as line:
            looked_s, ended = self.scene.wait(self._look, _CAUGHT_S, f"the end of the rollout of {self.bad}")
            over_s = time.monotonic()
            line.seconds = looked_s - began_s
            _tell_end(line, ended)
        with self.book.step(rolled_back) as line:
            line.seconds = over_s - looked_s
            release = self.store.release(self.bad.model)
            line.held = release is not None and (release.stable, release.candidate) == (self.good.version, None)
            what = f"revision {release.revision} has {self.good.model}@{release.stable}" if release else "there is none"
            line.what = f"the release is changed in the look that caught it: {what} for everybody"
        with self.book.step(stable_again) as line:
            line.seconds = self._settle(self.good, over_s)
            line.what = f"its last answer came {line.seconds:.2f} s after the release; {self._harm(began_s)}"
            line.figures = self._figures(began_s)

    def hurry(self) -> None:
        """Promote the bad version without a canary, as somebody in a hurry would, and roll it back.

        Raises:
            FairleadError: when a step failed so that there is no going on; the book has it.
        """
        promoted, rolled_back = HURRY
        with self.book.step(promoted) as line:
            began_s = time.monotonic()
            self.store.promote(self.bad, why="a drill: in a hurry, without a canary")
            line.seconds = self._settle(self.bad, began_s)
            line.what = f"{self.bad} answers everybody {line.seconds:.2f} s after the promotion"
        with self.book.step(rolled_back) as line:
            undone_s = time.monotonic()
            self.store.rollback(self.bad.model, why="a drill: it is wrong")
            line.seconds = self._settle(self.good, undone_s)
            line.held = line.seconds <= MOST_ROLLBACK_S
            line.what = (
                f"{self.good} answers everybody {line.seconds:.2f} s after the rollback, {MOST_ROLLBACK_S:g} s being "
                f"accepted; {self._harm(began_s)}"
            )
            line.figures = self._figures(began_s)

    def _first_answer(self) -> float | None:
        return next((answer.at_s for answer in self.traffic.since(0.0) if answer.version == self.bad.version), None)

    def _look(self) -> tuple[float, Rollout] | None:
        """Bring the rollout forward. Once it is over: when the look began that ended it, and what it came to."""
        time.sleep(_LOOK_EVERY_S)
        looked_s = time.monotonic()
        after = self.rollouts.step(self.rollouts.require(self.bad.model))
        return None if after is None or after.status is Status.RUNNING else (looked_s, after)

    def _settle(self, id_: ServableId, since_s: float) -> float:
        """Seconds from `since_s` to the last answer of another version, once there were none for a while."""
        return self.scene.wait(
            lambda: self.traffic.settled(id_.version, since_s=since_s, quiet_s=_QUIET_S, least=_LEAST_ANSWERS),
            _SETTLED_S,
            f"no answers but those of {id_}",
        )

    def _harm(self, since_s: float) -> str:
        figures = self._figures(since_s)
        return (
            f"{self.bad} answered {figures['bad_answers']:,} of {figures['answers']:,} requests, "
            f"{figures['wrong_answers']:,} of them wrongly"
        )

    def _figures(self, since_s: float) -> dict[str, Any]:
        answers = self.traffic.since(since_s)
        given: list[Answer] = [answer for answer in answers if answer.version == self.bad.version]
        return {
            "answers": len(answers),
            "bad_answers": len(given),
            "wrong_answers": sum(not answer.is_right for answer in given),
        }


def _tell_end(line: Line, ended: Rollout) -> None:
    """Which guard caught it, with its figures. A rollout that ended otherwise did not hold."""
    harm = [
        finding
        for finding in findings(ended.plan, ended.evidence)
        if finding.verdict is Verdict.FAILED and finding.guard not in INVALID
    ]
    line.held = bool(harm) and ended.status is Status.ROLLED_BACK
    line.figures = {"guards": [finding.to_json() for finding in harm], "weight": ended.state.weight}
    if harm:
        others = f" (and by {', '.join(finding.guard for finding in harm[1:])})" if harm[1:] else ""
        line.what = f"by {harm[0].guard}, {line.seconds:.1f} s after the canary began: {harm[0].detail}{others}"
    else:
        line.what = f"by no guard; the rollout is {ended.status}: {ended.intent.reason if ended.intent else ''}"
