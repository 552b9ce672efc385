"""The first run of a model compiles and allocates: it happens before anybody waits for it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.servable.tfrecord import read_records

__all__ = ["DecodeWarmup", "WarmupRequest", "warm_up"]

_FILE = Path("assets.extra", "tf_serving_warmup_requests")
_MOST_RECORDS = 1000
_MOST_VALUES = 2**24
"""Of a row of zeros: no request may bring as much unless it was allowed to, and memory is not for a mere warm-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupRequest:
    """A request as a client would send it: which of the model's signatures, and its inputs."""

    signature: str
    inputs: Tensors


DecodeWarmup = Callable[[bytes, LoadedModel], Iterable[WarmupRequest]]
"""What a record of a warm-up file asks of the model; raises FairleadError when it makes no sense."""


def warm_up(model: LoadedModel, directory: Path, decode: DecodeWarmup | None) -> None:
    """Replay the requests that the version in `directory` brings for it, else run each signature once on zeros.

    Raises:
        FairleadError: naming the record that could not be read, or that the model refused: who wrote it wants it to
            answer such requests.
    """
    path = directory / _FILE
    if decode is not None and path.exists():
        _replay(model, path, decode)
    else:
        _run_zeros(model)


def _replay(model: LoadedModel, path: Path, decode: DecodeWarmup) -> None:
    for number, record in enumerate(read_records(path)):
        if number == _MOST_RECORDS:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{path} has more than {_MOST_RECORDS} records")
        try:
            for request in decode(record, model):
                model.signatures[request.signature].check_inputs(request.inputs)
                model.servables[request.signature].predict(request.inputs)
        except FairleadError as error:
            raise FairleadError(error.code, f"record {number} of {path} failed: {error.message}") from error


def _run_zeros(model: LoadedModel) -> None:
    for name, signature in model.signatures.items():
        if all(_is_known(spec) for spec in signature.inputs):
            # A model may well refuse zeros, or an empty text where it wants a picture: that says nothing against it.
            with contextlib.suppress(FairleadError):
                model.servables[name].predict(_zeros(signature))


def _is_known(spec: TensorSpec) -> bool:
    return not spec.is_unranked and -1 not in spec.shape[1:] and math.prod(map(abs, spec.shape)) <= _MOST_VALUES


def _zeros(signature: Signature) -> Mapping[str, Array]:
    return {
        spec.name: _zero(spec, tuple(1 if size == -1 else size for size in spec.shape)) for spec in signature.inputs
    }


def _zero(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    return np.full(shape, "" if spec.dtype == "string" else 0, spec.numpy_dtype)
