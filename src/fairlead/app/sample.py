"""Something to try a model with, made of its own golden inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.signature import Array
from fairlead.store.store import Store

__all__ = ["Sample", "write_sample"]

_LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A picture or a text.

    Attributes:
        picture: a PNG file; None where it is a text.
        text: empty where it is a picture.
    """

    picture: Path | None = None
    text: str = ""


def write_sample(store: Store, model: str, version: int | None, directory: Path) -> Sample:
    """The version's first golden input as a PNG in `directory`, dark on light as on paper, or the words it begins with.

    Raises:
        FairleadError: FAILED_PRECONDITION when the model takes neither pictures nor texts.
    """
    if version is None:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{model} serves no version")
    published = store.open(ServableId(model, version))
    golden = Golden.load(published.directory / GOLDEN_FILE)
    row = next(iter(golden.inputs.values()))[0]
    if isinstance(row, str) and len(golden.inputs) == 1:
        return Sample(text=_beginning(row))
    if np.ndim(row) != 3 or row.shape[2] != 1:  # noqa: PLR2004 - height, width, one channel
        raise FairleadError(Code.FAILED_PRECONDITION, f"{published.manifest.id} takes neither grey pictures nor texts")
    return Sample(picture=_draw(row, directory, f"{model}-{version}.png"))


def _beginning(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_TEXT else words[:_LONGEST_TEXT].rpartition(" ")[0] or words[:_LONGEST_TEXT]


def _draw(row: Array, directory: Path, name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    Image.fromarray((255 - row[:, :, 0] * 255).astype(np.uint8)).save(path)
    return path
