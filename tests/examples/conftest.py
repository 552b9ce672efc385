"""The digits example, loaded as a user's recipe is, and small idx files to feed it."""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.training.recipe import Sources, find_recipe


class Idx:
    """Makes idx files, sound ones and false ones."""

    @staticmethod
    def images(pixels: NDArray[np.uint8], *, magic: int = 2051, claimed: int | None = None) -> bytes:
        """An idx file of images, with a true header or a false one."""
        count, height, width = pixels.shape
        return struct.pack(">4I", magic, count if claimed is None else claimed, height, width) + pixels.tobytes()

    @staticmethod
    def labels(labels: NDArray[np.uint8], *, magic: int = 2049, claimed: int | None = None) -> bytes:
        """An idx file of labels, with a true header or a false one."""
        return struct.pack(">2I", magic, len(labels) if claimed is None else claimed) + labels.tobytes()

    @staticmethod
    def write(folder: Path, *, train: int = 30, held_out: int = 20, packed: bool = True) -> Path:
        """Four sound idx files of noise."""
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        for name, count in (("train", train), ("t10k", held_out)):
            pixels = generator.integers(0, 256, (count, 28, 28)).astype(np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            for stem, content in (("images-idx3", Idx.images(pixels)), ("labels-idx1", Idx.labels(labels))):
                path = folder / f"{name}-{stem}-ubyte{'.gz' if packed else ''}"
                path.write_bytes(gzip.compress(content) if packed else content)
        return folder


@pytest.fixture
def digits() -> Any:
    """The recipe."""
    return find_recipe("digits")


@pytest.fixture
def part(digits: Any) -> Callable[[str], ModuleType]:
    """The recipe's own modules by name: they live in a package that is named after its path."""
    package = type(digits).__module__
    return lambda name: sys.modules[f"{package}.{name}"]


@pytest.fixture
def said() -> list[str]:
    """What the recipe told the user."""
    return []


@pytest.fixture
def sources(tmp_path: Path, said: list[str]) -> Sources:
    """Sources with a folder for data that is still empty."""
    folder = tmp_path / "data"
    folder.mkdir()
    return Sources(data_dir=folder, cache_dir=tmp_path / "cache", say=said.append)


@pytest.fixture
def no_download(part: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the download's only mirror be a port on which nobody listens: no test leaves this machine."""
    monkeypatch.setattr(part("data"), "MIRRORS", ("http://127.0.0.1:9/",))


@pytest.fixture
def idx() -> type[Idx]:
    """Makes idx files."""
    return Idx
