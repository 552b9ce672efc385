"""The first run of a model compiles and allocates: it happens before anybody waits for it."""

from __future__ import annotations

import contextlib

import numpy as np

from fairlead.errors import FairleadError
from fairlead.servable.servable import LoadedModel
from fairlead.servable.signature import Array, Signature, TensorSpec

__all__ = ["warm_up"]


def warm_up(model: LoadedModel) -> None:
    """Run every signature whose shapes are known once, on one row of zeros."""
    for name, signature in model.signatures.items():
        if all(_is_known(spec) for spec in signature.inputs):
            # A model may well refuse zeros, or an empty text where it wants a picture: that says nothing against it.
            with contextlib.suppress(FairleadError):
                model.servables[name].predict(_zeros(signature))


def _is_known(spec: TensorSpec) -> bool:
    return not spec.is_unranked and -1 not in spec.shape[1:]


def _zeros(signature: Signature) -> dict[str, Array]:
    return {
        spec.name: _zero(spec, tuple(1 if size == -1 else size for size in spec.shape)) for spec in signature.inputs
    }


def _zero(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    return np.full(shape, "" if spec.dtype == "string" else 0, spec.numpy_dtype)
