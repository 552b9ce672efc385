"""Modules of PyTorch."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairlead.conversion.sample import answered_in_parts, rows_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors
from fairlead.training.extras import needs_extras

__all__ = ["Torch", "original"]

INSTALL: Final = "pip install 'fairlead[torch]'"
_ONE_OUTPUT: Final = "output"
_CAPTURED_OPSET: Final = 18
_TRACED_OPSET: Final = 17


def original(model: Any, sample: Any) -> Torch:
    """The module, asked as it is in evaluation, and rows for it.

    Args:
        model: a module whose `forward` takes tensors; the names of its arguments are those of the inputs.
        sample: an array, or arrays by those names.

    Raises:
        FairleadError: INVALID_ARGUMENT for rows that it does not take.
    """
    rows = rows_of(sample)
    names = [name for name in inspect.signature(model.forward).parameters if name not in ("args", "kwargs")]
    given = rows if isinstance(rows, Mapping) else {(names or ["x"])[0]: rows}
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the sample has {', '.join(unknown)} but the model's forward() takes {names}"
        )
    ordered = {name: given[name] for name in names if name in given}
    return Torch(model=model, inputs={name: _typed(model, array) for name, array in ordered.items()})


def _typed(model: Any, array: Array) -> Array:
    """Floats in the width of the module's own; whole numbers as they are."""
    if array.dtype.kind != "f":
        return array
    widths = [str(part.dtype).partition(".")[2] for part in model.parameters() if part.is_floating_point()]
    return array.astype(np.dtype(widths[0]) if widths and widths[0] in ("float16", "float64") else np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Torch:
    """See `Original`.

    Attributes:
        model: the module.
        inputs: the sample, by the names of the arguments of its `forward`, in their order.
    """

    model: Any
    inputs: Tensors

    @property
    def framework(self) -> str:
        return "PyTorch"

    @property
    def kind(self) -> str:
        return type(self.model).__name__

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    @property
    def columns(self) -> Mapping[str, Column]:
        return {}

    def answer(self) -> dict[str, Array]:
        with _evaluating(self.model):
            return answered_in_parts(self.inputs, self._ask)

    def export(self, path: Path) -> None:
        import torch  # noqa: PLC0415 - it is imported: an object of it is here

        two = {name: np.concatenate([array, array])[:2] for name, array in self.inputs.items()}
        with _evaluating(self.model):
            outputs = list(self._ask(two))
            is_captured = "dynamo" in inspect.signature(torch.onnx.export).parameters and bool(
                importlib.util.find_spec("onnxscript")
            )
            options = _captured(list(two)) if is_captured else _traced([*two, *outputs])
            with needs_extras("exporting a module of PyTorch to ONNX", INSTALL), _named_lack(), _quiet():
                torch.onnx.export(
                    self.model,
                    tuple(self._tensors(two)),  # two rows: of a single one exporters make a constant
                    str(path),
                    input_names=list(two),
                    output_names=outputs,
                    **options,
                )

    def _ask(self, rows: Tensors) -> dict[str, Array]:
        found = self.model(*self._tensors(rows))
        if not isinstance(found, dict):
            outputs = list(found) if isinstance(found, list | tuple) else [found]
            names = [f"{_ONE_OUTPUT}_{place}" for place in range(len(outputs))] if len(outputs) > 1 else [_ONE_OUTPUT]
            found = dict(zip(names, outputs, strict=True))
        return {name: np.from_dlpack(tensor.detach().cpu().contiguous()) for name, tensor in found.items()}

    def _tensors(self, rows: Tensors) -> list[Any]:
        """The rows, on the module's device. By DLPack, which needs no release of numpy to fit one of PyTorch."""
        import torch  # noqa: PLC0415 - it is imported: an object of it is here

        device = next((part.device for part in self.model.parameters()), "cpu")
        return [torch.from_dlpack(np.array(array, order="C")).to(device) for array in rows.values()]


def _captured(names: list[str]) -> dict[str, Any]:
    """How the exporter is called that captures the program, which is the default since PyTorch 2.9."""
    import torch  # noqa: PLC0415 - it is imported: an object of it is here

    rows = torch.export.Dim("n")
    return {
        "dynamo": True,
        "opset_version": _CAPTURED_OPSET,
        "external_data": False,
        "verbose": False,
        "dynamic_shapes": tuple({0: rows} for _ in names),
    }


def _traced(names: list[str]) -> dict[str, Any]:
    """How the older one is called, which writes down one run of it: for a PyTorch without what the other needs."""
    import torch  # noqa: PLC0415 - it is imported: an object of it is here

    knows_both = "dynamo" in inspect.signature(torch.onnx.export).parameters
    return {
        **({"dynamo": False} if knows_both else {}),
        "opset_version": _TRACED_OPSET,
        "dynamic_axes": {name: {0: "n"} for name in names},
    }


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """The module in evaluation, without gradients; afterwards each part of it is in the mode that it was in."""
    import torch  # noqa: PLC0415 - it is imported: an object of it is here

    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def _named_lack() -> Iterator[None]:
    """Say what an exporter cannot write, whatever it raises: their errors share no base, and some are pages long.

    Raises:
        FairleadError: UNIMPLEMENTED.
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except Exception as error:
        chain: list[BaseException] = [error]
        while cause := chain[-1].__cause__ or chain[-1].__context__:
            chain.append(cause)
        told = " ".join(str(each) for each in chain)
        lacking = re.search(r"(?:operator '|for <OpOverload\(op=')([\w:.]+)'", told)
        what = f"it has no {lacking[1]}" if lacking else next(iter(str(chain[-1]).strip().splitlines()), repr(error))
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the model cannot be written as ONNX: {what}",
            hint="take that out of forward() and let callers do it, or use other operators; axis 0 has to stay free",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say while they work."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)
