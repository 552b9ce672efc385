"""A graph as a Servable: it asks its members, and answers from what they say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.graph.asking import ask
from fairlead.servable.graph.combine import average, concatenate, names_of, vote
from fairlead.servable.graph.member import Member, Outcome, Said
from fairlead.servable.graph.spec import GraphSpec, Kind
from fairlead.servable.identity import ServableId
from fairlead.servable.scores import MEMBERS
from fairlead.servable.servable import NoAnswerError, Servable
from fairlead.servable.signature import Array, Signature, Tensors
from fairlead.telemetry.graphs import GraphMetrics

__all__ = ["GraphServable", "Part"]

_COMBINED, _FALLBACK, _NONE = "combined", "fallback", "none"
_ROUNDING = 1e-6
_WORDS = {
    Outcome.LATE: "is late",
    Outcome.SKIPPED: "is not back from a run that it was late for",
    Outcome.FAILED: "failed",
    Outcome.INVALID: "gave numbers that are not finite, or do not fit its signature",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A version that a graph names, loaded.

    Attributes:
        servable: answers.
        signature: what it takes and gives.
        let_go: called once when the graph is closed.
    """

    servable: Servable
    signature: Signature
    let_go: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class _Decided:
    """What a run came to so far.

    Attributes:
        outputs: by name; empty when no row has an answer.
        members: who spoke for each row.
        rows: which rows have an answer.
        said: by everybody who was to be asked.
    """

    outputs: dict[str, Array]
    members: Array
    rows: NDArray[np.bool_]
    said: list[Said]


