"""Run by `test_torch.py`: writes modules as ONNX, and prints for each how far its answers are, or why it is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += sys.argv[1:2]

import numpy as np
import torch
from torch import nn

from fairlead.conversion.choosing import original_of
from fairlead.errors import FairleadError
from fairlead.servable.runtimes.onnx import open_model

DICE = np.random.default_rng(0)
ROWS = DICE.random((5, 4))


class Several(nn.Module):  # type: ignore[misc] # PyTorch is not installed where types are checked
    """Takes numbers and whole numbers, and gives two answers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.embedding = nn.Linear(4, 3), nn.Embedding(5, 3)

    def forward(self, x: Any, kinds: Any) -> Any:
        scores = self.linear(x) + self.embedding(kinds).sum(1)
        return scores, torch.softmax(scores, 1)


class Named(nn.Module):  # type: ignore[misc] # as above
    """Names its answer, and drops half of it while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

    def forward(self, pixels: Any) -> Any:
        return {"scores": self.norm(self.drop(pixels))}


class Lacking(nn.Module):  # type: ignore[misc] # as above
    """Uses a function that ONNX does not have."""

    def forward(self, x: Any) -> Any:
        return torch.special.bessel_j1(x)


IMAGES = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10), nn.Softmax(1))
CASES: dict[str, tuple[Any, Any]] = {
    "images": (IMAGES, DICE.random((5, 1, 28, 28))),
    "several": (Several(), {"kinds": DICE.integers(0, 5, (5, 2)), "x": ROWS}),
    "named": (Named(), ROWS[:1]),
    "lacking": (Lacking(), ROWS),
    "unknown": (Several(), {"y": ROWS}),
}


def outcome(model: Any, sample: Any, path: Path) -> dict[str, Any]:
    """The signature of the file, and how far it is from the module; or why there is none."""
    try:
        original = original_of(model, sample)
        original.export(path)
    except FairleadError as error:
        return {"code": error.code.name, "message": error.message, "hint": error.hint}
    servable, signature = open_model(path)
    signature.check_inputs(original.inputs)
    want = original.answer()
    got = servable.predict(original.inputs)
    return {
        "framework": original.framework,
        "inputs": [[spec.name, spec.dtype, spec.shape] for spec in signature.inputs],
        "outputs": [[spec.name, spec.shape] for spec in signature.outputs],
        "difference": max(float(np.abs(got[name] - array).max()) for name, array in want.items()),
        "is_training": model.training,
    }


with TemporaryDirectory() as folder:
    sys.stdout.write(json.dumps({name: outcome(*case, Path(folder) / f"{name}.onnx") for name, case in CASES.items()}))
