"""What a client asks, whatever protocol carries it, and what it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.servable.scores import class_scores
from fairlead.servable.signature import Array, Tensors, TensorSpec
from fairlead.serving.prediction_id import row_ids
from fairlead.serving.target import Target

__all__ = ["Describe", "Give", "Index", "Infer", "IsReady", "ModelMetadata", "ModelVersion", "Prediction", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model answered.

    Attributes:
        model: its name.
        version: the version that answered.
        outputs: by name; texts are str in arrays of objects. Arrays are not to be written to.
        ids: of each row, by which feedback finds it.
        classes: the names of the model's classes; none where it is no classifier.
        request_id: the caller's own, echoed.
    """

    model: str
    version: int
    outputs: Mapping[str, Array]
    ids: tuple[str, ...]
    classes: tuple[str, ...] = ()
    request_id: str = ""

    @property
    def output(self) -> Array:
        """The only output.

        Raises:
            ValueError: when there are several.
        """
        (array,) = self.outputs.values()
        return array

    @property
    def labels(self) -> tuple[str, ...]:
        """The class of each row that has the highest score; none where the outputs are no scores of classes."""
        rows = next(iter(self.outputs.values())).shape[:1]
        scores = class_scores(self.classes, self.outputs, *rows) if rows else None
        return () if scores is None else tuple(self.classes[best] for best in scores.argmax(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """What a model takes and gives.

    Attributes:
        versions: those that answer, in rising order.
        platform: what computes it.
        classes: their names, in the order of the scores; none where it is no classifier.
    """

    name: str
    versions: tuple[int, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version that the server knows.

    Attributes:
        version: None for a model of which none was ever loaded.
        state: `READY` when it answers.
        reason: why it does not.
    """

    model: str
    version: int | None
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Infer:
    """Predict; answered by a `Prediction`.

    Attributes:
        classes: the names of the model's classes.
        sticky_key: requests of one key stay with one version while another is tried.
    """

    target: Target
    tensors: Tensors
    classes: tuple[str, ...] = ()
    request_id: str = ""
    sticky_key: str = ""

    def answered(
        self, *, model: str, version: str, outputs: Mapping[str, Array], id_: str, request_id: str
    ) -> Prediction:
        """The answer; `id_` is empty when something on the way kept it back."""
        rows = max((len(tensor) for tensor in self.tensors.values() if tensor.shape), default=1)
        return Prediction(
            model=model,
            version=int(version),
            outputs=outputs,
            ids=tuple(row_ids(id_, rows)) if id_ else (),
            classes=self.classes,
            request_id=request_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """What a model takes and gives; answered by `ModelMetadata`."""

    target: Target


@dataclass(frozen=True, slots=True)
class Index:
    """What there is; answered by a tuple of `ModelVersion`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsReady:
    """Whether the server, or a model of it, answers; answered by a bool, and asked once."""

    target: Target | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """Labels by the ids of predictions; answered by what became of each. Saying them again is harmless.

    Attributes:
        model: the only one whose predictions are meant; None for any.
    """

    labels: Mapping[str, str | int | bool]
    model: str | None


Question = Infer | Describe | Index | IsReady | Give
