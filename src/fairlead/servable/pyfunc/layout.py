"""How a model directory of MLflow's lies in a version: its files side by side under numbers, and a list of their paths.

A version has no directories in it, so that a store may be a bucket and every file is under the manifest's digests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature

__all__ = ["ALLOW", "LAYOUT_FILE", "PYFUNC_RUNTIME", "Form", "Layout"]

PYFUNC_RUNTIME: Final = "pyfunc"
ALLOW: Final = "FAIRLEAD_PYTHON_MODELS=on, for models that you would run as a program"
"""What to do where such models are not allowed."""

LAYOUT_FILE: Final = "pyfunc.json"
_MOST_FILES: Final = 10_000

Form = str
"""What the model takes: "array" for one, "arrays" for some by name, "table" for a table with the inputs as columns."""

_FORMS: Final = ("array", "arrays", "table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a version says of the model in it.

    Attributes:
        form: see `Form`.
        signature: what it takes and gives.
        paths: of its files in MLflow's directory, by their names in the version.
    """

    form: Form
    signature: Signature
    paths: Mapping[str, str] = field(default_factory=dict)

    def lay_down(self, source: Path, version: Path) -> None:
        """Copy the model in `source` into the directory of a version, and describe it there; its own paths are unused.

        Raises:
            FairleadError: FAILED_PRECONDITION when it has too many files.
        """
        found = sorted(path for path in source.rglob("*") if path.is_file())
        if len(found) > _MOST_FILES:
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{source} has {len(found):,} files, more than {_MOST_FILES:,}"
            )
        paths = {f"part-{number:04d}": path.relative_to(source).as_posix() for number, path in enumerate(found)}
        for name, path in paths.items():
            shutil.copyfile(source / path, version / name)
        body = {"form": self.form, "signature": self.signature.to_json(), "paths": paths}
        (version / LAYOUT_FILE).write_text(json.dumps(body, indent=2, ensure_ascii=False))

    def take_up(self, version: Path, target: Path) -> None:
        """Make MLflow's directory again in `target`, of copies: MLflow follows no links, and models write files."""
        for name, path in self.paths.items():
            place = target / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version / name, place)

    @staticmethod
    def read(version: Path) -> Layout:
        """What the version in the directory says.

        Raises:
            FairleadError: DATA_LOSS when it says nothing that makes sense.
        """
        path = version / LAYOUT_FILE
        try:
            return _from_json(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, FairleadError) as error:
            raise FairleadError(Code.DATA_LOSS, f"{path} does not say how its model lies: {error}") from error


def _from_json(body: Mapping[str, Any]) -> Layout:
    paths = {str(name): str(path) for name, path in body["paths"].items()}
    for name, path in paths.items():
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "/" in name or name.startswith("."):
            raise ValueError(f"{name!r} at {path!r}")
    if body["form"] not in _FORMS:
        raise ValueError(f"the form {body['form']!r}")
    return Layout(form=str(body["form"]), signature=Signature.from_json(body["signature"]), paths=paths)
