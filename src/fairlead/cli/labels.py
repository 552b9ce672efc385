"""`fairlead labels`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.app.releases import open_store
from fairlead.cli.output import columns, json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    pass

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead labels import truth.csv
  fairlead labels import truth.parquet --model digits --source laboratory

The columns prediction_id and label are read. Importing again is harmless: what was said before counts as repeated."""

_MAX_SOURCE = 64
_MEANINGS = {
    "joined": "their prediction is in the log",
    "waiting": "kept; their prediction may still come",
    "repeated": "said before; nothing changed",
    "corrected": "something else was said before; this counts now",
    "unknown": "their prediction is not in the log and can no longer come; not kept",
}


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    importing = actions.add_parser("import", help="take in the labels of a CSV or Parquet file")
    importing.add_argument("file", type=Path)
    importing.add_argument("--model", help="the only model whose predictions are meant")
    importing.add_argument("--source", help="who says so (default: the file's name)")
    importing.add_argument("--json", action="store_true", help="print the counts as JSON")
    add_flags(importing, "home", "store", "database_url")


def run(arguments: Namespace) -> int:
    counts: Counter[str] = Counter()
    try:
        _take(arguments, counts)
    except FairleadError as error:
        _tell(counts, as_json=arguments.json)
        raise _stopped(error, counts) from error
    _tell(counts, as_json=arguments.json)
    if not counts:
        say(f"{arguments.file} holds no label")
    return 0


def _take(arguments: Namespace, counts: Counter[str]) -> None:
    """Take the file's labels in, some thousands at a time: each time all of them or none."""
    with needs_extras("importing labels", INSTALL_CONTROL):
        from fairlead.app.control import open_feedback  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
        from fairlead.monitoring.feedback import MAX_LABELS  # noqa: PLC0415 - likewise
        from fairlead.monitoring.label_file import read_labels  # noqa: PLC0415 - likewise
    settings, model = settings_from(arguments), arguments.model
    if model is not None and not open_store(settings).versions(model):
        raise open_store(settings).no_model(model)
    engine = find_database(settings)
    if engine is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "there is no database, and so no prediction that a label could be about",
            hint="name the home or the database of the server: --home DIR or --database-url URL",
        )
    feedback = open_feedback(engine, open_store(settings))
    source = arguments.source if arguments.source is not None else arguments.file.name[:_MAX_SOURCE]
    for some in read_labels(arguments.file):
        counts.update(one.outcome.value for one in feedback.give(some, source=source, model=model))
        if counts.total() >= MAX_LABELS:
            say(f"{counts.total():,} labels")
    engine.dispose()


def _tell(counts: Counter[str], *, as_json: bool) -> None:
    if as_json:
        json_line({"labels": counts.total(), **{outcome: counts[outcome] for outcome in _MEANINGS}})
    elif counts:
        rows = [(f"{counts[outcome]:,}", outcome, meaning) for outcome, meaning in _MEANINGS.items() if counts[outcome]]
        print(columns([("LABELS", "OUTCOME", "MEANING"), *rows]))


def _stopped(error: FairleadError, counts: Counter[str]) -> FairleadError:
    """What to say when not all was taken in: the file failed, not the command."""
    again = "mend the file and import it again: what is in already counts as repeated"
    if error.code is Code.INVALID_ARGUMENT:
        return FairleadError(Code.ABORTED, error.message, hint=f"{error.hint}; {again}" if error.hint else again)
    if counts:
        return FairleadError(error.code, error.message, hint="import the file again: what is in counts as repeated")
    return error
