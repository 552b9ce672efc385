"""What a new project is made of, and the writing of it.

What stands in `templates/` is every project's, and what stands in a folder there the project's of that template. A `_`
before a name is left out: the tools of this repository would take such files for its own.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from fairlead.errors import Code, FairleadError
from fairlead.projects.bearings import bearings
from fairlead.projects.tickets import tickets
from fairlead.servable.identity import check_model_name

__all__ = ["TEMPLATES", "Template", "files_of", "write_project"]

_HIDDEN = "_"
_LOCK: Final = "requirements.lock"
"""Written by the project's first `make`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A kind of project.

    Attributes:
        summary: what its model takes, at the head of a sentence.
        example: a body of `POST /predict`.
        rows: makes the file `rows.csv` beside its recipe.
    """

    summary: str
    example: str
    rows: Callable[[], str]


TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        "tabular": Template(
            summary="A row of a table",
            example='{"row": {"kind": "ball", "hours": 1200, "temperature": 61.5, "vibration": 2.4}}',
            rows=bearings,
        ),
        "text": Template(summary="A text", example='{"text": "My parcel with the lamp has not come."}', rows=tickets),
    }
)


def files_of(template: str, name: str) -> dict[PurePosixPath, str]:
    """The files of a project for a model called `name`: their texts by their paths in it.

    Raises:
        FairleadError: INVALID_ARGUMENT when no model can have that name, or another folder of the project has it.
    """
    check_model_name(name)
    chosen = TEMPLATES[template]
    words = {
        "NEWMODEL": name,
        "NEWVERSION": metadata.version("fairlead"),
        "NEWPYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",  # whose versions requirements.lock will have
        "NEWSUMMARY": chosen.summary,
        "NEWEXAMPLE": chosen.example,
    }
    folder = resources.files(__package__) / "templates"
    found = {PurePosixPath(name, "rows.csv"): chosen.rows()}
    texts = [*_texts(folder, TEMPLATES), *_texts(folder / template)]
    for taken in (_LOCK, *(path.parts[0] for path, _ in texts)):
        if taken.lower() == name.lower():
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{name!r} cannot be the model's name: the project has its {taken} beside the model",
                hint="call it after what it says, such as churn",
            )
    for path, text in texts:
        found[PurePosixPath(_said(str(path), words))] = _said(text, words)
    return dict(sorted(found.items()))


def write_project(files: Mapping[PurePosixPath, str], directory: Path) -> None:
    """Write the files into `directory`, which is made when it is not there. It is all of them or none.

    Raises:
        FairleadError: FAILED_PRECONDITION when one of them is there already, or cannot be written.
    """
    _check_free(files, directory)
    written: list[Path] = []
    try:
        for path, text in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as writer:
                written.append(target)
                writer.write(text)
    except OSError as error:
        for target in written:
            target.unlink(missing_ok=True)
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{error.filename or directory} cannot be written: {error.strerror}"
        ) from error


def _said(text: str, words: Mapping[str, str]) -> str:
    """The text of a template with each of its placeholders replaced."""
    return re.sub("|".join(words), lambda found: words[found[0]], text)


def _check_free(files: Mapping[PurePosixPath, str], directory: Path) -> None:
    if os.path.lexists(directory) and not directory.is_dir():
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"{directory} is no directory", hint="name another with --directory"
        )
    taken = [str(path) for path in files if os.path.lexists(directory / path)]
    if taken:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{directory} has {', '.join(taken)} already, and nothing is overwritten",
            hint="name an empty directory or a new one with --directory",
        )


def _texts(folder: Traversable, besides: Collection[str] = ()) -> Iterator[tuple[PurePosixPath, str]]:
    """The files below by the paths that they get; not in the folders `besides`, nor what tools left there."""
    for entry in folder.iterdir():
        path = PurePosixPath(entry.name.removeprefix(_HIDDEN))
        if entry.name.startswith((".", "__pycache__")) or entry.name in besides:
            continue
        if entry.is_file():
            yield path, entry.read_text(encoding="utf-8")
        else:
            yield from ((path / below, text) for below, text in _texts(entry))
