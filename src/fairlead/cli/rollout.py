"""`fairlead rollout`."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.app.releases import open_store
from fairlead.app.user import user_name
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import Settings, add_flags
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    from fairlead.controller.lease import Holding
    from fairlead.controller.rollout_record import Rollout
    from fairlead.controller.rollouts import Rollouts
    from fairlead.rollout.plan import Plan

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead rollout start digits 5
  fairlead rollout start digits 5 --mode ab --weights 0.5 --min-labels 2000
  fairlead rollout status digits
  fairlead rollout abort digits --why "the new camera comes first"

A controller brings a rollout forward, and takes back a candidate that does harm: fairlead controller."""

_WIDTH = 100
_WEIGHTS = {"shadow": [], "canary": [0.01, 0.1, 0.5], "ab": [0.5]}
_PLAN = {
    "weights": ("weights", "the candidate's share of requests, step by step, such as 0.01,0.1,0.5"),
    "bake_s": ("bake", "seconds that each step lasts at least"),
    "min_requests": ("min-requests", "rows that the candidate answers in each step at least"),
    "min_labels": ("min-labels", "labels of the candidate at which its accuracy is judged, once"),
    "horizon_s": ("horizon", "seconds after which an A/B is judged"),
    "timeout_s": ("timeout", "seconds after which --on-timeout decides"),
}
_COUNTS = ("min_requests", "min_labels")
_NONE_LEADS = (
    "no controller runs, so that nothing guards this rollout or brings it forward; start one: fairlead controller"
)


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = actions.add_parser("start", help="begin to try a version beside the stable one")
    start.add_argument("model")
    start.add_argument("version", type=int)
    start.add_argument("--plan", type=Path, metavar="FILE", help="a JSON file with the plan's fields")
    start.add_argument("--mode", choices=tuple(_WEIGHTS), help="default: the plan's, else canary")
    for name, (flag, meaning) in _PLAN.items():
        start.add_argument(f"--{flag}", dest=name, metavar="N" if name in _COUNTS else "S", help=meaning)
    start.add_argument("--on-timeout", choices=("roll_back", "hold_for_person", "promote"), help="default: roll_back")
    start.add_argument("--why", default="", help="for the history")
    start.add_argument("--again", action="store_true", help="also a version that was rolled back before")
    status = actions.add_parser("status", help="where rollouts stand, and what each guard says")
    status.add_argument("model", nargs="?", help="default: every rollout under way")
    abort = actions.add_parser("abort", help="end a rollout; the stable version goes on for everybody")
    abort.add_argument("model")
    abort.add_argument("--why", default="", help="for the history")
    for action in (start, status, abort):
        action.add_argument("--json", action="store_true", help="print the outcome as JSON")
        add_flags(action, "home", "store", "database_url")


def run(arguments: Namespace) -> int:
    return {"start": _start, "status": _status, "abort": _abort}[arguments.action](arguments)


def _start(arguments: Namespace) -> int:
    with needs_extras("a rollout", INSTALL_CONTROL):
        from fairlead.app.control import open_database, open_rollouts  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_leader  # noqa: PLC0415 - likewise
    settings, id_ = settings_from(arguments), ServableId(arguments.model, arguments.version)
    plan = _plan(arguments, settings)
    open_store(settings).manifest(id_)  # a version that is not there is told before anything is made
    engine = open_database(settings)
    rollout = open_rollouts(settings, engine).start(
        id_, plan, who=user_name(), why=arguments.why, again=arguments.again
    )
    leader = find_leader(engine)
    engine.dispose()
    if arguments.json:
        _print_json([rollout], leader)
    else:
        print(f"{id_} is tried against {rollout.baseline}: {_step(rollout)} (rollout {rollout.id})")
    say(_NONE_LEADS if leader is None else f"next: fairlead rollout status {id_.model}")
    return 0


def _abort(arguments: Namespace) -> int:
    with needs_extras("a rollout", INSTALL_CONTROL):
        from fairlead.app.looking import find_database, find_leader  # noqa: PLC0415 - the control plane
        from fairlead.app.rollouts import end_rollout  # noqa: PLC0415 - likewise
        from fairlead.controller.rollout_record import Status  # noqa: PLC0415 - likewise
    settings, model = settings_from(arguments), arguments.model
    engine = find_database(settings)
    if engine is None:
        raise _no_rollout(model)
    why = arguments.why or "aborted by hand"
    rollout = end_rollout(settings, engine, model, Status.ABORTED, who=user_name(), why=why)
    leader = find_leader(engine)
    engine.dispose()
    if arguments.json:
        _print_json([rollout], leader)
    else:
        print(f"{model}@{rollout.candidate} is tried no more; {rollout.baseline} goes on for everybody")
    return 0


