"""`fairlead keys`."""

from __future__ import annotations

import re
import time
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from fairlead.access.key import Key
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope, parse_scopes
from fairlead.cli.output import columns, json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead keys create shop --scope predict --scope feedback --expires 90d
  fairlead keys create crawler --rate 100/s --burst 200
  fairlead keys create partner --quota 1000000/day
  fairlead keys list
  fairlead keys rotate 4k2m9x1q --grace 24h
  fairlead keys revoke 4k2m9x1q

A server that was started without any key asks for one once its workers are replaced: kill -HUP its process.
From then on changes act within a second."""

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key, and show it this once")
    create.add_argument("name", help="whose it is")
    scopes = ", ".join(scope.value for scope in Scope)
    create.add_argument(
        "--scope", action="append", default=[], help=f"what it is good for: {scopes}; predict when left out"
    )
    create.add_argument("--expires", metavar="TIME", help="how long it is good for: 90d, 12h; for ever when left out")
    create.add_argument("--rate", help="requests that it may ask for: 100/s, 6000/m, 10/h; any number when left out")
    create.add_argument("--burst", help="requests that it may save up (default: a second's worth)")
    create.add_argument("--quota", help="requests in all: 1000/hour, 1000000/day, 30000000/month of UTC")
    listing = actions.add_parser("list", help="list the keys, which shows none")
    revoke = actions.add_parser("revoke", help="make a key good for nothing")
    rotate = actions.add_parser("rotate", help="make a key in place of another, and show it this once")
    rotate.add_argument("--grace", metavar="TIME", default="24h", help="how long the other is still good (default 24h)")
    for action in (revoke, rotate):
        action.add_argument("id", help="as the list has it")
    for action in (create, listing, revoke, rotate):
        action.add_argument("--json", action="store_true", help="print JSON")
        add_flags(action, "home")


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    file = KeyFile(settings.keys_path)
    if arguments.action == "list":
        quotas = Ledger.open(settings.quotas_path) if settings.quotas_path.exists() else None
        _show(list(file.read().values()), quotas, as_json=arguments.json)
    elif arguments.action == "revoke":
        key = file.revoke(arguments.id)
        say(f"{key.name} ({key.id}) is revoked")
        if arguments.json:
            json_line(_public(key))
    elif arguments.action == "rotate":
        _tell(*file.rotate(arguments.id, grace_s=_seconds("--grace", arguments.grace)), as_json=arguments.json)
    else:
        scopes = parse_scopes(arguments.scope or [Scope.PREDICT.value])
        lives_s = None if arguments.expires is None else _seconds("--expires", arguments.expires)
        rate = _rate(arguments.rate, arguments.burst)
        quota = None if arguments.quota is None else _quota(arguments.quota)
        key, text = file.create(arguments.name, scopes, lives_s=lives_s, rate=rate, quota=quota)
        _tell(key, text, as_json=arguments.json)
    return 0


def _tell(key: Key, text: str, *, as_json: bool) -> None:
    """The only time that a key is shown: on standard output, alone."""
    if as_json:
        json_line(_public(key) | {"key": text})
    else:
        print(text)
    say(f"{key.name} ({key.id}): {', '.join(sorted(key.scopes))}; keep the key, it is not shown again")


def _public(key: Key) -> dict[str, object]:
    kept = {name: value for name, value in key.to_json().items() if name != "sha256"}
    return {"id": key.id, "state": key.state(time.time()), **kept}


def _show(keys: list[Key], quotas: Ledger | None, *, as_json: bool) -> None:
    used = {key.id: _used(key, quotas) for key in keys}
    if as_json:
        json_line([_public(key) | {"used": used[key.id]} for key in keys])
        return
    rows = [("id", "name", "scopes", "created", "expires", "rate", "quota", "used", "state")]
    rows += [
        (
            key.id,
            key.name,
            ",".join(sorted(key.scopes)),
            _day(key.created),
            "never" if key.expires is None else _day(key.expires),
            "any" if key.rate is None else str(key.rate),
            "any" if key.quota is None else str(key.quota),
            "" if used[key.id] is None else str(used[key.id]),
            key.state(time.time()),
        )
        for key in keys
    ]
    print(columns(rows))


def _used(key: Key, quotas: Ledger | None) -> int | None:
    """How much of its quota, where it has one, has been used."""
    if key.quota is None or quotas is None:
        return None if key.quota is None else 0
    return quotas.used(key.charged().quota_number, key.quota.window(time.time())[1])


def _day(second: float) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M}"


def _seconds(flag: str, text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,5})([smhd])", text)
    if match is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{flag} is {text!r:.80}: a number and s, m, h or d", hint=f"{flag} 90d"
        )
    return float(int(match[1]) * _UNIT_S[match[2]])


def _rate(rate: str | None, burst: str | None) -> Rate | None:
    flag = "--rate"
    if rate is None:
        if burst is not None:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"--burst is {burst!r:.80}, and no --rate is given", hint="--rate 100/s"
            )
        return None
    try:
        parsed = Rate.parse(rate)
        flag = "--burst"
        return parsed if burst is None else parsed.with_burst(burst)
    except ValueError as error:
        given = rate if flag == "--rate" else burst
        hint = "--rate 100/s --burst 200"
        raise FairleadError(Code.INVALID_ARGUMENT, f"{flag} is {given!r:.80}: it {error}", hint=hint) from error


def _quota(text: str) -> Quota:
    try:
        return Quota.parse(text)
    except ValueError as error:
        hint = "--quota 1000000/day"
        raise FairleadError(Code.INVALID_ARGUMENT, f"--quota is {text!r:.80}: it {error}", hint=hint) from error
