"""The registry follows the store."""

from __future__ import annotations

from fairlead.controller.mirror import mirror
from fairlead.servable.identity import ServableId
from fairlead.testing import publish_digit

from .conftest import Bench


def test_a_registry_that_knows_nothing_learns_everything(bench: Bench) -> None:
    """Every version registered, champion and challenger set, and a second time nothing changes."""
    for digit in (1, 2, 3):
        publish_digit(bench.store, "digits", digit)
    bench.store.promote(ServableId("digits", 2), why="")

    mirror(bench.registry, bench.store, "digits")
    first = bench.registry.versions("digits")
    mirror(bench.registry, bench.store, "digits")

    assert [version.store_version for version in first] == [1, 2, 3]
    assert bench.registry.versions("digits") == first
    assert bench.registry.alias("digits", "champion") == 2
    assert bench.registry.alias("digits", "challenger") == 3


def test_a_rollback_moves_the_champion_back(bench: Bench) -> None:
    """Whatever the registry said before."""
    for digit in (1, 2):
        publish_digit(bench.store, "digits", digit)
        bench.store.promote(ServableId("digits", digit), why="")
    mirror(bench.registry, bench.store, "digits")
    assert bench.registry.alias("digits", "champion") == 2

    bench.store.rollback("digits", why="")
    mirror(bench.registry, bench.store, "digits")

    assert bench.registry.alias("digits", "champion") == 1


def test_before_the_first_release_there_is_no_champion(bench: Bench) -> None:
    """Registered is not released."""
    publish_digit(bench.store, "digits", 1)

    mirror(bench.registry, bench.store, "digits")

    assert len(bench.registry.versions("digits")) == 1
    assert bench.registry.alias("digits", "champion") is None
