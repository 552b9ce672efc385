"""How often the drift detectors are wrong, and what they find: `python -m benchmarks.simulations.drift`.

Every window is judged by the product's own `judge_window`. The same kind of windows is shown to two rules in wide use
that do not keep what is asked here: a run in which either of them passed would be a broken run. It writes
`docs/simulations/drift.md` and `drift.png`, and ends with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.simulations.drift_page import Outcome, Results, page, picture
from benchmarks.simulations.drift_world import (
    REFERENCE_ROWS,
    Columns,
    autoregressive,
    correlated_windows,
    table_windows,
)
from fairlead.monitoring.drift.calibration import calibrate
from fairlead.monitoring.drift.page_hinkley import PageHinkley, Sums, advance, normal_scores
from fairlead.monitoring.drift.persistence import DriftHistory, follow
from fairlead.monitoring.drift.reference import NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.window import judge_window

__all__ = ["simulate"]

_DOCS = Path(__file__).parents[2] / "docs" / "simulations"
_QUIET_BAR = 0.0083  # 83 of 10,000 prove at most 1 % at a confidence of 95 %
_SHIFTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
_PHIS = (0.0, 0.3, 0.6, 0.9)
_PAST_WINDOWS, _LIVE_WINDOWS = 20, 50
_STREAM_FEATURES = 30
_CHANGE_AT = 5_000

Generators = Iterator[np.random.Generator]
Change = Callable[[np.random.Generator, Columns], None]


def simulate(windows: int, seed: int) -> Results:
    """Everything the page shows: `windows` quiet ones for each bar, a tenth of that for each change.

    Each part draws from a generator of its own, so that none depends on what another one drew.
    """
    few = max(20, windows // 10)
    parts = iter(np.random.default_rng(seed).spawn(100))
    outcomes = [*_quiet(parts, windows), *_found(parts, few)]
    streams = {(rows, phi): _stream(next(parts), few, rows, phi) for rows in (500, 1000) for phi in _PHIS}
    outcomes += [
        Outcome(
            title=f"quiet windows of {rows}, autocorrelated rows (phi 0.6), {told} calibration",
            hits=streams[rows, 0.6][after],
            trials=few,
            at_most=0.02 if after else None,
        )
        for rows in (500, 1000)
        for after, told in enumerate(("before", "after"))
    ]
    outcomes += [_calibrated_power(next(parts), few), *_controls(parts, few)]
    sequential, delays, misses = _sequential(next(parts), few)
    power = {
        rows: tuple(_hits(next(parts), few // 4, rows, _shift(shift), "level 0") / (few // 4) for shift in _SHIFTS)
        for rows in (500, 1000, 2000)
    }
    return Results(
        seed=seed,
        outcomes=(*outcomes, *sequential),
        shifts=_SHIFTS,
        power=power,
        streams={key: (before / few, after / few) for key, (before, after) in streams.items()},
        delays=delays,
        misses=misses,
    )


def _quiet(parts: Generators, windows: int) -> Iterator[Outcome]:
    for rows, quantiles in ((500, 101), (1000, 101), (1000, 11), (2000, 101)):
        alarms = paged = 0
        history = DriftHistory()
        for known, columns in table_windows(next(parts), windows, rows, quantiles):
            report = judge_window(known, columns)
            history = follow(history, report, at_us=0)
            alarms += bool(report.drifted)
            paged += bool(history.persistent)
        told = f"quiet windows of {rows}, 30 features, {quantiles} quantiles"
        yield Outcome(title=told, hits=alarms, trials=windows, at_most=_QUIET_BAR)
        yield Outcome(title=f"{told}: drift persists (2 of the last 3)", hits=paged, trials=windows)
    alarms = sum(
        bool(judge_window(known, columns).drifted)
        for known, columns in correlated_windows(next(parts), windows // 5, 1000)
    )
    told = "quiet windows of 1000, 30 features that are alike (correlation 0.5)"
    yield Outcome(title=told, hits=alarms, trials=windows // 5, at_most=0.01)


def _found(parts: Generators, windows: int) -> Iterator[Outcome]:
    changes: tuple[tuple[str, int, Change, str, float | None], ...] = (
        ("a number rises by 0.3 sd, 1 of 30", 500, _shift(0.3), "level 0", None),
        ("a number rises by 0.3 sd, 1 of 30", 1000, _shift(0.3), "level 0", 0.95),
        ("a number spreads 1.3 times as wide", 1000, _scale(1.3), "level 0", None),
        ("a category of 5 grows from 10 % to 15 %", 1000, _grow("channel"), "channel", None),
        ("a category of 5 grows from 10 % to 15 %", 2000, _grow("channel"), "channel", 0.95),
        ("a category of 10 grows from 10 % to 15 %", 2000, _grow("region"), "region", 0.95),
        ("a new category takes 2 %", 500, _new_category, "plan", None),
        ("a new category takes 2 %", 1000, _new_category, "plan", 1.0),
        ("nulls rise from 0 to 2 %", 500, _nulls, "level 0", None),
        ("nulls rise from 0 to 2 %", 1000, _nulls, "level 0", 1.0),
        ("a number around 0 is 1,000 times as large", 500, _scale(1000.0), "level 0", 1.0),
        ("an amount is 1,000 times as large", 500, _scale(1000.0, "amount 0"), "amount 0", 1.0),
        ("an amount is a thousandth", 500, _scale(0.001, "amount 0"), "amount 0", 1.0),
    )
    for told, rows, change, feature, bar in changes:
        hits = _hits(next(parts), windows, rows, change, feature)
        yield Outcome(title=f"{told}, {rows} rows: found", hits=hits, trials=windows, at_least=bar)


def _hits(rng: np.random.Generator, windows: int, rows: int, change: Change, feature: str) -> int:
    """In how many changed windows the report names the feature that changed."""
    hits = 0
    for known, columns in table_windows(rng, windows, rows):
        change(rng, columns)
        hits += feature in judge_window(known, columns).drifted
    return hits


def _shift(sd: float) -> Change:
    def change(_: np.random.Generator, columns: Columns) -> None:
        columns["level 0"] = np.asarray(columns["level 0"], dtype=np.float64) + sd

    return change


def _scale(factor: float, feature: str = "level 0") -> Change:
    def change(_: np.random.Generator, columns: Columns) -> None:
        columns[feature] = np.asarray(columns[feature], dtype=np.float64) * factor

    return change


def _grow(feature: str) -> Change:
    """Category 0 takes one row in eighteen of the others: 10 % become 15 %."""

    def change(rng: np.random.Generator, columns: Columns) -> None:
        moved = rng.random(len(columns[feature])) < 0.05 / 0.9
        columns[feature] = ["0" if moves else str(value) for value, moves in zip(columns[feature], moved, strict=True)]

    return change


def _new_category(rng: np.random.Generator, columns: Columns) -> None:
    new = rng.random(len(columns["plan"])) < 0.02  # noqa: PLR2004 - two rows of a hundred
    columns["plan"] = ["trial" if is_new else str(value) for value, is_new in zip(columns["plan"], new, strict=True)]


def _nulls(rng: np.random.Generator, columns: Columns) -> None:
    levels = np.asarray(columns["level 0"], dtype=np.float64)
    columns["level 0"] = np.where(rng.random(len(levels)) < 0.02, np.nan, levels)  # noqa: PLR2004 - as above


def _stream(rng: np.random.Generator, windows: int, rows: int, phi: float, shift_sd: float = 0.0) -> tuple[int, int]:
    """Windows of 30 autocorrelated streams with an alarm, before and after calibration on twenty quiet windows."""
    before = after = 0
    names = [f"stream {place}" for place in range(_STREAM_FEATURES)]
    for start in range(0, windows, _LIVE_WINDOWS):
        live = min(_LIVE_WINDOWS, windows - start)
        known = [NumericReference.describe(name, rng.standard_normal(REFERENCE_ROWS)) for name in names]
        values = autoregressive(rng, phi, (_PAST_WINDOWS + live) * rows, _STREAM_FEATURES)
        values[_PAST_WINDOWS * rows :, 0] += shift_sd
        table = [dict(zip(names, window.T, strict=True)) for window in np.split(values, _PAST_WINDOWS + live)]
        calibrated = calibrate(known, table[:_PAST_WINDOWS])
        for window in table[_PAST_WINDOWS:]:
            before += bool(judge_window(known, window).drifted)
            after += bool(judge_window(known, window, calibrated).drifted)
    return before, after


def _calibrated_power(rng: np.random.Generator, windows: int) -> Outcome:
    _, hits = _stream(rng, windows, 1000, 0.6, shift_sd=0.5)
    return Outcome(
        title="0.5 sd, 1000 autocorrelated rows (phi 0.6), after calibration: found", hits=hits, trials=windows
    )


def _controls(parts: Generators, windows: int) -> Iterator[Outcome]:
    """Rules in wide use, on the product's own figures: both must miss the bar of the quiet windows."""
    rng, few_rows = next(parts), DriftThresholds(min_rows=100)
    fixed = sum(
        any(found.psi > 0.1 for found in judge_window(known, columns, few_rows).features)  # noqa: PLR2004 - the rule
        for known, columns in table_windows(rng, windows, 100)
    )
    yield Outcome(title="control: PSI > 0.1, quiet windows of 100", hits=fixed, trials=windows, must_exceed=_QUIET_BAR)
    alone = sum(
        any(found.p_value < 0.05 for found in judge_window(known, columns).features)  # noqa: PLR2004 - the rule
        for known, columns in table_windows(next(parts), windows, 1000)
    )
    told = "control: p < 0.05 for each feature, quiet windows of 1000"
    yield Outcome(title=told, hits=alone, trials=windows, must_exceed=_QUIET_BAR)