def _status(arguments: Namespace) -> int:
    with needs_extras("a rollout", INSTALL_CONTROL):
        from fairlead.app.control import open_rollouts  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database, find_leader  # noqa: PLC0415 - likewise
    settings, model = settings_from(arguments), arguments.model
    store = open_store(settings)
    if model is not None and not store.versions(model):
        raise store.no_model(model)
    engine = find_database(settings)
    found: list[Rollout] = []
    leader = None
    if engine is not None:
        rollouts = open_rollouts(settings, engine)
        found = _newest(rollouts, [model] if model else store.models(), is_running=model is None)
        leader = find_leader(engine)
        engine.dispose()
    if arguments.json:
        _print_json(found, leader)
        return 0
    for rollout in found:
        print("\n".join(_lines(rollout, leader)))
    if not found:
        what = f"no version of {model} was tried yet" if model else "no rollout runs"
        print(f"{what}; next: fairlead rollout start {model or 'MODEL'} VERSION")
    return 0


def _newest(rollouts: Rollouts, models: list[str] | tuple[str, ...], *, is_running: bool) -> list[Rollout]:
    """The newest rollout of each model that has one; with `is_running` only those under way."""
    newest = [next(iter(rollouts.of_model(model)), None) for model in models]
    return [one for one in newest if one is not None and not (is_running and one.ended_us is not None)]


def _no_rollout(model: str) -> FairleadError:
    return FairleadError(Code.NOT_FOUND, f"no rollout of {model} runs", hint=f"fairlead rollout start {model} VERSION")


# -- the plan ------------------------------------------------------------------------------------------------------


def _plan(arguments: Namespace, settings: Settings) -> Plan:
    """The plan of the file, or the usual one, with what the flags change."""
    from fairlead.app.controlling import read_plan  # noqa: PLC0415 - the control plane
    from fairlead.rollout.plan import Plan  # noqa: PLC0415 - likewise

    told = {name: _read(name, flag, getattr(arguments, name)) for name, (flag, _) in _PLAN.items()}
    told |= {"mode": arguments.mode, "on_timeout": arguments.on_timeout}
    given = {name: value for name, value in told.items() if value is not None}
    if arguments.plan is None and arguments.mode is not None:
        return Plan.from_json({"weights": _WEIGHTS[arguments.mode], **given})
    planned = read_plan(replace(settings, rollout_plan=arguments.plan or settings.rollout_plan))
    return Plan.from_json({**planned.to_json(), **given})


def _read(name: str, flag: str, text: str | None) -> list[float] | float | None:
    if text is None:
        return None
    try:
        if name == "weights":
            return [float(weight) for weight in text.split(",")]
        return int(text) if name in _COUNTS else float(text)
    except ValueError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"--{flag} is {text!r}, which cannot be read", hint=f"--{flag}: {_PLAN[name][1]}"
        ) from error


# -- what is shown -------------------------------------------------------------------------------------------------


def _print_json(rollouts: list[Rollout], leader: Holding | None) -> None:
    from fairlead.app.rollouts import rollout_to_json  # noqa: PLC0415 - the control plane

    json_line({"controller": leader.holder if leader else None, "rollouts": [rollout_to_json(one) for one in rollouts]})


def _lines(rollout: Rollout, leader: Holding | None) -> list[str]:
    from fairlead.app.rollouts import outlook, rows_and_labels  # noqa: PLC0415 - the control plane

    rows, labels = rows_and_labels(rollout)
    told = {
        "step": _step(rollout),
        "begun": f"{_time(rollout.started_us)} by {rollout.who}{f': {rollout.why}' if rollout.why else ''}",
        "rows": f"stable {rows[0]:,}, candidate {rows[1]:,}",
        "labels": f"stable {labels[0]:,}, candidate {labels[1]:,}",
        "next" if rollout.ended_us is None else "ended": outlook(rollout),
    }
    if rollout.ended_us is None:
        timeout_us = rollout.started_us + round(rollout.plan.timeout_s * 1e6)
        told["timeout"] = f"{_time(timeout_us)}, then {rollout.plan.on_timeout.replace('_', ' ')}"
        told["controller"] = f"{leader.holder} leads" if leader else _NONE_LEADS
    heading = f"{rollout.model}@{rollout.candidate} against {rollout.baseline}: {rollout.status.replace('_', ' ')}"
    return [f"{heading} (rollout {rollout.id})", *(_wrapped(f"  {k:<12}", v) for k, v in told.items()), *_says(rollout)]


def _says(rollout: Rollout) -> list[str]:
    """A line or more for each guard."""
    from fairlead.rollout.guards import findings  # noqa: PLC0415 - the control plane

    found = findings(rollout.plan, rollout.evidence)
    width = max(len(finding.guard) for finding in found)
    return [
        f"  {'GUARD':<{width}}  {'VERDICT':<12}  WHY",
        *(_wrapped(f"  {one.guard:<{width}}  {one.verdict:<12}  ", one.detail) for one in found),
    ]


def _step(rollout: Rollout) -> str:
    plan, state = rollout.plan, rollout.state
    since = f"since {_time(rollout.steps[-1][1] if rollout.steps else state.step_started_us)}"
    if not plan.weights:
        return f"shadow, which answers copies of all requests, {since}"
    if plan.mode == "ab":
        return f"A/B, a weight of {state.weight:g} {since}"
    return f"{plan.mode}, step {state.step + 1} of {plan.steps}, a weight of {state.weight:g} {since}"


def _wrapped(start: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)


def _time(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
