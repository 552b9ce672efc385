"""A version that is whole and wrong: it loads, proves itself by its own golden rows, and gives each another class.

Its classes are shifted by one, as when somebody counts the labels from 1: as sure of itself as the version it was made
of, as fast, with the same signature and the same labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.training.extras import needs_extras

__all__ = ["check_can_spoil", "publish_bad", "shift_classes"]

INSTALL_ONNX = "pip install 'fairlead[control]' onnx"

_INNER = "before_the_shift"
_ORDER = "shifted_classes"
_FEWEST = 2


def check_can_spoil(manifest: Manifest) -> None:
    """Whether a bad version can be made of this one.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is no classifier with one output, no ONNX model, has no golden rows
            to make traffic of, or when the package `onnx` is not installed.
    """
    if reason := _objection(manifest):
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{manifest.id} {reason}: a drill shifts the classes of an ONNX classifier",
            hint="name another model: fairlead drill MODEL",
        )
    with needs_extras("a drill", INSTALL_ONNX):
        import onnx  # noqa: F401, PLC0415 - an optional library


def publish_bad(store: WritableStore, good: Version, *, at: datetime) -> Version:
    """Publish a bad version of `good` as the model's next; it is not released.

    Raises:
        FairleadError: INTERNAL when it does not answer every golden row with another class; as `WritableStore.publish`.
    """

    def describe(version: int, digests: Mapping[str, str]) -> Manifest:
        lineage = {"drill": f"{good.manifest.id} with its classes shifted by one"}
        return replace(
            good.manifest, version=version, files=digests, metrics={}, gate={}, lineage=lineage, created_at=at
        )

    sources = {name: good.directory / name for name in good.manifest.files}
    with tempfile.TemporaryDirectory(prefix="fairlead-drill-bad-") as name:
        model, golden = Path(name) / MODEL_FILE, Path(name) / GOLDEN_FILE
        shift_classes(sources[MODEL_FILE], model, len(good.manifest.labels))
        _prove_wrong(sources[GOLDEN_FILE], model).save(golden)
        return store.publish(good.manifest.model, sources | {MODEL_FILE: model, GOLDEN_FILE: golden}, describe)


def shift_classes(source: Path, target: Path, classes: int) -> None:
    """Write the ONNX model in `source`, whose one output is [rows, classes], with each score one class further on."""
    from onnx import TensorProto, helper, load, save_model  # noqa: PLC0415 - an optional library

    model = load(str(source), load_external_data=False)
    graph = model.graph
    (output,) = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [_INNER if name == output.name else name for name in names]
    order = [classes - 1, *range(classes - 1)]
    graph.initializer.append(helper.make_tensor(_ORDER, TensorProto.INT64, [classes], order))
    graph.node.append(helper.make_node("Gather", [_INNER, _ORDER], [output.name], axis=1))
    save_model(model, str(target))


def _objection(manifest: Manifest) -> str:
    outputs = manifest.signature.outputs
    classes = len(manifest.labels)
    if classes < _FEWEST or len(outputs) != 1 or outputs[0].numpy_dtype.kind != "f":
        return "is no classifier with one output of scores"
    if len(outputs[0].shape) != 2 or outputs[0].shape[1] not in (-1, classes):  # noqa: PLR2004 - rows and classes
        return f"gives scores of shape {list(outputs[0].shape)}, not one for each of its {classes} classes"
    if manifest.runtime != "onnx":
        return f"runs on {manifest.runtime}"
    return "" if GOLDEN_FILE in manifest.files else f"has no {GOLDEN_FILE}"


def _prove_wrong(golden: Path, model: Path) -> Golden:
    """The golden rows as the model answers them; none may get the class that they should."""
    want = Golden.load(golden)
    servable, _ = open_model(model)
    answers = servable.predict(want.inputs)
    servable.close()
    right = sum(int((answers[name].argmax(axis=1) == want.outputs[name].argmax(axis=1)).sum()) for name in answers)
    if right:
        raise FairleadError(Code.INTERNAL, f"the bad version answers {right} golden rows as it should")
    return Golden(inputs=want.inputs, outputs=answers)
