"""Something to try a model with, made of its own golden inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import MISSING_TEXT
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.signature import Array
from fairlead.store.store import Store

__all__ = ["Sample", "write_sample"]

_LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A picture, or what else `POST /predict` takes.

    Attributes:
        picture: a PNG file; None where it is something else.
        body: a text or a row as it is sent; empty where it is a picture.
    """

    picture: Path | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


def write_sample(store: Store, model: str, version: int | None, directory: Path) -> Sample:
    """The version's first golden input.

    It is a PNG in `directory`, dark on light as on paper; the words that a text begins with; or a row of a table.

    Raises:
        FairleadError: FAILED_PRECONDITION when the model takes none of these.
    """
    if version is None:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{model} serves no version")
    published = store.open(ServableId(model, version))
    first = {name: array[0] for name, array in Golden.load(published.directory / GOLDEN_FILE).inputs.items()}
    row = next(iter(first.values()))
    if isinstance(row, str) and len(first) == 1:
        return Sample(body={"text": _beginning(row)})
    if all(np.ndim(value) == 0 for value in first.values()):
        return Sample(body={"row": {name: _value(value) for name, value in first.items()}})
    if np.ndim(row) != 3 or row.shape[2] != 1:  # noqa: PLR2004 - height, width, one channel
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{published.manifest.id} takes neither grey pictures nor texts nor named columns"
        )
    return Sample(picture=_draw(row, directory, f"{model}-{version}.png"))


def _value(value: Any) -> Any:
    """A value of a column as JSON has it: a number by its shortest digits, and null where it is missing."""
    if isinstance(value, str):
        return None if value == MISSING_TEXT else value
    if value.dtype.kind == "f":
        return None if np.isnan(value) else float(str(value))
    return value.item()


def _beginning(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_TEXT else words[:_LONGEST_TEXT].rpartition(" ")[0] or words[:_LONGEST_TEXT]


def _draw(row: Array, directory: Path, name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    Image.fromarray((255 - row[:, :, 0] * 255).astype(np.uint8)).save(path)
    return path
