"""Classify and regress, and what a signature must have for them."""

from __future__ import annotations

import enum

from fairlead.errors import Code, FairleadError
from fairlead.servable.scores import MEMBERS
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.transport.invalid import invalid

__all__ = ["Method", "check_fits", "classification_outputs", "regression_output"]


class Method(enum.StrEnum):
    """What is asked of examples, by the verb that REST has for it."""

    CLASSIFY = "classify"
    REGRESS = "regress"

    @staticmethod
    def named(name: str) -> Method:
        """The method with TensorFlow's name, such as "tensorflow/serving/classify".

        Raises:
            FairleadError: UNIMPLEMENTED for any other.
        """
        for method in Method:
            if name == f"tensorflow/serving/{method}":
                return method
        raise FairleadError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {name[:80]}")


def check_fits(method: Method, signature: Signature) -> None:
    """Raise INVALID_ARGUMENT unless `signature` takes rows and has the outputs that `method` is about."""
    if any(not spec.is_unranked and spec.shape[:1] != (-1,) for spec in signature.inputs):
        what = "classification" if method is Method.CLASSIFY else "regression"
        raise invalid(f"No {what} inputs found in SignatureDef: {_shown(signature.inputs)}")
    if method is Method.CLASSIFY:
        classification_outputs(signature)
    else:
        regression_output(signature)


def classification_outputs(signature: Signature) -> dict[str, TensorSpec]:
    """The outputs with the classes' names and with their scores, as "classes" and "scores"; one may be missing.

    They are called so in a signature that was made for it. Any other has a single output, with a score for each class
    in each row.

    Raises:
        FairleadError: INVALID_ARGUMENT when there is neither.
    """
    kinds = {"classes": "O", "scores": "f"}
    found = {spec.name: spec for spec in signature.outputs if spec.numpy_dtype.kind == kinds.get(spec.name)}
    if found:
        return found
    only, *others = _own(signature)
    if others or only.numpy_dtype.kind != "f" or len(only.shape) != 2 or only.shape[0] != -1:  # noqa: PLR2004 - [n, k]
        raise invalid(f"No classification outputs found in SignatureDef: {_shown(signature.outputs)}")
    return {"scores": only}


def regression_output(signature: Signature) -> TensorSpec:
    """The output with the values: the one called "outputs", or the only one where it has one value a row.

    Raises:
        FairleadError: INVALID_ARGUMENT when there is none.
    """
    named = next((spec for spec in signature.outputs if spec.name == "outputs"), None)
    only, *others = _own(signature)
    found = named or (None if others or only.shape not in ((-1,), (-1, 1)) else only)
    if found is None or found.numpy_dtype.kind != "f":
        raise invalid(f"No regression outputs found in SignatureDef: {_shown(signature.outputs)}")
    return found


def _own(signature: Signature) -> list[TensorSpec]:
    """The outputs but for that in which a graph says who spoke."""
    return [spec for spec in signature.outputs if spec.name != MEMBERS] or list(signature.outputs)


def _shown(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name}: {spec.dtype}[{','.join(map(str, spec.shape))}]" for spec in specs)
