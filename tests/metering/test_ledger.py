"""What accounts have used is one sum over all processes, and none of them can leave it locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from fairlead.errors import RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Account, Meter
from fairlead.metering.rate import Rate

TAKE = """
import sys, time
from fairlead.errors import RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Account, Meter
from fairlead.metering.rate import Rate
meter, account, got = Meter(Ledger(int(sys.argv[1]))), Account("key", "a", "a", Rate.parse(sys.argv[2])), 0
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    try:
        meter.charge(account)
    except RateLimitError:
        continue
    got += 1
print(got)
"""
HOLD = """
import fcntl, signal, sys
[fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX, 1, which) for which in range(2048)]
print("held", flush=True)
signal.pause()
"""


class Clock:
    """A nanosecond that a test moves."""

    def __init__(self) -> None:
        self.now = 10**15

    def __call__(self) -> int:
        return self.now


def started(program: str, ledger: Ledger, *arguments: str) -> subprocess.Popen[str]:
    """The program over the same ledger, once it has said that it is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(ledger.descriptor), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[ledger.descriptor],
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def taken(meter: Meter, account: Account, tries: int) -> int:
    """How many of so many requests are let in."""
    count = 0
    for _ in range(tries):
        try:
            meter.charge(account)
        except RateLimitError:
            continue
        count += 1
    return count


def test_an_account_has_its_burst_and_then_its_rate() -> None:
    """To the request; what is refused costs nothing, and the refusal says to the nanosecond when there is more."""
    clock = Clock()
    meter, account = Meter(Ledger.make(), clock=clock), Account("key", "a", "the key a", Rate.parse("10/s:5"))
    assert taken(meter, account, 50) == 5
    with pytest.raises(RateLimitError, match="the key a has had the 10/s") as refused:
        meter.charge(account)
    assert (refused.value.reason, refused.value.retry_after_s) == ("key", 0.1)
    clock.now += 99_999_999
    assert taken(meter, account, 5) == 0
    clock.now += 1
    assert taken(meter, account, 5) == 1
    clock.now += 10**9
    assert taken(meter, account, 50) == 5  # no more is saved up
    for _ in range(100):
        clock.now += 10**7
        taken(meter, account, 3)
    clock.now += 1
    assert taken(meter, account, 3) == 0


def test_accounts_do_not_count_for_each_other() -> None:
    """Thousands of them, those of one name but another kind among them."""
    meter, rate = Meter(Ledger.make(), clock=Clock()), Rate.parse("1/h:2")
    accounts = [Account(kind, str(n), "", rate) for kind in ("key", "token") for n in range(1000)]

    assert Counter(taken(meter, account, 4) for account in accounts) == {2: len(accounts)}
    assert Counter(taken(meter, account, 1) for account in accounts) == {0: len(accounts)}


def test_processes_share_one_budget() -> None:
    """Two that ask as fast as they can get together what the rate says, to the request and the clock's edge."""
    ledger, seconds = Ledger.make(), 1.0
    takers = [started(TAKE, ledger, "500/s:100", str(seconds)) for _ in range(2)]
    began = time.monotonic()
    got = [int(taker.communicate("\n", timeout=30)[0]) for taker in takers]
    lasted = time.monotonic() - began

    assert min(got) > 0
    assert 100 < sum(got) <= 100 + 500 * lasted + 1  # a machine that is busy may waste some


def test_a_process_that_is_killed_leaves_no_lock() -> None:
    """While it holds all of them, nobody else is let in; from then on everybody is."""
    ledger = Ledger.make()
    holder = started(HOLD, ledger)
    waiter = started(TAKE, ledger, "1/h:5", "1")
    assert waiter.stdin is not None
    waiter.stdin.write("\n")
    waiter.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(0.3)

    os.kill(holder.pid, signal.SIGKILL)

    assert waiter.communicate(timeout=30)[0].strip() == "5"
    assert holder.wait(30) == -signal.SIGKILL
    for stream in (holder.stdin, holder.stdout):
        assert stream is not None
        stream.close()