class GraphServable:
    """Asks members, each in threads of its own and until its deadline, and combines what they say row by row.

    Args:
        id_: whose it is.
        spec: the graph.
        signature: what it takes and gives, see `fit`.
        parts: what it names, by id.
        metrics: told of every run.

    Attributes:
        patience_s: the least that a member is waited for, whatever its deadline.
    """

    def __init__(
        self,
        id_: ServableId,
        spec: GraphSpec,
        signature: Signature,
        parts: Mapping[ServableId, Part],
        *,
        metrics: GraphMetrics,
        patience_s: float = 0.0,
    ) -> None:
        self._id = id_
        self._spec = spec
        self._signature = signature
        self._parts = parts
        self._metrics = metrics
        self.patience_s = patience_s
        self._asked = {
            named.id: Member(
                named.id, parts[named.id].signature.outputs, parts[named.id].servable, named.deadline_ms / 1000
            )
            for named in spec.versions
        }
        self._members = [self._asked[member.id] for member in spec.members]
        self._weights = [member.weight for member in spec.members]

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        """What the members say together, and who spoke; see `Servable.predict`.

        Raises:
            FairleadError: the declared code for rows without an answer, INVALID_ARGUMENT where all who were asked
                refuse a row; NoAnswerError when no row has one.
        """
        decided = self._decide(inputs)
        combined = int(decided.rows.sum())
        if combined < len(decided.rows):
            self._fall_back(inputs, decided)
        self._count(decided, combined)
        if not decided.rows.all():
            raise self._no_answer(decided)
        answer = {**decided.outputs, MEMBERS: decided.members}
        return {
            spec.name: answer[spec.name] for spec in self._signature.outputs if outputs is None or spec.name in outputs
        }

    def close(self) -> None:
        for member in self._asked.values():
            member.close()
        for part in self._parts.values():
            part.let_go()

    # -- what the members say together -----------------------------------------------------------------------------

    def _decide(self, inputs: Tensors) -> _Decided:
        if self._spec.kind is Kind.CHAIN:
            return self._chain(inputs)
        said = ask(self._members, inputs, self.patience_s)
        quorum = np.sum([one.spoke for one in said], axis=0) >= self._spec.quorum
        if self._spec.kind is Kind.STACK:
            return self._stack(said, quorum)
        if not quorum.any():
            return _Decided(outputs={}, members=names_of(said), rows=quorum, said=said)
        names = [spec.name for spec in self._signature.outputs[:-1]]
        combine = average if self._spec.kind is Kind.AVERAGE else vote
        outputs = {name: combine(said, self._weights, name) for name in names}
        if self._spec.agreement:
            quorum &= outputs[names[0]].max(axis=1) >= self._spec.agreement - _ROUNDING
        return _Decided(outputs=outputs, members=names_of(said), rows=quorum, said=said)

    def _stack(self, said: list[Said], has_all: NDArray[np.bool_]) -> _Decided:
        if self._spec.final is None or not has_all.any():
            return _Decided(outputs={}, members=names_of(said), rows=has_all, said=said)
        (takes,) = self._parts[self._spec.final.id].signature.inputs
        inputs = {takes.name: concatenate(said, takes.numpy_dtype)}
        (last,) = ask([self._asked[self._spec.final.id]], inputs, self.patience_s)
        said = [*said, last]
        return _Decided(outputs=dict(last.outputs), members=names_of(said), rows=has_all & last.spoke, said=said)

    def _chain(self, inputs: Tensors) -> _Decided:
        said = ask(self._members[:1], inputs, self.patience_s)
        for member, spec in zip(self._members[1:], self._spec.members[1:], strict=True):
            given = said[-1].outputs
            if not said[-1].spoke.any():
                break
            wanted = [one.name for one in self._parts[spec.id].signature.inputs]
            said += ask([member], {name: given[spec.takes.get(name, name)] for name in wanted}, self.patience_s)
        is_whole = len(said) == len(self._members)
        rows = np.logical_and.reduce([one.spoke for one in said]) & is_whole
        return _Decided(
            outputs=dict(said[-1].outputs) if is_whole else {}, members=names_of(said), rows=rows, said=said
        )

    def _fall_back(self, inputs: Tensors, decided: _Decided) -> None:
        """Let the fallback answer the rows that have no answer yet."""
        if self._spec.fallback is None:
            return
        fallback, lacking = self._spec.fallback.id, np.flatnonzero(~decided.rows)
        said = next((one for one in decided.said if one.member == fallback), None)
        if said is None:
            rows = {name: array[lacking] for name, array in inputs.items()}
            (said,) = ask([self._asked[fallback]], rows, self.patience_s)
            decided.said.append(said)
            places = np.flatnonzero(said.spoke)
            taken = lacking[places]
        else:
            taken = places = lacking[said.spoke[lacking]]
        if not said.outputs or any(
            array.shape[1:] != said.outputs[name].shape[1:] for name, array in decided.outputs.items()
        ):
            return
        for name, array in said.outputs.items():
            own = decided.outputs.get(name)
            merged = np.zeros((len(decided.rows), *array.shape[1:]), array.dtype) if own is None else own.copy()
            merged[taken] = array[places]
            decided.outputs[name] = merged
        decided.members[taken] = str(fallback)
        decided.rows[taken] = True

    # -- what is told of it ----------------------------------------------------------------------------------------

    def _count(self, decided: _Decided, combined: int) -> None:
        rows, answered = len(decided.rows), int(decided.rows.sum())
        self._metrics.ran(
            self._id.model,
            self._id.version,
            members=[
                (str(one.member), outcome, count)
                for one in decided.said
                for outcome, count in (
                    (Outcome.SPOKE, int(one.spoke.sum())),
                    (one.outcome, int((~one.spoke).sum())),
                )
                if count
            ],
            rows=[
                (outcome, count)
                for outcome, count in (
                    (_COMBINED, combined),
                    (_FALLBACK, answered - combined),
                    (_NONE, rows - answered),
                )
                if count
            ],
        )

    def _no_answer(self, decided: _Decided) -> FairleadError:
        """What to raise for a run in which some rows have no answer."""
        silent = [one for one in decided.said if not one.spoke.all()]
        asked_first = {member.id for member in (self._members[:1] if self._spec.kind is Kind.CHAIN else self._members)}
        if silent and all(
            one.member in asked_first and one.error is not None and one.error.code is Code.INVALID_ARGUMENT
            for one in silent
        ):
            error = next(one.error for one in silent if one.error is not None)
            return FairleadError(Code.INVALID_ARGUMENT, f"{silent[0].member}: {error.message}")
        reasons = ", ".join(_reason(one) for one in silent) or f"fewer than {self._spec.agreement:.0%} agree"
        kind = FairleadError if decided.rows.any() else NoAnswerError
        return kind(
            self._spec.fail,
            f"{self._id} has no answer: {reasons}",
            hint="its manifest says how many of its members must speak",
        )


def _reason(silent: Said) -> str:
    why = f": {silent.error.message}" if silent.error is not None else ""
    return f"{silent.member} {_WORDS[silent.outcome]}{why}"
