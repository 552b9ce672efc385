"""`fairlead graph`."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fairlead.app.graphs import publish_graph
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.servable.graph.spec import DEADLINE_MS, GraphSpec, Kind

__all__ = ["EXAMPLE", "configure", "run"]

_FAIL = "fail"
EXAMPLE = """example:
  fairlead graph digits-average --average digits@1 digits@2 --deadline-ms 20 --quorum 1
  fairlead graph digits-vote --vote digits@1 digits@2 digits@3 --agreement 0.6 --otherwise digits@3
  fairlead graph digits-stack --stack digits@1 digits@2 --final referee@1
  fairlead graph tickets --file graph.json

All versions that it names must be published in the same store. The first version of a name is released; a later one
waits for `fairlead rollout` or `fairlead promote`. The form of the file is in docs/graphs.md.

Exit status 3: the gate said no; nothing was published and what serves goes on serving."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="the model that it becomes a version of")
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--average", nargs="+", metavar="MODEL@VERSION", help="the mean of what these answer")
    kinds.add_argument("--vote", nargs="+", metavar="MODEL@VERSION", help="the class that most of these choose")
    kinds.add_argument("--stack", nargs="+", metavar="MODEL@VERSION", help="what --final makes of the answers of these")
    kinds.add_argument("--chain", nargs="+", metavar="MODEL@VERSION", help="each is asked what the one before answers")
    kinds.add_argument("--file", type=Path, help="the whole graph as JSON, and no other option of it")
    parser.add_argument("--final", metavar="MODEL@VERSION", help="of a stack: who is asked what all others answered")
    parser.add_argument("--weights", nargs="+", type=float, help="of an average or a vote: one number a member")
    parser.add_argument("--deadline-ms", type=float, help=f"how long each is waited for (default: {DEADLINE_MS:g})")
    parser.add_argument("--quorum", type=int, help="how many must speak at least (default: more than half)")
    parser.add_argument("--agreement", type=float, help="of a vote: the least share that the winner must have")
    parser.add_argument(
        "--otherwise",
        default=_FAIL,
        metavar=f"MODEL@VERSION|{_FAIL}",
        help="whose answer counts where too few speak or agree (default: the request fails)",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "signing_key", "trusted_keys", "operator_libraries")


def run(arguments: Namespace) -> int:
    spec = GraphSpec.from_json(_read(arguments.file) if arguments.file else _given(arguments))
    done = publish_graph(settings_from(arguments), arguments.name, spec)
    if arguments.json:
        json_line(
            {
                "gate": done.report.to_json(),
                "version": done.version.version if done.version else None,
                "stable": done.release.stable if done.release else None,
            }
        )
    else:
        print(done.shown)
    if done.version is None:
        say("nothing was published; publish it under another name")
        return 3
    number = done.version.version
    next_ = "it is the first, and serves" if done.is_released else f"next: fairlead promote {arguments.name} {number}"
    say(f"published {done.version}; {next_}")
    return 0


def _given(arguments: Namespace) -> dict[str, Any]:
    """The graph that the options describe, as a file would."""
    kind = next(kind for kind in Kind if getattr(arguments, kind.value))
    names, weights = getattr(arguments, kind.value), arguments.weights
    if weights is not None and len(weights) != len(names):
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"there are {len(weights)} weights for {len(names)} members: one each"
        )
    wait = {} if arguments.deadline_ms is None else {"deadline_ms": arguments.deadline_ms}
    members = [{"version": name} | wait for name in names]
    for member, weight in zip(members, weights or [], strict=False):
        member["weight"] = weight
    given = {
        "final": arguments.final and {"version": arguments.final} | wait,
        "quorum": arguments.quorum,
        "agreement": arguments.agreement,
        "fallback": None if arguments.otherwise == _FAIL else {"version": arguments.otherwise} | wait,
    }
    return {"kind": kind.value, "members": members} | {
        name: value for name, value in given.items() if value is not None
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"the graph {path} cannot be read: {error}") from error
