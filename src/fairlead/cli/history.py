"""`fairlead history`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fairlead.app.releases import open_store
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import Settings, add_flags
from fairlead.errors import Code, FairleadError
from fairlead.store.release import Release
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead history digits
  fairlead history digits --limit 10 --json

The store tells what served; the database, where there is one, what led to it."""

_ALL = ""  # what the journal says of no model alone: backups, and who leads


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="the newest lines (default: 50)")
    parser.add_argument("--json", action="store_true", help="print the lines as JSON, with their evidence")
    add_flags(parser, "home", "store", "database_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One thing that happened."""

    at: datetime
    text: str
    document: Mapping[str, Any]


def run(arguments: Namespace) -> int:
    settings, model, limit = settings_from(arguments), arguments.model, arguments.limit
    if limit < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"--limit is {limit}, and 1 is the least", hint="--limit 50")
    store = open_store(settings)
    releases = [_release(release) for release in store.history(model)]
    lines = [*_journal(settings, model, limit), *releases]
    if not lines and not store.versions(model):
        raise store.no_model(model)
    # The store knows whole seconds: within one, what was decided comes before the release that it led to.
    newest = sorted(lines, key=lambda line: line.at.replace(microsecond=0))[-limit:]
    if arguments.json:
        json_line({"model": model, "lines": [dict(line.document) for line in newest]})
        return 0
    for line in newest:
        print(line.text)
    if not newest:
        print(f"nothing was done with {model} yet; next: fairlead promote {model} VERSION")
    return 0


def _journal(settings: Settings, model: str, limit: int) -> list[_Line]:
    """What the journal says; nothing where it cannot be read, which must not hide what served."""
    try:
        with needs_extras("the journal", INSTALL_CONTROL):
            from fairlead.app.control import open_journal  # noqa: PLC0415 - the control plane
            from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
        engine = find_database(settings)
        if engine is None:
            say("there is no database: these are the store's releases alone")
            return []
        journal = open_journal(engine)
        entries = [*journal.read(model, limit=limit), *journal.read(_ALL, limit=limit)]
        engine.dispose()
    except FairleadError as error:
        say(f"these are the store's releases alone: {error.message}")
        return []
    entries.sort(key=lambda entry: entry.seq)
    return [_Line(at=entry.at, text=entry.line, document={"in": "journal", **entry.to_json()}) for entry in entries]


def _release(release: Release) -> _Line:
    tried = release.candidate
    serves = f"{release.stable} serves"
    if tried is not None:
        serves += f", {tried.version} is tried ({tried.mode} with a weight of {tried.weight:g})"
    why = f": {' '.join(release.why.split())}" if release.why else ""
    return _Line(
        at=release.at,
        text=f"{release.at:%Y-%m-%d %H:%M:%S}  release {release.revision}  {serves}  by {release.who}{why}",
        document={
            "in": "releases",
            "at": release.at.isoformat(timespec="seconds"),
            "who": release.who,
            "revision": release.revision,
            "stable": release.stable,
            "candidate": tried.to_json() if tried else None,
            "labels": dict(release.labels),
            "why": release.why,
            "evidence": dict(release.evidence),
        },
    )
