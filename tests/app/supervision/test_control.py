"""What parent and worker say arrives as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.app.supervision.control import Assignment, Failure, Order, Report, parse_word
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.serving.status import Readiness


def test_an_assignment_comes_back() -> None:
    """Settings and descriptors."""
    settings = Settings(store=Path("a b\n"), models=("x", "y"), workers=2, threads=1, drain_timeout_s=0.5)
    assignment = Assignment(settings=settings, sockets={"rest": 5}, memory=6, regions=5, region=2, ledger=7)

    assert Assignment.parse(assignment.line()) == assignment
    assert assignment.line().count(b"\n") == 1


@pytest.mark.parametrize("order", Order)
def test_an_order_comes_back(order: Order) -> None:
    """Each of them."""
    assert Order.parse(order.line()) is order


def test_a_report_comes_back() -> None:
    """With what serves and what is missing."""
    readiness = Readiness(
        is_started=True, is_ready=False, models={"a": 1, "b": None}, missing=("b: é\n",), degraded=("a: old",)
    )
    report = Report(readiness=readiness, versions=frozenset({("a", 1), ("a b", 12)}), is_leaving=True)

    assert parse_word(report.line()) == report
    assert parse_word(Report().line()) == Report()


def test_a_failure_comes_back() -> None:
    """Code, sentence and hint."""
    word = parse_word(Failure(FairleadError(Code.NOT_FOUND, "no store", hint="make one")).line())

    assert isinstance(word, Failure)
    assert (word.error.code, word.error.message, word.error.hint) == (Code.NOT_FOUND, "no store", "make one")
