"""Models that are a line of numpy, and a catalogue and a predictor over them."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.servable.transform import Handwriting
from fairlead.serving.prediction_id import PredictionIds
from fairlead.serving.predictor import Decode, Prediction
from fairlead.serving.statistics import Statistics
from fairlead.serving.status import Readiness, State, VersionStatus
from fairlead.serving.target import Target, UnknownSignatureError
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.tracing import Trace
from fairlead.transport.http import HttpApp
from fairlead.transport.metrics import TransportMetrics
from fairlead.transport.ports import ModelControl

LIMIT = 200_000
"""The body limit of the application under test."""

Compute = Callable[[Tensors], dict[str, Array]]


def manifest_of(model: str, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]) -> Manifest:
    """A manifest of version 1 with these tensors."""
    return Manifest(
        model=model,
        version=1,
        runtime="numpy",
        signature=Signature(inputs=tuple(inputs.values()), outputs=tuple(outputs.values())),
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def specs(**tensors: tuple[str, tuple[int, ...]]) -> dict[str, TensorSpec]:
    """Tensors by name."""
    return {name: TensorSpec(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in tensors.items()}


def _digits(inputs: Tensors) -> dict[str, Array]:
    """The share of ink in each tenth of the picture, as probabilities."""
    tenths = inputs["image"].reshape(-1, 784)[:, :780].reshape(-1, 10, 78).mean(axis=2) + np.float32(0.1)
    return {"probs": tenths / tenths.sum(axis=1, keepdims=True)}


def _pair(inputs: Tensors) -> dict[str, Array]:
    return {"sum": inputs["a"].sum(axis=1), "double": inputs["n"] * 2}


def _words(inputs: Tensors) -> dict[str, Array]:
    upper = np.array([word.upper() for word in inputs["text"]], dtype=object)
    raw = np.array([word if isinstance(word, bytes) else word.encode() for word in inputs["text"]], dtype=object)
    return {"upper": upper, "raw_bytes": raw}


def _logs(inputs: Tensors) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return {"y": np.log(inputs["x"])}


def _broken(_: Tensors) -> dict[str, Array]:
    raise RuntimeError("/secret/path is not for clients")


def _failing(_: Tensors) -> dict[str, Array]:
    raise FairleadError(Code.INTERNAL, "the runtime gave up")


def _half_plus_two(inputs: Tensors) -> dict[str, Array]:
    return {"y": inputs["x"] / 2 + 2}


HALF = specs(x=("float32", (-1, 1)))
_SUM = TensorSpec(name="y", dtype="float32", shape=(), is_unranked=True, node="StatefulPartitionedCall:0")


def _several(inputs: Tensors) -> dict[str, Array]:
    """One signature goes from x to y and adds one, the other goes back."""
    return {"y": inputs["x"] + 1} if "x" in inputs else {"x": inputs["y"] - 1}


def _serialized(inputs: Tensors) -> dict[str, Array]:
    """Two classes an example: its bytes and how many there are."""
    table = [[example, b"none"] for example in inputs["inputs"]]
    sizes = [[len(example), 0] for example in inputs["inputs"]]
    return {"classes": np.array(table, object), "scores": np.array(sizes, np.float32)}


MODELS: dict[str, tuple[Manifest, Compute]] = {
    "digits": (
        replace(
            manifest_of("digits", specs(image=("float32", (-1, 28, 28, 1))), specs(probs=("float32", (-1, 10)))),
            labels=tuple("0123456789"),
            transform=Handwriting().to_json(),
        ),
        _digits,
    ),
    "echo": (
        manifest_of("echo", specs(x=("float32", (-1, -1))), specs(y=("float32", (-1, -1)))),
        lambda inputs: {"y": inputs["x"]},
    ),
    "pair": (
        manifest_of(
            "pair",
            specs(a=("float32", (-1, 2)), n=("int32", (-1,))),
            specs(sum=("float32", (-1,)), double=("int32", (-1,))),
        ),
        _pair,
    ),
    "words": (
        manifest_of(
            "words", specs(text=("string", (-1,))), specs(upper=("string", (-1,)), raw_bytes=("string", (-1,)))
        ),
        _words,
    ),
    "flags": (
        manifest_of("flags", specs(x=("bool", (-1,))), specs(y=("bool", (-1,)))),
        lambda inputs: {"y": ~inputs["x"]},
    ),
    "logs": (manifest_of("logs", specs(x=("float32", (-1, -1))), specs(y=("float32", (-1, -1)))), _logs),
    "fixed": (manifest_of("fixed", specs(x=("float32", (3,))), specs(y=("float32", (3,)))), lambda i: {"y": i["x"]}),
    "half": (
        manifest_of("half", specs(x=("float32", (-1, 1))), specs(y=("float32", (-1, 1)))),
        _half_plus_two,
    ),
    "serialized": (
        manifest_of(
            "serialized",
            specs(inputs=("string", (-1,))),
            specs(classes=("string", (-1, 2)), scores=("float32", (-1, 2))),
        ),
        _serialized,
    ),
    "several": (
        replace(
            manifest_of("several", HALF, specs(y=("float32", (-1, 1)))),
            signatures={
                "serving_default": Signature(inputs=tuple(HALF.values()), outputs=(_SUM,)),
                "flipped": Signature(inputs=(_SUM,), outputs=tuple(HALF.values()), method="tensorflow/serving/regress"),
            },
            init_op="NoOp",
        ),
        _several,
    ),
    "broken": (manifest_of("broken", specs(x=("float32", (-1,))), specs(y=("float32", (-1,)))), _broken),
    "failing": (manifest_of("failing", specs(x=("float32", (-1,))), specs(y=("float32", (-1,)))), _failing),
}

DTYPES = (
    "bool", "string", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
MODELS |= {
    f"same-{dtype}": (
        manifest_of(f"same-{dtype}", specs(x=(dtype, (-1, -1))), specs(y=(dtype, (-1, -1)))),
        lambda inputs: {"y": inputs["x"]},
    )
    for dtype in DTYPES
}


@dataclass
class FakeCatalogue:
    """All of MODELS, version 1, labelled "stable"; `others` are known and do not answer."""

    ready: Readiness = field(default_factory=lambda: Readiness(is_started=True, is_ready=True, models={"digits": 1}))
    default: str = "digits"
    others: dict[str, tuple[VersionStatus, ...]] = field(default_factory=dict)

    def describe(self, target: Target) -> Manifest:
        if target.label is not None and (target.model not in MODELS or target.label != "stable"):
            raise FairleadError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {target.label}")
        if target.model not in MODELS or target.version not in (None, 1):
            raise FairleadError(Code.NOT_FOUND, f"Servable not found for request: {target}")
        manifest = MODELS[target.model][0]
        signatures = manifest.named_signatures
        if target.signature and target.signature not in signatures:
            raise UnknownSignatureError(target.signature, ", ".join(signatures))
        return replace(manifest, signature=signatures[target.signature or "serving_default"])

    def statuses(self, model: str, version: int | None) -> tuple[VersionStatus, ...]:
        if model in self.others:
            return tuple(status for status in self.others[model] if version in (None, status.id.version))
        if model not in MODELS:
            raise FairleadError(Code.NOT_FOUND, f"Could not find any versions of model {model}")
        if version not in (None, 1):
            raise FairleadError(Code.NOT_FOUND, f"Could not find version {version} of model {model}")
        return (VersionStatus(id=ServableId(model, 1), state=State.AVAILABLE),)

    def knows(self, model: str, version: int | None) -> bool:
        return model in {*MODELS, *self.others} and version in (None, 1)

    def models(self) -> tuple[str, ...]:
        return tuple(self.ready.models)

    def labels(self, model: str) -> dict[str, int]:
        return {"stable": 1} if model in MODELS else {}

    def readiness(self) -> Readiness:
        return self.ready

    def default_model(self) -> str:
        return self.default


class FakePredictor:
    """Does what the real one does, on the event loop; `pause`, when set, is awaited before each answer.

    `deadline` is that of the last call, `waiting` how many wait for `pause`, `error` what is raised in place of an
    answer.
    """

    def __init__(self, catalogue: FakeCatalogue) -> None:
        self.catalogue = catalogue
        self.statistics = Statistics(Instruments(), clock_s=lambda: 1.5)
        self.pause: asyncio.Event | None = None
        self.error: Exception | None = None
        self.deadline: float | None = None
        self.key = ""
        self.tenant: str | None = None
        self.waiting = 0
        self._new_id = PredictionIds()

    async def predict(
        self,
        target: Target,
        decode: Decode,
        *,
        outputs: Collection[str] | None = None,
        deadline: float | None = None,
        size: int = 0,
        key: str = "",
        tenant: str | None = None,
        trace: Trace | None = None,
    ) -> Prediction:
        self.deadline = deadline
        self.key = key
        self.tenant = tenant
        if self.error is not None:
            raise self.error
        manifest = self.catalogue.describe(target)
        inputs = decode(manifest)
        manifest.signature.check_inputs(inputs)
        if self.pause is not None:
            self.waiting += 1
            try:
                await self.pause.wait()
            finally:
                self.waiting -= 1
        answer = MODELS[manifest.model][1](inputs)
        rows = len(next(iter(inputs.values())))
        self.statistics.ran(manifest.id, rows=[rows], waited_s=[0.25], failed=[False], compute_s=0.5)
        asked = {name: array for name, array in answer.items() if outputs is None or name in outputs}
        return Prediction(id=self._new_id(), manifest=manifest, outputs=asked, rows=rows)


@dataclass
class FakeControl:
    """Notes what it is told."""

    told: list[str] = field(default_factory=list)

    async def load(self, model: str) -> None:
        self.told.append(f"load {model}")

    async def unload(self, model: str) -> None:
        self.told.append(f"unload {model}")


def build_app(
    catalogue: FakeCatalogue,
    predictor: FakePredictor,
    *,
    max_body_bytes: int = LIMIT,
    control: ModelControl | None = None,
    has_try_page: bool = True,
    doorkeeper: Doorkeeper | None = None,
) -> HttpApp:
    """The application over the fakes."""
    return HttpApp(
        predictor,
        catalogue,
        TransportMetrics(Instruments()),
        predictor.statistics,
        control,
        max_body_bytes=max_body_bytes,
        has_try_page=has_try_page,
        doorkeeper=doorkeeper,
    )