def _sequential(
    rng: np.random.Generator, streams: int
) -> tuple[tuple[Outcome, Outcome], tuple[int, ...], tuple[int, ...]]:
    """False changes in 5,000 quiet rows; then how late 0.3 sd is found, and how far off the row is that is named."""
    detector = PageHinkley.tuned(quiet_rows=1e6, reference_rows=REFERENCE_ROWS)
    false, delays, misses = 0, [], []
    for _ in range(streams):
        known = NumericReference.describe("x", rng.standard_normal(REFERENCE_ROWS))
        quiet = advance(Sums(), normal_scores(known, rng.standard_normal(_CHANGE_AT)), detector)
        false += quiet.change is not None
        changed = advance(quiet, normal_scores(known, rng.standard_normal(2_000) + 0.3), detector).change
        if quiet.change is None and changed is not None:
            delays.append(changed.row - _CHANGE_AT)
            misses.append(changed.began - _CHANGE_AT)
    told = "sequential detector, one alarm in 1,000,000 rows asked for"
    return (
        (
            Outcome(title=f"{told}: false in {_CHANGE_AT:,} quiet rows", hits=false, trials=streams, at_most=0.02),
            Outcome(title=f"{told}: 0.3 sd found within 2,000 rows", hits=len(delays), trials=streams, at_least=0.95),
        ),
        tuple(delays),
        tuple(misses),
    )


def main(arguments: list[str] | None = None) -> int:
    """Simulate, write the page and its picture, and say what was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=10_000, help="quiet windows for each bar (default 10,000)")
    parser.add_argument("--seed", type=int, default=20_26)
    parser.add_argument("--into", type=Path, default=_DOCS, help="the directory for drift.md and drift.png")
    given = parser.parse_args(arguments)
    started = time.perf_counter()
    results = simulate(given.windows, given.seed)
    given.into.mkdir(parents=True, exist_ok=True)
    (given.into / "drift.md").write_text(page(results, time.perf_counter() - started))
    picture(results, given.into / "drift.png")
    missed = [outcome for outcome in results.outcomes if not outcome.holds]
    for outcome in missed:
        print(f"missed: {outcome.title}: {outcome.hits} of {outcome.trials}", file=sys.stderr)
    print(f"{len(results.outcomes)} rows, {len(missed)} missed: {given.into / 'drift.md'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
