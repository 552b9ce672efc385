"""Whether the versions that a graph names fit together, and what the graph takes and gives then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.graph.spec import GraphSpec, Kind, MemberSpec
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.scores import MEMBERS
from fairlead.servable.signature import Signature, TensorSpec

__all__ = ["Fitted", "fit"]

_MATRIX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a graph is to those who ask it.

    Attributes:
        signature: its inputs and outputs; who spoke is the last of the outputs.
        labels: names of the classes, as in a manifest.
        transform: how a raw picture becomes its input, as in a manifest.
    """

    signature: Signature
    labels: tuple[str, ...]
    transform: Mapping[str, Any]


def fit(spec: GraphSpec, manifests: Mapping[ServableId, Manifest]) -> Fitted:
    """What the graph takes and gives.

    Args:
        spec: the graph.
        manifests: of all the versions that it names.

    Raises:
        FairleadError: FAILED_PRECONDITION naming the version that does not fit, and why.
    """
    for named in spec.versions:
        _check_version(manifests[named.id])
    first, last = manifests[spec.members[0].id], manifests[spec.members[-1].id]
    members = [manifests[member.id] for member in spec.members]
    if spec.kind is Kind.CHAIN:
        _check_chain(spec, manifests)
        fitted = _fitted(first, first.signature.inputs, last)
    elif spec.final is not None:
        final = manifests[spec.final.id]
        _check_alike(members, has_outputs=False)
        _check_stack(members, final)
        fitted = _fitted(first, _common_inputs(members), final)
    else:
        _check_alike(members, has_outputs=True)
        _check_numbers(first, spec.kind)
        fitted = _fitted(first, _common_inputs(members), first)
    if spec.fallback is not None:
        _check_fallback(manifests[spec.fallback.id], fitted)
    return fitted


def _fitted(first: Manifest, inputs: tuple[TensorSpec, ...], last: Manifest) -> Fitted:
    spoke = TensorSpec(name=MEMBERS, dtype="string", shape=(-1,))
    return Fitted(
        signature=Signature(inputs=inputs, outputs=(*last.signature.outputs, spoke)),
        labels=last.labels,
        transform=first.transform,
    )


def _check_version(manifest: Manifest) -> None:
    if manifest.graph is not None:
        raise _misfit(f"{manifest.id} is a graph itself, and a graph is made of models", "name its members instead")
    for spec in (*manifest.signature.inputs, *manifest.signature.outputs):
        if spec.is_unranked or spec.shape[:1] != (-1,):
            raise _misfit(f"{manifest.id} has the tensor {spec.name!r} without an axis for rows")
    if any(spec.name == MEMBERS for spec in manifest.signature.outputs):
        raise _misfit(f"{manifest.id} has an output {MEMBERS!r}, where a graph says who spoke")


def _check_alike(members: list[Manifest], *, has_outputs: bool) -> None:
    first, *others = members
    for other in others:
        sides = [("inputs", _plain(first.signature.inputs), _plain(other.signature.inputs))]
        sides += [("outputs", first.signature.outputs, other.signature.outputs)] if has_outputs else []
        for what, ours, theirs in sides:
            if ours != theirs:
                raise _misfit(f"{other.id} has the {what} {_shown(theirs)}, and {first.id} {_shown(ours)}")
        if has_outputs and first.labels != other.labels:
            raise _misfit(f"{other.id} has the classes {_named(other.labels)}, and {first.id} {_named(first.labels)}")
        if first.transform != other.transform:
            raise _misfit(f"{other.id} takes pictures otherwise than {first.id}: their transforms differ")


