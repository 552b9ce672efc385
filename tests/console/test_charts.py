"""Charts: what they draw, and what they say to those who do not see them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from fairlead.console.charts import Chart, bar_chart, line_chart, step_chart

HOSTILE = '"><script>alert(1)</script>'


def drawn(chart: Chart) -> ET.Element:
    """The picture, which is well-formed XML without a style of its own."""
    assert "style=" not in chart.svg
    return ET.fromstring(chart.svg)


def test_a_line_breaks_where_nothing_is_known() -> None:
    """It begins anew behind the gap; the title tells the latest value."""
    chart = line_chart("Rate", [0.0, 5.0, 10.0, 15.0], {"digits@1": [1.0, None, 2.0, 3.0]})
    (line,) = [path for path in drawn(chart).iter("path") if path.get("class") == "line s0"]
    assert (line.get("d") or "").count("M") == 2
    assert drawn(chart).get("aria-label") == "Rate. Latest: digits@1: 3"
    assert chart.legend == (("digits@1", "s0", "3"),)


def test_every_value_lies_inside() -> None:
    """The axis ends at a round number above the largest, intervals included."""
    chart = line_chart(
        "Accuracy", [0.0, 1.0], {"a": [0.4, 0.6]}, unit="%", bands={"a": [(0.3, 0.55), (0.5, 0.7)]}, dots=True
    )
    for circle in drawn(chart).iter("circle"):
        assert 46 <= float(circle.get("cx") or 0) <= 412
        assert 8 <= float(circle.get("cy") or 0) <= 158
    assert "80%" in [text.text for text in drawn(chart).iter("text")]


def test_nothing_is_a_picture_too() -> None:
    """With its axes, and words that say so."""
    assert drawn(line_chart("Rate", [], {})).get("aria-label") == "Rate. Latest: nothing to show yet"


def test_bars_stand_side_by_side() -> None:
    """One for each group and name, as high as its share."""
    chart = bar_chart("Classes", ["a", "b"], {"then": [0.25, 0.75], "now": [0.5, 0.5]})
    bars = list(drawn(chart).iter("rect"))
    heights = [float(bar.get("height") or 0) for bar in bars]
    assert len(bars) == 4
    assert heights[1] == pytest.approx(3 * heights[0], abs=0.2)
    assert "a: then 25%, now 50%" in (drawn(chart).get("aria-label") or "")


def test_distributions_share_their_bins() -> None:
    """The words tell where each is highest."""
    chart = step_chart("Ink", [0.0, 1.0, 2.0], {"reference": [0.2, 0.8], "now": [0.9, 0.1]})
    assert len(list(drawn(chart).iter("polyline"))) == 2
    told = drawn(chart).get("aria-label") or ""
    assert "reference is highest from 1 to 2 with 80%" in told
    assert "now is highest from 0 to 1 with 90%" in told


def test_names_are_text_and_nothing_else() -> None:
    """Whatever they are."""
    for chart in (
        line_chart(HOSTILE, [0.0], {HOSTILE: [1.0]}),
        bar_chart(HOSTILE, [HOSTILE], {HOSTILE: [1.0]}),
        step_chart(HOSTILE, [0.0, 1.0], {HOSTILE: [1.0]}),
    ):
        assert [element.tag for element in drawn(chart).iter() if element.tag == "script"] == []
        assert HOSTILE in (drawn(chart).get("aria-label") or "")
