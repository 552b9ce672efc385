"""A picture to try a model with, made of its own golden inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

__all__ = ["write_sample"]


def write_sample(store: Store, model: str, version: int | None, directory: Path) -> Path:
    """Write the version's first golden input as a PNG, dark on light as on paper, and return its path.

    Raises:
        FairleadError: FAILED_PRECONDITION when the model takes no pictures.
    """
    if version is None:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{model} serves no version")
    published = store.open(ServableId(model, version))
    golden = Golden.load(published.directory / GOLDEN_FILE)
    row = next(iter(golden.inputs.values()))[0]
    if row.ndim != 3 or row.shape[2] != 1:  # noqa: PLR2004 - height, width, one channel
        raise FairleadError(Code.FAILED_PRECONDITION, f"{published.manifest.id} takes no grey pictures")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{model}-{version}.png"
    Image.fromarray((255 - row[:, :, 0] * 255).astype(np.uint8)).save(path)
    return path
