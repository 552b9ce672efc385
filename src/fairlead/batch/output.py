"""The directory that answers are written to: the job, its parts, what was rejected, and the mark that all is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead.batch.scorer import Scored
from fairlead.errors import Code, FairleadError
from fairlead.store.files import exclusive, storage_errors, write_file

__all__ = ["Counts", "Output"]

_JOB = "job.json"
_DONE = "done.json"
_PART = re.compile(r"part-(\d{5,})\.(jsonl|csv|parquet)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows: in all, scored, and rejected."""

    rows: int = 0
    scored: int = 0
    rejected: int = 0

    def plus(self, other: Counts) -> Counts:
        """These and others."""
        return Counts(
            rows=self.rows + other.rows, scored=self.scored + other.scored, rejected=self.rejected + other.rejected
        )


class Output:
    """A directory of one job. A file appears whole by one rename, and a part after what was rejected of it.

    Args:
        directory: made if it is not there.
        suffix: of the parts.
    """

    def __init__(self, directory: Path, suffix: str) -> None:
        self._directory = directory
        self._suffix = suffix

    @contextmanager
    def claimed(self, job: Mapping[str, Any]) -> Iterator[None]:
        """Hold the directory for `job` alone.

        Raises:
            FairleadError: FAILED_PRECONDITION when it holds another job or something else, with what differs; ABORTED
                while another process works on it.
        """
        with storage_errors(f"writing to {self._directory}"):
            self._check()
            self._directory.mkdir(parents=True, exist_ok=True)
            with exclusive(self._directory / ".lock", timeout_s=0.0):
                self._claim(job)
                yield

    def done(self) -> Counts | None:
        """The counts, once all parts are there."""
        path = self._directory / _DONE
        return Counts(**_read(path)) if path.is_file() else None

    def parts(self) -> frozenset[int]:
        """The numbers of the parts that are there."""
        found = (_PART.fullmatch(path.name) for path in self._directory.iterdir())
        return frozenset(int(match[1]) for match in found if match)

    def keep(self, part: Scored) -> Counts:
        """Put the part there, and before it what was rejected of it, unless it is there; what it came to."""
        rejected = self._rejected(part.number) if part.answers is None else len(part.rejects)
        if part.rejects:
            ordered = sorted(part.rejects, key=lambda reject: reject.row)
            lines = "".join(json.dumps(reject.to_json(), ensure_ascii=True) + "\n" for reject in ordered)
            write_file(self._rejects(part.number), lines.encode())
        if part.answers is not None:
            write_file(self._directory / f"part-{part.number:05d}.{self._suffix}", part.answers)
        return Counts(rows=part.rows, scored=part.rows - rejected, rejected=rejected)

    def finish(self, counts: Counts) -> None:
        """Mark that all is there."""
        write_file(self._directory / _DONE, json.dumps(asdict(counts)).encode() + b"\n")

    def _rejected(self, number: int) -> int:
        """How many rows of a part that is there were rejected."""
        path = self._rejects(number)
        if not path.is_file():
            return 0
        with path.open("rb") as lines:
            return sum(1 for _ in lines)

    def _rejects(self, number: int) -> Path:
        return self._directory / f"part-{number:05d}.rejects.jsonl"

    def _check(self) -> None:
        """Raise unless it is a job's directory, or one to be."""
        directory = self._directory
        if directory.exists() and not directory.is_dir():
            raise FairleadError(Code.FAILED_PRECONDITION, f"{directory} is a file", hint="name a directory to write to")
        names = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
        if _JOB not in names and set(names) - {".lock", f".{_JOB}.new"}:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{directory} holds {names[0]} and no {_JOB}: it is not a job's",
                hint="name a directory that is empty or not there",
            )

    def _claim(self, job: Mapping[str, Any]) -> None:
        path = self._directory / _JOB
        if not path.is_file():
            write_file(path, json.dumps(job, indent=2).encode() + b"\n")
            return
        there = _read(path)
        for name, value in job.items():
            if there.get(name) != value:
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"{self._directory} is of another job: its {name} is {there.get(name)}, here it is {value}",
                    hint="name another directory, or ask for what that job did",
                )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise FairleadError(Code.DATA_LOSS, f"{path} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise FairleadError(Code.DATA_LOSS, f"{path} is damaged: it holds no object")
    return found
