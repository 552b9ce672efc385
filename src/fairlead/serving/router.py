"""Which loaded version answers a request. Pure."""

from __future__ import annotations

from collections.abc import Collection

from fairlead.errors import Code, FairleadError
from fairlead.serving.source import Aspired
from fairlead.serving.target import Target

__all__ = ["choose", "default_version"]


def choose(target: Target, aspired: Aspired | None, available: Collection[int], last: int | None) -> int:
    """The version that `target` means.

    Args:
        target: what the caller asked for.
        aspired: what should be up; None for a model nobody knows.
        available: the versions that can answer now.
        last: the version that answered by default so far: it goes on while the stable one is not up yet.

    Raises:
        FairleadError: INVALID_ARGUMENT for an unknown label, NOT_FOUND when nothing available fits. The words are
            TensorFlow Serving's, which clients match on.
    """
    if target.label is not None and not _is_stable(target.label, aspired):
        return _labelled(target.label, target.model, aspired, available)
    if target.version is not None:
        return _available(target, target.version, available)
    version = default_version(aspired, available, last)
    if version is None:
        raise _not_found(target)
    return version


def default_version(aspired: Aspired | None, available: Collection[int], last: int | None) -> int | None:
    """The version that answers a caller who names none; None while there is none. For the arguments see `choose`."""
    if aspired is not None and aspired.stable is None:
        return max(available, default=None)
    if aspired is not None and aspired.stable in available:
        return aspired.stable
    return last if last in available else None


def _is_stable(label: str, aspired: Aspired | None) -> bool:
    """Whether the label stands for what a release calls stable; in a plain tree it is a label like any other."""
    return label == "stable" and aspired is not None and aspired.stable is not None


def _labelled(label: str, model: str, aspired: Aspired | None, available: Collection[int]) -> int:
    if not aspired or label not in aspired.labels:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"Unrecognized servable version label: {label}",
            hint=f"labels of {model}: {_known_labels(aspired)}",
        )
    version = aspired.labels[label]
    return _available(Target(model=model, version=version), version, available)


def _known_labels(aspired: Aspired | None) -> str:
    if aspired is None:
        return "none, the model is not known either"
    stable = [] if aspired.stable is None else ["stable"]
    return ", ".join([*stable, *sorted(aspired.labels)]) or "none"


def _available(target: Target, version: int, available: Collection[int]) -> int:
    if version not in available:
        raise _not_found(target)
    return version


def _not_found(target: Target) -> FairleadError:
    return FairleadError(
        Code.NOT_FOUND,
        f"Servable not found for request: {target}",
        hint=f"GET /health/ready lists the models, GET /v1/models/{target.model} its versions",
    )
