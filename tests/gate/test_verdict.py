"""One verdict a check, one for the report."""

import json
import math
from itertools import product

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.gate.verdict import Bound, Check, Report, Unit, Verdict


def check(verdict: Verdict, *, name: str = "accuracy", figure: float | None = 0.96, detail: str = "measured") -> Check:
    """A check with that verdict."""
    return Check(
        name=name,
        verdict=verdict,
        figure=figure,
        threshold=0.97,
        bound=Bound.AT_LEAST,
        unit=Unit.SHARE,
        detail=detail,
    )


def test_an_empty_report_is_inconclusive() -> None:
    """No check at all is no pass."""
    assert Report(checks=()).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("verdicts", list(product(Verdict, repeat=3)))
def test_the_worst_verdict_is_the_reports(verdicts: tuple[Verdict, ...]) -> None:
    """One failed check fails the report, else one inconclusive check leaves it open, else it passes."""
    order = [Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED]

    report = Report(checks=tuple(check(verdict) for verdict in verdicts))

    assert report.verdict is min(verdicts, key=order.index)


def test_failures_are_the_failed_checks_in_order() -> None:
    """The failures are exactly the failed checks, in the order they were made."""
    first, second = check(Verdict.FAILED, name="first"), check(Verdict.FAILED, name="second")

    report = Report(checks=(first, check(Verdict.PASSED), second, check(Verdict.INCONCLUSIVE)))

    assert report.failures == (first, second)


def test_a_report_is_strict_json() -> None:
    """A report becomes JSON that any reader accepts, with every part of every check."""
    report = Report(checks=(check(Verdict.FAILED), check(Verdict.PASSED, figure=None)))

    read = json.loads(json.dumps(report.to_json(), allow_nan=False))

    assert read["verdict"] == "failed"
    assert read["checks"][0] == {
        "name": "accuracy",
        "verdict": "failed",
        "figure": 0.96,
        "threshold": 0.97,
        "bound": "at least",
        "unit": "share",
        "detail": "measured",
    }
    assert read["checks"][1]["figure"] is None


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_is_refused(figure: float) -> None:
    """A check cannot hold a figure that JSON has no word for."""
    with pytest.raises(FairleadError, match="accuracy") as caught:
        check(Verdict.FAILED, figure=figure)

    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(("name", "detail"), [("", "measured"), ("accuracy", " ")])
def test_a_check_says_what_and_why(name: str, detail: str) -> None:
    """A check without a name or without a detail is refused."""
    with pytest.raises(FairleadError, match="needs a name and a detail"):
        check(Verdict.PASSED, name=name, detail=detail)


@pytest.mark.parametrize(
    ("bound", "figure", "verdict"),
    [
        (Bound.AT_LEAST, 0.96, Verdict.FAILED),
        (Bound.AT_LEAST, 0.97, Verdict.PASSED),
        (Bound.AT_LEAST, 0.98, Verdict.PASSED),
        (Bound.AT_LEAST, math.nan, Verdict.FAILED),
        (Bound.AT_MOST, 0.96, Verdict.PASSED),
        (Bound.AT_MOST, 0.97, Verdict.PASSED),
        (Bound.AT_MOST, 0.98, Verdict.FAILED),
        (Bound.AT_MOST, math.nan, Verdict.FAILED),
    ],
)
def test_a_bound_admits_its_threshold(bound: Bound, figure: float, verdict: Verdict) -> None:
    """A figure passes on its side of the threshold and exactly at it, and NaN never does."""
    assert bound.judge(figure, 0.97) is verdict
