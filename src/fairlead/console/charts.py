"""Charts as SVG, drawn on the server: values in, markup out. Colours are classes: light and dark are the page's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from fairlead.console.axis import ceiling_above
from fairlead.console.rendering import duration

__all__ = ["Chart", "Values", "bar_chart", "line_chart", "step_chart"]

WIDTH, HEIGHT = 420, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 22
_COLOURS = 8
_TICKS = 4
_HOUR_S, _DAY_S = 3600.0, 86_400.0

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture, and the names of its colours.

    Attributes:
        svg: with a title and a description for those who do not see it.
        legend: each name with the class of its colour, and what it shows last.
    """

    svg: Markup
    legend: tuple[tuple[str, str, str], ...]


def line_chart(
    title: str,
    times: Sequence[float],
    lines: Mapping[str, Values],
    *,
    unit: str = "",
    top: float | None = None,
    bands: Mapping[str, Sequence[tuple[float, float] | None]] | None = None,
    bottom: float = 0.0,
    dots: bool = False,
    moments: bool = True,
) -> Chart:
    """Lines over time, which break where there is no value.

    Args:
        title: what it shows.
        times: seconds since 1970, or whatever `moments` says, ascending.
        lines: by name, one value for each time.
        unit: "%" shows shares as such, "s" durations; else the number alone, with the unit behind it.
        top: where the vertical axis ends; None for what the values need.
        bands: by the name of a line, where the true value plausibly lies at each time.
        bottom: where the vertical axis begins.
        dots: mark each value: for few of them.
        moments: the times are such; else they are plain numbers.
    """
    highs = [high for band in (bands or {}).values() for high in (pair[1] for pair in band if pair)]
    ceiling = (
        top
        if top is not None
        else ceiling_above([*(v for values in lines.values() for v in values if v is not None), *highs])
    )
    plane = _Plane(times, bottom, ceiling)
    parts = [plane.frame(unit, times=moments)]
    for place, (name, values) in enumerate(lines.items()):
        colour = f"s{place % _COLOURS}"
        if bands and name in bands:
            parts.append(plane.band(bands[name], colour))
        parts.append(plane.line(values, colour))
        if dots:
            parts.append(plane.dots(values, colour))
    legend = tuple(
        (name, f"s{place % _COLOURS}", _shown(_last(values), unit))
        for place, (name, values) in enumerate(lines.items())
    )
    told = "; ".join(f"{name}: {last}" for name, _, last in legend) or "nothing to show yet"
    return Chart(svg=_svg(title, f"Latest: {told}", parts), legend=legend)


def bar_chart(title: str, names: Sequence[str], groups: Mapping[str, Sequence[float]]) -> Chart:
    """Shares side by side: for each name a bar of each group."""
    ceiling = ceiling_above([value for values in groups.values() for value in values])
    plane = _Plane([], 0.0, ceiling)
    slot = plane.width / max(1, len(names))
    each = 0.8 * slot / max(1, len(groups))
    parts = [plane.frame("%")]
    for group, values in enumerate(groups.values()):
        for place, value in enumerate(values):
            x, y = plane.left + slot * place + 0.1 * slot + each * group, plane.y(value)
            parts.append(_rect(x, y, each, plane.floor - y, f"bar s{group % _COLOURS}"))
    every = max(1, math.ceil(len(names) * 30 / plane.width))
    for place, name in enumerate(names):
        if place % every == 0:
            parts.append(_text(plane.left + slot * (place + 0.5), HEIGHT - 6, _cut(name, 8), "middle"))
    legend = tuple((name, f"s{place % _COLOURS}", "") for place, name in enumerate(groups))
    told = "; ".join(
        f"{name}: " + ", ".join(f"{label} {_shown(values[place], '%')}" for label, values in groups.items())
        for place, name in enumerate(names[:20])
    )
    return Chart(svg=_svg(title, told, parts), legend=legend)


