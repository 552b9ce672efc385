"""Classification and regression of examples, whichever protocol brought them, and several of both at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.target import Target, UnknownSignatureError
from fairlead.telemetry.tracing import Trace
from fairlead.transport.invalid import invalid
from fairlead.transport.ports import Predicting
from fairlead.transport.tfserving.examples import decode_examples
from fairlead.transport.tfserving.feature import Example
from fairlead.transport.tfserving.method import Method, check_fits
from fairlead.transport.tfserving.result import Classes, read_classes, read_values

__all__ = ["Inferred", "Task", "infer", "infer_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing asked of one signature."""

    target: Target
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What one version answered, and under which id: classes, or for a regression one value an example [n]."""

    id: str
    manifest: Manifest
    result: Classes | Array


async def infer(
    predictor: Predicting,
    task: Task,
    examples: Sequence[Example],
    *,
    deadline: float | None = None,
    key: str = "",
    tenant: str | None = None,
    trace: Trace | None = None,
) -> Inferred:
    """Ask the version that the task's target means.

    Args:
        predictor: is asked.
        task: for what.
        examples: about which.
        deadline: second of the monotonic clock after which nobody wants the answer.
        key: see `Predictor.predict`.
        tenant: likewise.
        trace: likewise.

    Raises:
        FairleadError: as `Predicting.predict`; INVALID_ARGUMENT too when the version does not do what is asked.
    """

    def decode(manifest: Manifest) -> Tensors:
        check_fits(task.method, manifest.signature)
        return decode_examples(examples, manifest.signature)

    try:
        prediction = await predictor.predict(
            task.target, decode, deadline=deadline, key=key, tenant=tenant, trace=trace
        )
    except UnknownSignatureError as error:
        raise invalid(f"No signature was found with the name: {error.signature}") from error
    read = read_classes if task.method is Method.CLASSIFY else read_values
    return Inferred(id=prediction.id, manifest=prediction.manifest, result=read(prediction))


async def infer_all(
    predictor: Predicting,
    tasks: Sequence[Task],
    examples: Sequence[Example],
    *,
    deadline: float | None = None,
    key: str = "",
    tenant: str | None = None,
    trace: Trace | None = None,
) -> list[Inferred]:
    """Ask for several things of one model, one after the other; all are answered or none. Arguments as for `infer`.

    Raises:
        FairleadError: as `infer`; INVALID_ARGUMENT too when the tasks are of several models or repeat a signature.
    """
    if len({task.target.model for task in tasks}) > 1:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    if len({task.target for task in tasks}) < len(tasks):
        raise invalid("Duplicate evaluation of a signature in a MultiInferenceRequest.")
    return [
        await infer(predictor, task, examples, deadline=deadline, key=key, tenant=tenant, trace=trace) for task in tasks
    ]
