"""Servers of several hosts have one budget between them, a step late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fairlead.errors import Code, FairleadError, RateLimitError
from fairlead.metering.exchange import Exchange, share_quotas
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Account, Meter
from fairlead.metering.rate import Rate

STEP_NS = 250_000_000


class World:
    """Hosts whose clocks stand still, and the place where they meet."""

    def __init__(self, hosts: int, rate: str) -> None:
        self.now = 10**15
        self.account = Account("key", "a", "", Rate.parse(rate))
        self.is_down = False
        self.cut_off: Exchange | None = None
        self.sums = Counter[str]()
        self.meters: list[Meter] = []
        self.exchanges: list[Exchange] = []
        for _ in range(hosts):
            ledger = Ledger.make()
            self.meters.append(Meter(ledger, clock=lambda: self.now))
            self.exchanges.append(Exchange(ledger, self, clock=lambda: self.now))

    def add(self, taken: Mapping[str, int], _lives_s: int) -> Mapping[str, int]:
        """See `Totals`."""
        if self.is_down:
            raise FairleadError(Code.UNAVAILABLE, "down")
        self.sums.update(taken)
        return {name: self.sums[name] for name in taken}

    def run(self, seconds: float, tries: Mapping[int, int]) -> list[int]:
        """How many each host lets in when it is asked so often in each twentieth of a second."""
        got = [0] * len(self.meters)
        for tick in range(int(seconds * 20)):
            self.now += STEP_NS // 5
            for host, count in tries.items():
                for _ in range(count):
                    try:
                        self.meters[host].charge(self.account)
                        got[host] += 1
                    except RateLimitError:
                        break
            if tick % 5 == 4:
                self._step()
        return got

    def _step(self) -> None:
        was_down = self.is_down
        for exchange in self.exchanges:
            self.is_down = was_down or exchange is self.cut_off
            try:
                exchange.step()
            except FairleadError:
                assert self.is_down
        self.is_down = was_down


def test_hosts_let_in_together_what_the_rate_says() -> None:
    """However many ask where; beyond it at most a burst for each host, and what comes between two steps."""
    for tries in ({0: 50, 1: 50, 2: 50}, {0: 50, 1: 1, 2: 1}, {0: 50, 1: 0, 2: 0}):
        world = World(3, "100/s:20")
        got = sum(world.run(20, tries))
        assert 0.97 * 2000 <= got <= 2000 + 3 * (20 + 25)


def test_one_host_has_all_of_the_rate_when_no_other_is_asked() -> None:
    """Also after the others were."""
    world = World(2, "100/s:20")
    world.run(5, {0: 50, 1: 50})
    world.run(2, {0: 50})
    assert 490 <= world.run(5, {0: 50})[0] <= 510


def test_hosts_that_cannot_meet_go_on_with_their_shares() -> None:
    """And when they meet again nothing of it is charged twice."""
    world = World(2, "100/s:20")
    world.run(10, {0: 50, 1: 50})
    world.is_down = True
    apart = world.run(10, {0: 50, 1: 50})
    assert 800 <= sum(apart) <= 1200
    world.is_down = False
    assert 950 <= sum(world.run(10, {0: 50, 1: 50})) <= 1100


def test_a_host_that_was_cut_off_alone_pays_once_for_what_the_others_let_in() -> None:
    """It took them to go on; when it hears of all that they did, it does not owe it again for as long as that was."""
    world = World(2, "100/s:20")
    world.run(10, {0: 50, 1: 50})
    world.cut_off = world.exchanges[0]
    world.run(60, {0: 50, 1: 50})
    world.cut_off = None
    got = world.run(10, {0: 50, 1: 50})
    assert min(got) >= 100
    assert 950 <= sum(got) <= 1100


def test_a_quota_in_the_same_ledger_is_told_to_nobody_and_costs_no_time() -> None:
    """Also in a slot that an account with a rate had before."""
    ledger, now, account = Ledger.make(), 10**15, 2048
    ledger.charge(account, now, cost=10**9, most=0)
    for other in range(2, 10):  # as many as a set has slots
        assert ledger.count(2048 * other, 500_000, 10)
    ledger.add(2048 * 9, now, 5)
    assert [ledger.used(2048 * other, 500_000) for other in range(2, 10)] == [1] * 8
    assert ledger.taken(now) == {}


def test_hosts_that_never_met_have_the_rate_each() -> None:
    """Nobody is refused because there is no Redis."""
    world = World(2, "100/s:20")
    world.is_down = True
    first, second = world.run(10, {0: 50, 1: 50})
    assert first == second
    assert 1000 <= first <= 1030


def test_hosts_use_up_one_quota() -> None:
    """What could not be told is told later, once; a new stretch of time begins at nothing."""
    world, ledgers = World(0, "1/s"), [Ledger.make() for _ in range(2)]

    def use(host: int, times: int, window: int = 500_000) -> int:
        return sum(ledgers[host].count(7, window, 100) for _ in range(times))

    def share() -> None:
        for ledger in (*ledgers, ledgers[0]):
            try:
                share_quotas(ledger, world)
            except FairleadError:
                assert world.is_down

    assert (use(0, 30), use(1, 50)) == (30, 50)
    share()
    assert [ledger.used(7, 500_000) for ledger in ledgers] == [30, 80]  # who is not asked needs not know
    world.is_down = True
    assert use(0, 5) == 5
    share()
    world.is_down = False
    share()
    assert [ledger.used(7, 500_000) for ledger in ledgers] == [85, 80]
    assert use(1, 1) == 1
    share()
    assert use(1, 100) == 14
    assert world.sums["quota:7:500000"] == 86
    share()
    assert use(0, 1) == 1
    share()
    assert (use(0, 9), use(1, 9)) == (0, 0)
    assert use(1, 200, 500_024) == 100
