"""What it costs a server that is full to ask who calls: API keys and tokens, beside a server that is open.

Servers that differ in one thing each run side by side on core 0, and one is loaded at a time, in turns that begin with
another one every round; the load is on core 1. A cost is the median, over the rounds, of how much lower the throughput
is than that of the open server in the same round. A second open server tells how far such a figure can be trusted. The
network is a small one over binary tensors: the least that a request can cost, so that the share is as large as it gets.

    python -m benchmarks.authentication [--rounds 9] [--seconds 1]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.harness.dialects import V2_BINARY, Payload
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.networks import PERCEPTRON
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope

CONNECTIONS = 64
PATH = f"/v2/models/{PERCEPTRON.name}/infer"
_OPEN, _TWIN = "open", "open again"
_BARS = {"API key": 3.0, "JWT, HS256": 8.0, "JWT, ES256": 8.0, _TWIN: 3.0}
"""Percent of the throughput."""

_LIVES_S = 3600
_PREDICT = frozenset({Scope.PREDICT})


@dataclass(kw_only=True)
class Measured:
    """A server, what its callers show, and the requests a second that were found."""

    service: Service
    payload: Payload
    rates: list[float] = field(default_factory=list)

    def load(self, seconds: int) -> None:
        """Load it once."""
        url = f"http://127.0.0.1:{self.service.port}{PATH}"
        sample = rest_load(url, self.payload, connections=CONNECTIONS, seconds=seconds)
        if sample.errors:
            raise RuntimeError(f"{sample.errors} requests failed")
        if not sample.rate:  # another program had the core all the time
            self.load(seconds)
            return
        self.rates.append(sample.rate)


def measure(folder: Path, *, rounds: int, seconds: int) -> Mapping[str, Measured]:
    """Load every server in turn, round after round."""
    store = open_store(folder / "store")
    publish(store, PERCEPTRON)
    payload = V2_BINARY.encode(PERCEPTRON, PERCEPTRON.rows(1))
    _, key = KeyFile(folder / "keyed" / "keys.json").create("load", _PREDICT, lives_s=None)
    secret = secrets.token_urlsafe(32)
    private = ec.generate_private_key(ec.SECP256R1())
    claims = {"sub": "load", "scope": "predict", "exp": time.time() + _LIVES_S}
    jwks = folder / "jwks.json"
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key())) | {"kid": "load"}
    jwks.write_text(json.dumps({"keys": [public]}))
    with contextlib.ExitStack() as life:

        def start(home: str, credential: str, *flags: str, environment: Mapping[str, str] | None = None) -> Measured:
            shown = {"authorization": f"Bearer {credential}"} if credential else {}
            flags = (f"--home={folder / home}", *flags)
            service = life.enter_context(Service(store.root, *flags, environment=environment))
            return Measured(service=service, payload=dataclasses.replace(payload, headers={**payload.headers, **shown}))

        signed = jwt.encode(claims, private, "ES256", headers={"kid": "load"})
        servers = {
            _OPEN: start("open", ""),
            "API key": start("keyed", key),
            "JWT, HS256": start("secret", jwt.encode(claims, secret, "HS256"), environment={"JWT_SECRET_KEY": secret}),
            "JWT, ES256": start("public", signed, f"--jwks-file={jwks}"),
            _TWIN: start("open-again", ""),
        }
        for measured in servers.values():
            measured.load(seconds)  # to warm up
            measured.rates.clear()
        for number in range(rounds):
            turn = number % len(servers)
            order = [*servers.values()][turn:] + [*servers.values()][:turn]
            for measured in order[:: 1 if number % 2 else -1]:
                measured.load(seconds)
        return servers


def cost(servers: Mapping[str, Measured], name: str) -> float:
    """By how many percent the throughput is lower than the open server's: the median of the rounds."""
    pairs = zip(servers[name].rates, servers[_OPEN].rates, strict=True)
    return 100 * (1 - median([rate / open_rate for rate, open_rate in pairs]))


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=1, help="that a load lasts")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"authentication needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    leave_server_core()
    with tempfile.TemporaryDirectory() as folder:
        servers = measure(Path(folder), rounds=options.rounds, seconds=options.seconds)
    promises = Promises(is_timed=not options.untimed)
    for name, measured in servers.items():
        print(f"{name}: {median(measured.rates):,.0f} requests a second", flush=True)
    for name, bar in _BARS.items():
        promises.takes_at_most(f"cost of {name}", cost(servers, name), bar, " %")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
