"""A folder of pictures, each of them a row."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.batch.source import Decoded, Part, Reject
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.transform import PictureTransform, transform_from_json

__all__ = ["PictureSource"]

_SUFFIXES = (".png", ".jpg", ".jpeg")


class PictureSource:
    """The PNG and JPEG files in a folder and those below it, in the order of their names.

    Args:
        folder: where they are.
        manifest: of the version, whose transform makes inputs of them.

    Raises:
        FairleadError: INVALID_ARGUMENT when there is none, FAILED_PRECONDITION when the version takes no pictures.
    """

    names: Sequence[str] = ()

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        transform = transform_from_json(manifest.transform)
        if transform is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"model {manifest.model!r} version {manifest.version} does not say how a picture becomes its input",
                hint="give the rows in a file, or publish the model with a transform",
            )
        self._folder = folder
        self._transform: PictureTransform = transform
        self._input = manifest.signature.inputs[0].name
        self._files = self._find()
        if not self._files:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{folder} holds no picture: no {', '.join(_SUFFIXES)} file")

    def identity(self) -> Mapping[str, Any]:
        digest = hashlib.sha256()
        for name in self._find():
            found = (self._folder / name).stat()
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode(errors="surrogateescape"))
        return {"path": str(self._folder.resolve()), "files": len(self._files), "sha256": digest.hexdigest()}

    def parts(self, size: int, done: Collection[int]) -> Iterator[Part]:
        for number, start in enumerate(range(0, len(self._files), size)):
            files = self._files[start : start + size]
            decode = partial(_decode, self._folder, self._transform, self._input, files, start)
            yield Part(number=number, rows=len(files), decode=None if number in done else decode)

    def _find(self) -> list[str]:
        walk = os.walk(self._folder)  # which holds names and no objects for them, of which there may be millions
        paths = (Path(folder, name) for folder, _, names in walk for name in names)
        pictures = (path for path in paths if path.suffix.lower() in _SUFFIXES and path.is_file())
        return sorted(str(path.relative_to(self._folder)) for path in pictures)


def _decode(folder: Path, transform: PictureTransform, name: str, files: Sequence[str], first: int) -> Decoded:
    """The pictures as the input `name`."""
    rows, arrays, rejects = [], [], []
    for row, file in enumerate(files, first):
        try:
            arrays.append(transform.apply((folder / file).read_bytes()))
            rows.append(row)
        except FairleadError as error:
            rejects.append(Reject(row=row, reason=error.message, file=file))
        except OSError as error:
            if not folder.is_dir():  # a node that does not see it, or a mount that went: no fault of the pictures
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"there is no folder {folder} on {platform.node()}",
                    hint="pictures are read where they are scored: each node has to see the folder",
                ) from error
            rejects.append(Reject(row=row, reason=f"it cannot be read: {error.strerror}", file=file))
    return Decoded(
        rows=np.array(rows, np.int64),
        tensors={name: np.concatenate(arrays)} if arrays else {},
        rejects=tuple(rejects),
        files=tuple(files[row - first] for row in rows),
    )
