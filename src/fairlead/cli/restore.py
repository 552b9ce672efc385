"""`fairlead restore`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.app.releases import now
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead restore
  fairlead restore 20260302T020000Z --force

fairlead backup --list has the names. Stop the controller and the servers that log predictions before, and start them
again after. Every byte of the backup is checked first. What is there is set aside, never deleted."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="of a backup (default: the newest)")
    parser.add_argument("--force", action="store_true", help="set aside what is there; else all places must be empty")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "database_url", "tracking_uri")


def run(arguments: Namespace) -> int:
    with needs_extras("restoring", INSTALL_CONTROL):
        from fairlead.app.control import backup_root, open_journal, places  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
        from fairlead.controller.backup import find_backup  # noqa: PLC0415 - likewise
        from fairlead.controller.journal import Action  # noqa: PLC0415 - likewise
        from fairlead.controller.restore import restore  # noqa: PLC0415 - likewise
        from fairlead.database.engine import open_engine  # noqa: PLC0415 - likewise
    settings = settings_from(arguments)
    if settings.bucket_url is not None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"a backup is restored into a directory, not into {settings.bucket_url}",
            hint="fairlead restore --store DIR; a bucket keeps what was overwritten where its versioning is on",
        )
    open_engine(settings.database).dispose()  # an address that makes no sense is told before anything is moved
    made = find_backup(backup_root(settings), arguments.name)
    aside = restore(made, places(settings), at=now(), force=arguments.force)
    engine = find_database(settings)
    if engine is not None:
        why = f"made on {made.at:%Y-%m-%d %H:%M:%S} UTC{f': {made.why}' if made.why else ''}"
        evidence = {"aside": [str(path) for path in aside]}
        open_journal(engine).write(Action.RESTORED, model="", subject=made.name, why=why, evidence=evidence)
        engine.dispose()
    if arguments.json:
        json_line({"name": made.name, "aside": [str(path) for path in aside]})
    else:
        print(f"restored {made.name}: {len(made.files)} files, every byte as it was")
        for path in aside:
            print(f"set aside: {path}")
    for version, problem in made.left_out.items():
        say(f"{version} was damaged when the backup was made, and is not in it: {problem}")
    say("next: fairlead doctor; restart what ran meanwhile: it may still write to what was set aside")
    return 0