def step_chart(title: str, edges: Sequence[float], groups: Mapping[str, Sequence[float]]) -> Chart:
    """Distributions over the same bins, as outlines: `edges` has one more value than each group has shares."""
    ceiling = ceiling_above([value for values in groups.values() for value in values])
    plane = _Plane(edges, 0.0, ceiling)
    parts = [plane.frame("%", times=False)]
    for place, values in enumerate(groups.values()):
        points = [(plane.left, plane.floor)]
        for left, right, value in zip(edges, edges[1:], values, strict=False):
            points += [(plane.x(left), plane.y(value)), (plane.x(right), plane.y(value))]
        points.append((plane.x(edges[-1]), plane.floor))
        colour = f"s{place % _COLOURS}"
        shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(Markup('<polygon class="band {}" points="{}"/>').format(colour, shown))
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(colour, shown))
    legend = tuple((name, f"s{place % _COLOURS}", "") for place, name in enumerate(groups))
    told = f"From {edges[0]:.3g} to {edges[-1]:.3g}. " + "; ".join(
        f"{name} is highest from {edges[peak]:.3g} to {edges[peak + 1]:.3g} with {_shown(values[peak], '%')}"
        for name, values in groups.items()
        if (peak := max(range(len(values)), key=values.__getitem__)) is not None
    )
    return Chart(svg=_svg(title, told, parts), legend=legend)


class _Plane:
    """Where a value lies in the picture."""

    def __init__(self, xs: Sequence[float], bottom: float, top: float) -> None:
        self.left, self.floor = float(_LEFT), float(HEIGHT - _BOTTOM)
        self.width, self.height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        self._xs = xs
        self._first = xs[0] if xs else 0.0
        self._span = (xs[-1] - xs[0] if xs else 0.0) or 1.0
        self._bottom, self._top = bottom, top if top > bottom else bottom + 1.0

    def x(self, value: float) -> float:
        if len(self._xs) == 1:
            return self.left + self.width / 2
        return self.left + self.width * (value - self._first) / self._span

    def y(self, value: float) -> float:
        share = (value - self._bottom) / (self._top - self._bottom)
        return self.floor - self.height * min(max(share, 0.0), 1.0)

    def frame(self, unit: str, *, times: bool = True) -> Markup:
        """The lines across, and what stands beside and below them."""
        parts = []
        for tick in range(_TICKS + 1):
            value = self._bottom + (self._top - self._bottom) * tick / _TICKS
            y = self.y(value)
            parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT))
            parts.append(_text(_LEFT - 5, y + 3.5, _shown(value, unit), "end"))
        if self._xs:
            ends = [self._xs[0], self._xs[-1]] if len(self._xs) > 1 else [self._xs[0]]
            for place, value in enumerate(ends):
                anchor = "middle" if len(ends) == 1 else ("start", "end")[place]
                text = _moment(value, self._span if len(ends) > 1 else 0.0) if times else f"{value:.3g}"
                parts.append(_text(self.x(value), HEIGHT - 6, text, anchor))
        return Markup("").join(parts)

    def line(self, values: Values, colour: str) -> Markup:
        path, is_down = [], False
        for x, value in zip(self._xs, values, strict=True):
            if value is None:
                is_down = False
                continue
            path.append(f"{'L' if is_down else 'M'}{self.x(x):.1f} {self.y(value):.1f}")
            is_down = True
        return Markup('<path class="line {}" d="{}"/>').format(colour, "".join(path))

    def dots(self, values: Values, colour: str) -> Markup:
        return Markup("").join(
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(colour, self.x(x), self.y(value))
            for x, value in zip(self._xs, values, strict=True)
            if value is not None
        )

    def band(self, ends: Sequence[tuple[float, float] | None], colour: str) -> Markup:
        there = [(self.x(x), *pair) for x, pair in zip(self._xs, ends, strict=True) if pair is not None]
        over = [f"{x:.1f},{self.y(high):.1f}" for x, _, high in there]
        under = [f"{x:.1f},{self.y(low):.1f}" for x, low, _ in reversed(there)]
        return Markup('<polygon class="band {}" points="{}"/>').format(colour, " ".join([*over, *under]))


def _svg(title: str, told: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, f"{title}. {told}", Markup("").join(parts)
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _rect(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        colour, x, y, width, height
    )


def _shown(value: float | None, unit: str) -> str:
    """A number as a person reads it.

    >>> _shown(0.9312, "%"), _shown(0.0042, "s"), _shown(1234.5, ""), _shown(None, "")
    ('93.1%', '4.2 ms', '1,234', 'nothing')
    """
    if value is None:
        return "nothing"
    if unit == "%":
        return f"{100 * value:.3g}%"
    if unit == "s":
        return duration(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _moment(at_s: float, span_s: float) -> str:
    at = datetime.fromtimestamp(at_s, UTC)
    if span_s <= _HOUR_S:
        return f"{at:%H:%M:%S}"
    return f"{at:%H:%M}" if span_s < _DAY_S else f"{at:%d %b}"


def _last(values: Values) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
