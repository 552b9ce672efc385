"""Everything a rollout has shown so far, folded in as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, assert_never

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.eprocess import Share, TwoSample
from fairlead.monitoring.experiment import ArmLabels
from fairlead.monitoring.latency_ranks import LatencyRanks
from fairlead.rollout.class_watch import ClassWatch
from fairlead.rollout.observation import Answers, Labels, LoadFailure, PairLabels, Pairs
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.trips import Trips
from fairlead.rollout.verdict import Verdict

__all__ = ["Evidence", "Observation", "PairCounts", "Period"]

Observation = Answers | Labels | Pairs | PairLabels | LoadFailure

_HALF = 0.5


@dataclass(slots=True, kw_only=True)
class Period:
    """What was routed under one weight, counted: (answered, labelled, right) of each arm."""

    stable: list[int] = field(default_factory=lambda: [0, 0, 0])
    candidate: list[int] = field(default_factory=lambda: [0, 0, 0])

    def arms(self) -> tuple[ArmLabels, ArmLabels]:
        """The stable arm and the candidate's."""
        return _arm(self.stable), _arm(self.candidate)


@dataclass(slots=True, kw_only=True)
class PairCounts:
    """Rows that both versions answered: how many, how many with a label, and who alone was right."""

    answered: int = 0
    labelled: int = 0
    only_stable: int = 0
    only_candidate: int = 0


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What a rollout has shown, kept small: its size does not grow with the traffic.

    Observations are folded in, in the order of the log. The same log gives the same evidence to the last bit however
    it is cut into pieces, and `to_json` and `from_json` lose nothing: a monitor that is killed and goes on, or starts
    over, comes to the same verdict.

    Attributes:
        plan: the rules of the rollout.
        started_us: when it began.
        stable_last_us, candidate_last_us: the latest row of each arm; 0 before the first.
        periods: counts by weight; empty for a shadow.
        pairs: counts of a shadow.
        trips: plain faults.
        errors, latency, accuracy: tests of a canary and an A/B.
        pair_errors, pair_latency, pair_accuracy, disagreement: tests of a shadow.
        classes: shares of predicted classes.
        judged: the counts at the moment at which accuracy is judged for promotion: of each weight the stable arm's
            three and the candidate's three, or a shadow's (labelled, only the stable right, only the candidate right).
            None before. With a horizon in seconds the first label that comes after it marks the moment: answers have
            a log of their own, and how far it is read must not matter to what is judged.
        drift, drift_detail: what a detector of drift between the arms says, where there is one.
    """

    plan: Plan
    started_us: int
    stable_last_us: int = 0
    candidate_last_us: int = 0
    periods: dict[float, Period] = field(default_factory=dict)
    pairs: PairCounts = field(default_factory=PairCounts)
    trips: Trips = field(default_factory=Trips)
    errors: TwoSample = field(default_factory=TwoSample)
    latency: LatencyRanks
    accuracy: TwoSample = field(default_factory=TwoSample)
    pair_errors: Share = field(default_factory=lambda: Share(null=_HALF))
    pair_latency: Share = field(default_factory=lambda: Share(null=_HALF))
    pair_accuracy: Share = field(default_factory=lambda: Share(null=_HALF))
    disagreement: Share
    classes: ClassWatch
    judged: list[list[int]] | None = None
    drift: Verdict | None = None
    drift_detail: str = ""

    @classmethod
    def begin(cls, plan: Plan, started_us: int) -> Self:
        """Nothing seen yet."""
        return cls(
            plan=plan,
            started_us=started_us,
            latency=LatencyRanks(ratio=plan.max_latency_ratio),
            disagreement=Share(null=1.0 - plan.min_agreement),
            classes=ClassWatch(alpha=plan.alpha, min_distance=plan.min_class_distance),
        )

    def add(self, observation: Observation) -> None:
        """Fold in what was seen next.

        Raises:
            FairleadError: INVALID_ARGUMENT for a shadow's rows in a canary or an A/B, or the other way round.
        """
        is_paired = isinstance(observation, Pairs | PairLabels)
        if not isinstance(observation, LoadFailure) and is_paired != (self.plan.mode is Mode.SHADOW):
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{type(observation).__name__} cannot be seen in a rollout by {self.plan.mode}"
            )
        match observation:
            case Answers():
                self._add_answers(observation)
            case Labels():
                self._add_labels(observation)
            case Pairs():
                self._add_pairs(observation)
            case PairLabels():
                self._add_pair_labels(observation)
            case LoadFailure():
                self.trips.load_failure = self.trips.load_failure or observation.detail
            case _:
                assert_never(observation)

    def note_drift(self, verdict: Verdict, detail: str) -> None:
        """Take in what a detector of drift between the two arms says now."""
        self.drift, self.drift_detail = verdict, detail

    @property
    def candidate_labels(self) -> int:
        """Labels that came for the candidate's answers."""
        return self.pairs.labelled + sum(period.candidate[1] for period in self.periods.values())

    def answered(self, weight: float) -> tuple[int, int]:
        """Rows that each arm answered under a weight: the stable version's and the candidate's."""
        if self.plan.mode is Mode.SHADOW:
            return self.pairs.answered, self.pairs.answered
        period = self.periods.get(weight, Period())
        return period.stable[0], period.candidate[0]

    def _add_answers(self, answers: Answers) -> None:
        if not len(answers):
            return
        candidate, good = answers.candidate, ~(answers.error | answers.non_finite)
        self._count(answers.weight, 0, candidate)
        self._see(answers.at_us[~candidate], answers.at_us[candidate])
        self.trips.add(candidate, answers.error, answers.non_finite)
        self.errors.add(answers.weight, candidate, good)
        self.latency.add(answers.weight, candidate[~answers.error], answers.latency_us[~answers.error])
        self.classes.add(answers.weight, candidate[good], answers.predicted[good], answers.classes)

    def _add_pairs(self, pairs: Pairs) -> None:
        if not len(pairs):
            return
        stable_good = ~(pairs.stable_error | pairs.stable_non_finite)
        candidate_good = ~(pairs.candidate_error | pairs.candidate_non_finite)
        self.pairs.answered += len(pairs)
        self._see(pairs.at_us, pairs.at_us)
        is_candidate = np.tile([False, True], len(pairs))
        self.trips.add(
            is_candidate,
            _beside(pairs.stable_error, pairs.candidate_error),
            _beside(pairs.stable_non_finite, pairs.candidate_non_finite),
        )
        self.pair_errors.add(_only_stable(stable_good, candidate_good))
        both = stable_good & candidate_good
        allowed_us = pairs.stable_latency_us * self.plan.max_latency_ratio
        slower, faster = pairs.candidate_latency_us > allowed_us, pairs.candidate_latency_us < allowed_us
        self.pair_latency.add(slower[both & (slower | faster)])
        self.disagreement.add(~pairs.agrees[both])
        predicted = _beside(pairs.stable_predicted, pairs.candidate_predicted)
        kept = np.repeat(both, 2)
        self.classes.add(0.0, is_candidate[kept], predicted[kept], pairs.classes)

    def _add_labels(self, labels: Labels) -> None:
        end = self._judged_at(labels.at_us, labels.candidate)
        for part in (labels,) if end is None else (labels[:end], labels[end:]):
            self._count(labels.weight, 1, part.candidate)
            self._count(labels.weight, 2, part.candidate[part.right])
            self.accuracy.add(labels.weight, part.candidate, part.right)
            if end is not None and self.judged is None:
                self._judge()

    def _add_pair_labels(self, labels: PairLabels) -> None:
        end = self._judged_at(labels.at_us, np.ones(len(labels), np.bool_))
        for part in (labels,) if end is None else (labels[:end], labels[end:]):
            self.pairs.labelled += len(part)
            self.pairs.only_stable += int(np.count_nonzero(part.stable_right & ~part.candidate_right))
            self.pairs.only_candidate += int(np.count_nonzero(part.candidate_right & ~part.stable_right))
            self.pair_accuracy.add(_only_stable(part.stable_right, part.candidate_right))
            if end is not None and self.judged is None:
                self._judge()

    def _count(self, weight: float, column: int, candidate: NDArray[np.bool_]) -> None:
        period = self.periods.setdefault(weight, Period())
        candidates = int(np.count_nonzero(candidate))
        period.stable[column] += len(candidate) - candidates
        period.candidate[column] += candidates

    def _see(self, stable_at_us: NDArray[np.int64], candidate_at_us: NDArray[np.int64]) -> None:
        self.stable_last_us = max(self.stable_last_us, int(stable_at_us.max(initial=0)))
        self.candidate_last_us = max(self.candidate_last_us, int(candidate_at_us.max(initial=0)))

    def _judged_at(self, at_us: NDArray[np.int64], counted: NDArray[np.bool_]) -> int | None:
        """The number of these labels that still belong to the counts that are judged; None when it is not time."""
        if self.judged is not None:
            return None
        if self.plan.horizon_s:
            late = np.flatnonzero(at_us >= self.started_us + round(self.plan.horizon_s * 1e6))
            return int(late[0]) if len(late) else None
        positions, missing = np.flatnonzero(counted), self.plan.min_labels - self.candidate_labels
        return int(positions[missing - 1]) + 1 if 0 < missing <= len(positions) else None

    def _judge(self) -> None:
        pairs = self.pairs
        shadow = [[pairs.labelled, pairs.only_stable, pairs.only_candidate]]
        arms = [period.stable + period.candidate for period in self.periods.values()]
        self.judged = shadow if self.plan.mode is Mode.SHADOW else arms

    def to_json(self) -> dict[str, Any]:
        return {
            "started_us": self.started_us,
            "last_us": [self.stable_last_us, self.candidate_last_us],
            "periods": [[weight, period.stable, period.candidate] for weight, period in self.periods.items()],
            "pairs": asdict(self.pairs),
            "judged": self.judged,
            "drift": None if self.drift is None else str(self.drift),
            "drift_detail": self.drift_detail,
            **{name: getattr(self, name).to_json() for name in _PARTS},
        }

    @classmethod
    def from_json(cls, plan: Plan, document: Mapping[str, Any]) -> Self:
        """What `to_json` wrote, under the same plan."""
        stable_last_us, candidate_last_us = document["last_us"]
        return cls(
            plan=plan,
            started_us=document["started_us"],
            stable_last_us=stable_last_us,
            candidate_last_us=candidate_last_us,
            periods={weight: Period(stable=[*old], candidate=[*new]) for weight, old, new in document["periods"]},
            pairs=PairCounts(**document["pairs"]),
            judged=document["judged"],
            drift=None if document["drift"] is None else Verdict(document["drift"]),
            drift_detail=document["drift_detail"],
            **{name: part.from_json(document[name]) for name, part in _PARTS.items()},
        )


_PARTS: Mapping[str, Any] = {
    "trips": Trips,
    "errors": TwoSample,
    "latency": LatencyRanks,
    "accuracy": TwoSample,
    "pair_errors": Share,
    "pair_latency": Share,
    "pair_accuracy": Share,
    "disagreement": Share,
    "classes": ClassWatch,
}


def _arm(counts: list[int]) -> ArmLabels:
    """A label may be read before its row is; it counts as answered all the same."""
    answered, labelled, right = counts
    return ArmLabels(answered=max(answered, labelled), labelled=labelled, right=right)


def _beside(stable: NDArray[Any], candidate: NDArray[Any]) -> NDArray[Any]:
    """Pairs as rows of two arms: stable, candidate, stable, candidate ..."""
    return np.stack((stable, candidate), axis=1).reshape(-1)


def _only_stable(stable: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the pairs that tell the versions apart, those in which the stable one did better."""
    only: NDArray[np.bool_] = stable[stable != candidate]
    return only
