"""The `fairlead` command."""

from __future__ import annotations

import argparse
import importlib
import os
import select
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TextIO

from fairlead.errors import Code, FairleadError
from fairlead.telemetry.standard_error import keep_standard_error

__all__ = ["VERBS", "main"]

VERBS = {
    "init": "write a project: a recipe, its tests, settings, container and CI files",
    "up": "train the examples that have no champion, then serve them",
    "train": "train a model, put it through the gate, publish it",
    "retrain": "train a model again, and try what passes the gate",
    "controller": "look after the models: rollouts, drift, quality, schedule, backups",
    "serve": "serve the models of a store",
    "console": "who may sign in to the console",
    "keys": "who may call the public ports",
    "labels": "take in what the truth was",
    "quality": "how good each version is in production, and what has drifted",
    "batch": "score a file or a folder of pictures",
    "versions": "list a model's versions and what serves",
    "import": "publish a model that was made elsewhere, after a first load that may break",
    "graph": "publish an average, a vote, a stack or a chain of published versions",
    "optimize": "make a version faster, and publish what proves to be as good",
    "export": "write a version for another system, proven there",
    "sign": "sign a version, for servers that ask for a signature",
    "verify": "check every byte of a version, and its signature",
    "rollout": "try a version beside the stable one, under guard",
    "experiment": "report how far apart the two versions of a rollout are",
    "promote": "make a version the one that serves",
    "rollback": "return to the version that served before",
    "history": "who did what with a model, when and why",
    "backup": "copy the store, the database and the registry",
    "restore": "put a backup in place",
    "drill": "practise an incident on a scratch copy of the live set-up",
    "tensorboard": "show the training runs in TensorBoard",
    "doctor": "check what breaks deployments before it breaks",
}
_MISUSED = (Code.INVALID_ARGUMENT, Code.NOT_FOUND)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 failed, 2 misused, 3 the gate said no."""
    keep_standard_error()
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="fairlead", description="From a trained model to an honest production service."
    )
    parser.add_argument("--version", action="version", version=f"fairlead {metadata.version('fairlead')}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    wanted = next((argument for argument in arguments if argument in VERBS), "")
    for verb, summary in VERBS.items():
        module = importlib.import_module(f"fairlead.cli.{verb}") if verb == wanted else None
        verb_parser = verbs.add_parser(
            verb,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=module.EXAMPLE if module else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if module:
            module.configure(verb_parser)
            verb_parser.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        status = int(parsed.run(parsed))
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout):
            raise
        # Whoever reads has seen enough, as `head` does. The interpreter flushes once more at its end, to nowhere then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FairleadError as error:
        return _report(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
    return status


def _is_unread(output: TextIO) -> bool:
    """Whether it is a pipe whose reader has gone."""
    poll = select.poll()
    poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _report(error: FairleadError) -> int:
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  try: {error.hint}", file=sys.stderr)
    return 2 if error.code in _MISUSED else 1


if __name__ == "__main__":
    sys.exit(main())
