"""What a person reads on a terminal."""

import pytest

from fairlead.gate.table import table
from fairlead.gate.verdict import Bound, Check, Report, Unit, Verdict

ACCURACY = Check(
    name="accuracy",
    verdict=Verdict.FAILED,
    figure=0.962,
    threshold=0.97,
    bound=Bound.AT_LEAST,
    unit=Unit.SHARE,
    detail="1,924 of 2,000 rows right, 0.8 points below floor",
)
CHAMPION = Check(
    name="champion",
    verdict=Verdict.PASSED,
    figure=None,
    threshold=0.05,
    bound=Bound.AT_LEAST,
    unit=Unit.NUMBER,
    detail="no champion yet, so nothing to be worse than",
)
ROWS = Check(
    name="held-out rows",
    verdict=Verdict.INCONCLUSIVE,
    figure=1200,
    threshold=None,
    bound=Bound.AT_LEAST,
    unit=Unit.COUNT,
    detail="there are 1,200 held-out rows",
)


def test_columns_line_up() -> None:
    """The table has one aligned row a check, its figures in their units, and the verdict in words below."""
    shown = table(Report(checks=(ACCURACY, CHAMPION, ROWS)))

    assert shown.splitlines() == [
        "check          figure  threshold        verdict       detail",
        "-------------  ------  ---------------  ------------  -------------------------------------------------",
        "accuracy       96.20%  at least 97.00%  failed        1,924 of 2,000 rows right, 0.8 points below floor",
        "champion       -       at least 0.05    passed        no champion yet, so nothing to be worse than",
        "held-out rows  1,200   -                inconclusive  there are 1,200 held-out rows",
        "failed: 1 passed, 1 failed, 1 inconclusive",
    ]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_long_detail_wraps_in_its_column(width: int) -> None:
    """No line is wider than asked for, a wrapped sentence stays in its column, and no word is lost."""
    words = " ".join(f"word{index}" for index in range(60))
    long = Check(
        name="export",
        verdict=Verdict.FAILED,
        figure=0.5,
        threshold=1e-5,
        bound=Bound.AT_MOST,
        unit=Unit.NUMBER,
        detail=words,
    )

    lines = table(Report(checks=(long,)), width=width).splitlines()

    column = lines[0].index("detail")
    assert max(map(len, lines)) <= width
    assert all(not line[:column].strip() for line in lines[3:-1])
    assert " ".join(line[column:] for line in lines[2:-1]) == words


def test_a_narrow_terminal_keeps_a_readable_detail() -> None:
    """The detail column keeps 40 characters even where the terminal has none left."""
    lines = table(Report(checks=(ACCURACY,)), width=10).splitlines()

    assert max(len(line[lines[0].index("detail") :]) for line in lines[2:-1]) > 30


def test_no_colour_codes_and_no_trailing_column() -> None:
    """The table is plain printable text."""
    assert all(line.isprintable() for line in table(Report(checks=(ACCURACY, ROWS))).splitlines())
