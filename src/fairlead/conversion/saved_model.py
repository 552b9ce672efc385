"""A SavedModel from elsewhere, asked and written as ONNX in a process that may break.

It is `python -m fairlead.conversion.saved_model`. TensorFlow runs what is in such a directory, so it never meets it in
the process of whoever imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fairlead.conversion.tensorflow import import_tensorflow, write_function
from fairlead.errors import Code, FairleadError
from fairlead.servable.disposable import Limits, answer, confine, run_disposable
from fairlead.servable.golden import Golden
from fairlead.servable.runtimes.tensorflow import SavedModelLoader
from fairlead.servable.sample import ask, read_sample, samples
from fairlead.servable.signature import Signature

__all__ = ["SAVED_MODEL_FILE", "convert"]

SAVED_MODEL_FILE: Final = "saved_model.pb"
_SPARE_BYTES = 2**26


def convert(directory: Path, path: Path, proof: Path, limits: Limits, sample: Path | None = None) -> None:
    """Write the signature that answers by default as ONNX, and what TensorFlow answers to a sample.

    Args:
        directory: the SavedModel.
        path: where the ONNX file goes.
        proof: where golden rows with TensorFlow's answers go.
        limits: what it may take.
        sample: see `load_first`.

    Raises:
        FairleadError: FAILED_PRECONDITION saying what is wrong with it, or what ONNX lacks.
    """
    order = {"directory": directory, "path": path, "proof": proof, "sample": sample}
    absolute = {name: str(place.absolute()) if place else None for name, place in order.items()}
    run_disposable(__name__, absolute, limits)


def _convert_here(order: Mapping[str, Any], limits: Limits) -> None:
    """What the process does."""
    tensorflow = import_tensorflow()
    directory = Path(order["directory"])
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    confine(limits, file_bytes=size + _SPARE_BYTES)
    loaded = SavedModelLoader().load(directory)
    signature, servable = loaded.signatures[loaded.default], loaded.servables[loaded.default]
    given = Path(order["sample"]) if order["sample"] else None
    golden = ask(servable, signature, [read_sample(given, signature)] if given else samples(signature))
    _check_answers(golden, signature)
    golden.save(Path(order["proof"]))
    restored = tensorflow.saved_model.load(str(directory))  # its variables live as long as it does
    function = restored.signatures[loaded.default]
    inputs = [
        (spec.name, [None if size == -1 else size for size in spec.shape], tensorflow.as_dtype(spec.numpy_dtype))
        for spec in signature.inputs
    ]
    names = [name for name, _, _ in inputs]
    write_function(lambda *tensors: function(**dict(zip(names, tensors, strict=True))), inputs, Path(order["path"]))


def _check_answers(golden: Golden, signature: Signature) -> None:
    """Raise unless all outputs are of numbers: what cannot be compared is not published."""
    lacking = [spec.name for spec in signature.outputs if spec.name not in golden.outputs]
    if lacking:
        raise FairleadError(Code.UNIMPLEMENTED, f"its outputs {lacking} hold no numbers, so nothing could prove them")


if __name__ == "__main__":
    answer(_convert_here)
