"""`fairlead backup`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.app.releases import now, open_store
from fairlead.cli.output import columns, json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    from fairlead.controller.backup_file import Backup

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead backup --why "before the move"
  fairlead backup --list

Copies the store, the database and the embedded registry into HOME/backups while they are in use.
fairlead restore puts them back."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--why", default="", help="for the list and the history")
    parser.add_argument("--keep", type=int, metavar="N", help="backups that are kept, this one included (default: 7)")
    parser.add_argument("--list", action="store_true", help="make none, and list those there are")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "database_url", "tracking_uri")


def run(arguments: Namespace) -> int:
    with needs_extras("a backup", INSTALL_CONTROL):
        from fairlead.app.control import backup_root, open_journal, places  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
        from fairlead.controller.backup import backup, backups  # noqa: PLC0415 - likewise
        from fairlead.controller.journal import Action  # noqa: PLC0415 - likewise
    settings = settings_from(arguments)
    root = backup_root(settings)
    if arguments.list:
        _list(backups(root), root, as_json=arguments.json)
        return 0
    keep = settings.keep_backups if arguments.keep is None else arguments.keep
    if keep < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"--keep is {keep}, and 1 is the least", hint="--keep 7")
    open_store(settings).check()  # a backup of nothing would take the place of an older one that holds something
    engine = find_database(settings)
    why = arguments.why or "by hand"
    made = backup(places(settings), root, at=now(), why=why, keep=keep)
    if engine is not None:
        open_journal(engine).write(Action.BACKED_UP, model="", subject=made.name, why=why)
        engine.dispose()
    for version, problem in made.left_out.items():
        say(f"left out {version}, which is damaged: {problem}")
    if arguments.json:
        json_line(_to_json(made))
    else:
        print(f"backup {made.name}: {len(made.files)} files, {_size(made.size_bytes)}, in {made.directory}")
    return 0


def _list(made: tuple[Backup, ...], root: Path, *, as_json: bool) -> None:
    if as_json:
        json_line({"backups": [_to_json(one) for one in made]})
    elif made:
        rows = [(one.name, str(len(one.files)), _size(one.size_bytes), one.why) for one in made]
        print(columns([("NAME", "FILES", "SIZE", "WHY"), *rows]))
    else:
        print(f"there is no backup in {root}; next: fairlead backup")


def _to_json(made: Backup) -> dict[str, Any]:
    return {
        "name": made.name,
        "at": made.at.isoformat(timespec="seconds"),
        "why": made.why,
        "directory": str(made.directory),
        "files": len(made.files),
        "size_bytes": made.size_bytes,
        "left_out": dict(made.left_out),
    }


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