def _plain(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The same, of any values."""
    return tuple(replace(spec, column=None) for spec in specs)


def _common_inputs(members: list[Manifest]) -> tuple[TensorSpec, ...]:
    """The inputs, each with the values that all members take."""
    return tuple(
        replace(specs[0], column=_common_column(members, specs))
        for specs in zip(*(member.signature.inputs for member in members), strict=True)
    )


def _common_column(members: list[Manifest], specs: tuple[TensorSpec, ...]) -> Column | None:
    columns = [spec.column for spec in specs if spec.column is not None]
    if not columns:
        return None
    if len(columns) < len(specs):
        other = members[[spec.column is None for spec in specs].index(True)]
        raise _misfit(f"{other.id} takes {specs[0].name!r} as a tensor, and others as a column of a table")
    known = [column.categories for column in columns if column.categories]
    categories = tuple(name for name in known[0] if all(name in names for names in known)) if known else ()
    if known and not categories:
        raise _misfit(
            f"no category of column {specs[0].name!r} is known to all of {', '.join(str(m.id) for m in members)}"
        )
    least = [column.minimum for column in columns if column.minimum is not None]
    most = [column.maximum for column in columns if column.maximum is not None]
    return Column(
        categories=categories,
        minimum=max(least, default=None),
        maximum=min(most, default=None),
        may_be_missing=all(column.may_be_missing for column in columns),
    )


def _takes(ours: TensorSpec, theirs: TensorSpec) -> bool:
    """Whether the values of the one are fine for the other, which has the same shape."""
    if ours.column is None or theirs.column is None:
        return ours.column is theirs.column
    return ours.column.takes(theirs.column)


def _check_numbers(member: Manifest, kind: Kind) -> None:
    outputs = member.signature.outputs
    if any(spec.numpy_dtype.kind != "f" for spec in outputs):
        raise _misfit(f"{member.id} has the outputs {_shown(outputs)}: {kind} is for floating-point numbers")
    if kind is Kind.VOTE and (len(outputs) != 1 or len(outputs[0].shape) != _MATRIX or outputs[0].shape[1] < _MATRIX):
        raise _misfit(f"{member.id} has the outputs {_shown(outputs)}: a vote is between the classes of one")


def _check_stack(members: list[Manifest], final: Manifest) -> None:
    for member in members:
        outputs = member.signature.outputs
        if len(outputs) != 1 or outputs[0].numpy_dtype.kind != "f" or len(outputs[0].shape) != _MATRIX:
            raise _misfit(f"{member.id} has the outputs {_shown(outputs)}: a stack takes one of numbers, [-1, n]")
    sizes = [member.signature.outputs[0].shape[1] for member in members]
    width = -1 if -1 in sizes else sum(sizes)
    (takes, *others) = final.signature.inputs
    if others or takes.numpy_dtype.kind != "f" or len(takes.shape) != _MATRIX or takes.shape[1] not in (-1, width):
        raise _misfit(f"{final.id} takes {_shown(final.signature.inputs)}, and its members give {width} numbers a row")


def _check_chain(spec: GraphSpec, manifests: Mapping[ServableId, Manifest]) -> None:
    if spec.members[0].takes:
        raise _misfit(f"{spec.members[0].id} is the first of the chain and takes what the chain is asked")
    for before, after in zip(spec.members, spec.members[1:], strict=False):
        _check_link(manifests[before.id], after, manifests[after.id])


def _check_link(before: Manifest, after: MemberSpec, manifest: Manifest) -> None:
    given = {output.name: output for output in before.signature.outputs}
    if unknown := sorted(after.takes.keys() - {wanted.name for wanted in manifest.signature.inputs}):
        raise _misfit(f"{after.id} has no input {unknown[0]!r}: it takes {_shown(manifest.signature.inputs)}")
    for wanted in manifest.signature.inputs:
        name = after.takes.get(wanted.name, wanted.name)
        if name not in given:
            raise _misfit(
                f"{after.id} takes {wanted.name!r} from an output {name!r}, and {before.id} gives "
                f"{_shown(before.signature.outputs)}",
                'name it: "takes": {"INPUT": "OUTPUT"}',
            )
        if given[name].dtype != wanted.dtype or not _may_be(given[name].shape, wanted.shape):
            raise _misfit(f"{after.id} takes {_shown((wanted,))}, and {before.id} gives {_shown((given[name],))}")


def _may_be(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether an array of the shape that is given can have the one that is wanted."""
    return len(given) == len(wanted) and all(-1 in (a, b) or a == b for a, b in zip(given, wanted, strict=True))


def _check_fallback(fallback: Manifest, fitted: Fitted) -> None:
    outputs = fitted.signature.outputs[:-1]
    inputs, wanted = fallback.signature.inputs, fitted.signature.inputs
    is_fit = _plain(inputs) == _plain(wanted) and all(map(_takes, inputs, wanted))
    if not is_fit or fallback.signature.outputs != outputs:
        raise _misfit(
            f"{fallback.id} cannot stand in: it takes {_shown(inputs)} and gives {_shown(fallback.signature.outputs)}, "
            f"not {_shown(wanted)} and {_shown(outputs)}"
        )
    if fallback.labels != fitted.labels:
        raise _misfit(f"{fallback.id} cannot stand in: its classes are {_named(fallback.labels)}")


def _shown(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype}{list(spec.shape)}{_values(spec)}" for spec in specs)


def _values(spec: TensorSpec) -> str:
    return f" ({spec.column.shown})" if spec.column is not None and spec.column.shown else ""


def _named(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "") or "none"  # noqa: PLR2004


def _misfit(message: str, hint: str = "see docs/graphs.md") -> FairleadError:
    return FairleadError(Code.FAILED_PRECONDITION, message, hint=hint)
