"""`fairlead quality`."""

from __future__ import annotations

import re
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fairlead.app.releases import open_store
from fairlead.cli.output import columns, json_line, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    from fairlead.app.quality import ArmQuality, Newest
    from fairlead.monitoring.quality import QualityReport
    from fairlead.monitoring.share import Share

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead quality digits
  fairlead quality digits --since 24h --window 1h --version 3
  fairlead quality digits --json

Spans are numbers with s, m, h, d or w. Accuracy is that of the labelled rows; an estimate is no measurement."""

_WIDTH = 100
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST_WINDOWS = 1_000
_MOST_CONFUSED = 12
_NAME_WIDTH, _HEADING_WIDTH = 12, 5


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("--since", default="7d", metavar="SPAN", help="how far to look back (default: 7d)")
    parser.add_argument("--window", default="1d", metavar="SPAN", help="how long each piece is (default: 1d)")
    parser.add_argument("--version", type=int, help="only this one")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_flags(parser, "home", "store", "database_url")


def run(arguments: Namespace) -> int:
    with needs_extras("quality", INSTALL_CONTROL):
        from fairlead.app.control import now_us  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
        from fairlead.app.quality import read_quality  # noqa: PLC0415 - likewise
    settings, model = settings_from(arguments), arguments.model
    span_us, window_us = _spans(arguments.since, arguments.window)
    store = open_store(settings)
    if not store.versions(model):
        raise store.no_model(model)
    until_us = now_us()
    since_us = until_us - span_us
    engine = find_database(settings)
    found: tuple[ArmQuality, ...] = ()
    if engine is not None:
        found = read_quality(
            engine,
            store,
            model,
            since_us=since_us,
            until_us=until_us,
            window_us=window_us,
            version=arguments.version,
        )
        engine.dispose()
    if arguments.json:
        arms = [one.to_json() for one in found]
        json_line({"model": model, "since_us": since_us, "until_us": until_us, "arms": arms})
    else:
        what = model if arguments.version is None else f"{model}@{arguments.version}"
        print(f"{what}, {_time(since_us)} to {_time(until_us)} UTC")
        print("\n".join(_lines(found)))
    return 0


def _spans(since: str, window: str) -> tuple[int, int]:
    """Both in microseconds."""
    span_us, window_us = _span("--since", since), _span("--window", window)
    if span_us > _MOST_WINDOWS * window_us:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"--since {since} has more than {_MOST_WINDOWS:,} windows of --window {window}",
            hint="fairlead quality MODEL --window 1d",
        )
    return span_us, window_us


def _span(flag: str, text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text)
    if found is None:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{flag} is {text!r}, which is no span", hint=f"{flag} 7d")
    return int(found[1]) * _SECONDS[found[2]] * 1_000_000


# -- what is shown -------------------------------------------------------------------------------------------------


def _lines(found: Sequence[ArmQuality]) -> Iterator[str]:
    if not found:
        yield "no prediction was logged in that time; next: fairlead serve, or look further back: --since 30d"
        return
    heading = ("VERSION", "ARM", "ROWS", "LABELLED", "MEDIAN DELAY", "ACCURACY", "ESTIMATE*")
    yield columns([heading, *(_overview(one) for one in found)])
    yield "* of the newest rows, by how sure the version was of them: an estimate that no label has confirmed"
    for one in found:
        yield ""
        yield f"version {one.report.version}, {_arm(one.report.arm)}"
        yield from _detail(one)
        yield from _without_labels(one.newest)


def _overview(one: ArmQuality) -> tuple[str, ...]:
    report, estimate = one.report, one.newest.estimate
    labelled = report.coverage.right if report.coverage else 0
    delay = "-" if report.delay_median_s is None else _duration(report.delay_median_s)
    estimated = "-"
    if estimate is not None:
        estimated = f"about {estimate.value:.1%}" if estimate.is_in_range else "out of range"
    return (
        str(report.version),
        _arm(report.arm),
        f"{report.rows:,}",
        f"{labelled:,} ({labelled / report.rows:.1%})",
        delay,
        _share(report.accuracy),
        estimated,
    )


def _detail(one: ArmQuality) -> Iterator[str]:
    """What the labels say."""
    report = one.report
    if one.asked:
        yield f"  {one.asked:,} rows were asked for, and {one.failed:,} of them failed; figures are of what was logged"
    if report.coverage is None or not report.coverage.right:
        yield "  no label came for these rows; next: POST /feedback, or fairlead labels import FILE"
        return
    if report.delay_p95_s is not None:
        yield f"  95 of 100 labels came within {_duration(report.delay_p95_s)}"
    if report.foreign:
        yield f"  {report.foreign:,} labels are no class of this version, and count in no figure"
    if len(one.windows) > 1:
        yield from _block(columns([("FROM (UTC)", "ROWS", "LABELLED", "ACCURACY"), *map(_window, one.windows)]))
    yield from _block(_class_table(report))
    if len(report.classes) <= _MOST_CONFUSED:
        yield from _block(_confusion(report))
    else:
        yield f"  the confusion matrix of {len(report.classes)} classes is in --json"
    yield from _calibration(report)
    yield ""


def _window(report: QualityReport) -> tuple[str, ...]:
    labelled = report.coverage.right if report.coverage else 0
    return _time(report.since_us), f"{report.rows:,}", f"{labelled:,}", _share(report.accuracy)


def _class_table(report: QualityReport) -> str:
    rows = [("CLASS", "LABELLED", "PRECISION", "RECALL", "F1")]
    for one in report.classes:
        true = f"{one.recall.rows:,}" if one.recall else "0"
        f1 = "-" if one.f1 is None else f"{one.f1:.3f}"
        rows.append((_cut(one.label, _NAME_WIDTH), true, _share(one.precision), _share(one.recall), f1))
    return columns(rows)


def _confusion(report: QualityReport) -> str:
    """True classes down, predicted ones across."""
    names = [one.label for one in report.classes]
    cells = [[str(count) for count in row] for row in report.confusion]
    width = max(3, *(len(cell) for row in cells for cell in row), *(min(len(name), _HEADING_WIDTH) for name in names))
    heading = ["TRUE, AS", *(_cut(name, width).rjust(width) for name in names)]
    rows = [
        [_cut(name, _NAME_WIDTH), *(cell.rjust(width) for cell in row)] for name, row in zip(names, cells, strict=True)
    ]
    return columns([heading, *rows])


def _calibration(report: QualityReport) -> Iterator[str]:
    found = report.calibration
    if found is None:
        yield "  no labelled row has a probability: there is no calibration"
        return
    yield ""
    yield f"  calibration: what it says and how often it is right are {100 * found.error:.1f} points apart on average"
    rows = [("SAYS", "ROWS", "ON AVERAGE", "RIGHT")]
    rows += [
        (f"{one.low:.0%} to {one.high:.0%}", f"{one.rows:,}", f"{one.confidence:.1%}", _share(one.accuracy))
        for one in found.bins
        if one.confidence is not None
    ]
    yield from _indented(columns(rows))


def _without_labels(newest: Newest) -> Iterator[str]:
    """The estimate, and drift."""
    from fairlead.app.quality import LEAST_ROWS  # noqa: PLC0415 - the control plane

    if newest.problem:
        yield _wrapped(f"neither an estimate nor drift: {newest.problem}")
        return
    since = f", since {_time(newest.since_us)} UTC" if newest.rows else ""
    yield f"  the newest {newest.rows:,} rows{since}, without their labels:"
    if newest.estimate is not None:
        value, low, high = (100 * end for end in (newest.estimate.value, newest.estimate.low, newest.estimate.high))
        yield _wrapped(f"estimated accuracy about {value:.1f}% ({low:.1f} to {high:.1f}), {newest.estimate.reason}")
    if newest.drift is None or newest.rows < LEAST_ROWS:
        yield f"  drift: too few rows to tell; {LEAST_ROWS} are needed"
        return
    drifted = [one for one in newest.drift.features if one.is_drifted]
    if not drifted:
        yield f"  drift: none in {len(newest.drift.features)} features"
    for feature in drifted:
        yield _wrapped(f"drift: {feature.reason}, p = {feature.p_value:.2g}")


def _share(share: Share | None) -> str:
    return "-" if share is None else f"{share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _arm(arm: str) -> str:
    return arm or "by number"


def _duration(seconds: float) -> str:
    """In the largest unit of which there is one at least."""
    unit = next((unit for unit in "dhm" if seconds >= _SECONDS[unit]), "s")
    return f"{seconds / _SECONDS[unit]:.1f} {unit if unit != 'm' else 'min'}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _block(table: str) -> Iterator[str]:
    """A table with a line before it that keeps it from the last one."""
    yield ""
    yield from _indented(table)


def _indented(table: str) -> Iterator[str]:
    return (f"  {line}" for line in table.splitlines())


def _time(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M}"
