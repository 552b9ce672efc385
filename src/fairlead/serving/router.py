"""Which loaded version answers a request. Pure."""

from __future__ import annotations

from collections.abc import Collection

from fairlead.errors import Code, FairleadError
from fairlead.serving.source import Aspired
from fairlead.serving.target import Target

__all__ = ["choose"]


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
    if target.label is not None and not (aspired and target.label == "stable"):
        return _labelled(target.label, target.model, aspired, available)
    if target.version is not None:
        return _available(target, target.version, available)
    for version in (aspired.stable if aspired else None, last):
        if version is not None and version in available:
            return version
    raise _not_found(target)


def _labelled(label: str, model: str, aspired: Aspired | None, available: Collection[int]) -> int:
    if not aspired or label not in aspired.labels:
        known = ", ".join(["stable", *sorted(aspired.labels)]) if aspired else "none, the model is not known either"
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}", hint=f"labels of {model}: {known}"
        )
    version = aspired.labels[label]
    return _available(Target(model=model, version=version), version, available)


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
