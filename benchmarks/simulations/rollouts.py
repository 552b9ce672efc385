"""Thousands of made-up rollouts, decided by the product's own code.

`python -m benchmarks.simulations.rollouts [--runs N]` writes `docs/simulations/rollouts.md` and `rollouts.png`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.simulations import rollout_cases as cases
from benchmarks.simulations.rollout_page import Outcome, Results, page, picture
from benchmarks.simulations.rollout_rules import RULES

__all__ = ["main", "suite"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

# 38 rollbacks in 1,000 prove a rate of at most 5 %, with a confidence of 95 %.
_FALSE_ROLLBACKS = 0.038
_POWER, _LOST_BETTER = 0.8, 0.01
# One in twenty is what the plan's confidence leaves; the rest is for chance.
_PROMOTED_WORSE = 0.07
_MOST, _RETRAIN_LABELS = 0.95, 500
_QUIET = ((0.9, 0.9), (0.97, 0.97), (0.9, 0.89))
_SAME = [(accuracy, weight) for accuracy in cases.ACCURACIES for weight in cases.WEIGHTS]
_LED = [(how, accuracy) for how in cases.LED for accuracy in (0.93, 0.89)]


def suite(runs: int, workers: int) -> Results:
    """Everything, with `runs` rollouts a setting, and fewer where a run is long or its outcome is hardly chance's."""
    few, months = max(1, runs * 3 // 10), max(1, runs // 10)
    kinds = (*cases.UNFIT, cases.FIT)
    with ProcessPoolExecutor(workers) as pool:
        same = {key: pool.submit(cases.same_arms, *key, runs) for key in _SAME}
        stalled = {(0.9, weight): pool.submit(cases.same_arms, 0.9, weight, few, 0.002) for weight in (0.1, 0.5)}
        losses = {case: pool.submit(cases.loss, case, runs) for case in cases.LOSSES}
        catches = {case: pool.submit(cases.catch, case, few) for case in cases.CATCHES}
        led = {key: pool.submit(cases.led, *key, runs) for key in _LED}
        quiet = {pair: pool.submit(cases.quiet_triggers, *pair, months) for pair in _QUIET}
        lost = {reference: pool.submit(cases.lost_triggers, reference, runs) for reference in (0.9, 0.97)}
        forward = {kind: pool.submit(cases.forward_steps, kind, few) for kind in kinds}
        restarts = pool.submit(cases.cuts, max(1, runs // 500))
        outcomes = (
            *_same_outcomes(_told("S1", same), runs, ""),
            *_same_outcomes(_told("S1 with stalls", stalled), few, ", with stalls"),
            *_control_outcomes(_told("controls", same), runs),
            *(_loss_outcome(case, needed) for case, needed in _told("S2", losses).items()),
            *(_catch_outcome(case, needed) for case, needed in _told("S3", catches).items()),
            *(outcome for key, ends in _told("S4", led).items() for outcome in _led_outcomes(*key, ends, runs)),
            *(_month_outcome(*key, triggers) for key, triggers in _told("S7", quiet).items()),
            *(_lost_outcome(reference, needed) for reference, needed in _told("S7 losses", lost).items()),
            *(_forward_outcome(kind, counted) for kind, counted in _told("S8", forward).items()),
            _restart_outcome(restarts.result()),
        )
        return Results(
            runs=runs,
            outcomes=outcomes,
            same_arms=_done(same),
            losses={case.title: needed for case, needed in _done(losses).items()},
            catches={case.title: needed for case, needed in _done(catches).items()},
            triggers=_done(lost),
        )


def _done(futures: Mapping[_Key, Future[_Value]]) -> dict[_Key, _Value]:
    return {key: future.result() for key, future in futures.items()}


def _told(name: str, futures: Mapping[_Key, Future[_Value]]) -> dict[_Key, _Value]:
    found = _done(futures)
    print(f"{name} done", file=sys.stderr, flush=True)
    return found


def _same_outcomes(same: Mapping[tuple[float, float], dict[str, int]], runs: int, where: str) -> Iterable[Outcome]:
    for (accuracy, weight), rolled_back in same.items():
        yield Outcome(
            bar="S1",
            title=f"equal arms, accuracy {accuracy:.2f}, {weight:.0%}{where}: rolled back",
            found=f"{rolled_back['Fairlead']} of {runs:,}",
            asked=f"at most {int(_FALSE_ROLLBACKS * runs)}",
            holds=rolled_back["Fairlead"] <= int(_FALSE_ROLLBACKS * runs),
        )


def _control_outcomes(same: Mapping[tuple[float, float], dict[str, int]], runs: int) -> Iterable[Outcome]:
    for name in [name for name in RULES if name != "Fairlead"]:
        worst = max(rolled_back[name] for rolled_back in same.values())
        yield Outcome(
            bar="control",
            title=f"S1 with {name}: rolled back in its worst setting",
            found=f"{worst} of {runs:,}",
            asked=f"must exceed {int(_FALSE_ROLLBACKS * runs)}",
            holds=worst > int(_FALSE_ROLLBACKS * runs),
        )


def _within(needed: Sequence[float], within: int, unit: str) -> tuple[float, str]:
    ordered = np.sort(needed)
    reached = float((ordered <= within).mean())
    middle, late = (ordered[int(np.ceil(quantile * len(ordered))) - 1] for quantile in (0.5, _MOST))
    return reached, f"{reached:.1%} within {within} {unit}; median {middle:g}, 95 % {late:g}"


def _loss_outcome(case: cases.Loss, needed: Sequence[float]) -> Outcome:
    reached, found = _within(needed, case.within, "labels")
    return Outcome(bar="S2", title=case.title, found=found, asked=f"at least {_MOST:.0%}", holds=reached >= _MOST)


def _catch_outcome(case: cases.Catch, needed: Sequence[float]) -> Outcome:
    reached, found = _within(needed, case.within, "requests")
    if case.share is None:
        return Outcome(bar="S3", title=case.title, found=found, asked="", holds=None)
    return Outcome(
        bar="S3", title=case.title, found=found, asked=f"at least {case.share:.0%}", holds=reached >= case.share
    )


def _led_outcomes(how: str, accuracy: float, ends: Mapping[str, int], runs: int) -> Iterable[Outcome]:
    title = f"{how}, accuracy {cases.STABLE:.2f} to {accuracy:.2f}"
    promoted, back = ends["promoted"], ends["rolled back"]
    if accuracy > cases.STABLE:
        yield _share_outcome(f"{title}: promoted", promoted, runs, at_least=_POWER)
        yield _share_outcome(f"{title}: rolled back", back, runs, at_most=_LOST_BETTER)
    else:
        yield _share_outcome(f"{title}, the whole margin: promoted", promoted, runs, at_most=_PROMOTED_WORSE)
    yield _share_outcome(f"{title}: decided within the plan's time", ends["decided"], runs, at_least=1.0)


def _share_outcome(title: str, hits: int, runs: int, at_least: float = 0.0, at_most: float = 1.0) -> Outcome:
    asked = f"at least {at_least:.0%}" if at_least else f"at most {at_most:.0%}"
    holds = at_least <= hits / runs <= at_most
    return Outcome(bar="S4", title=title, found=f"{hits:,} of {runs:,}: {hits / runs:.1%}", asked=asked, holds=holds)


def _month_outcome(reference: float, accuracy: float, triggers: Sequence[int]) -> Outcome:
    return Outcome(
        bar="S7",
        title=f"30 quiet days, reference {reference:.2f}, accuracy {accuracy:.2f}: needless triggers",
        found=f"{sum(triggers)} in {len(triggers)} months, at most {max(triggers)} in one",
        asked="at most 1 a month",
        holds=sum(triggers) <= len(triggers),
    )


def _lost_outcome(reference: float, needed: Sequence[float]) -> Outcome:
    reached, found = _within(needed, _RETRAIN_LABELS, "labels")
    title = f"{reference:.2f} less 10 points: trigger"
    return Outcome(bar="S7", title=title, found=found, asked=f"at least {_MOST:.0%}", holds=reached >= _MOST)


def _forward_outcome(kind: str, counted: tuple[int, int]) -> Outcome:
    times, looks = counted
    is_control = kind == cases.FIT
    return Outcome(
        bar="S8",
        title=f"{kind}: larger weights and promotions",
        found=f"{times:,} in {looks:,} looks",
        asked="more than half, or the lines above say nothing" if is_control else "none",
        holds=2 * times > looks if is_control else times == 0,
    )


def _restart_outcome(counted: tuple[int, int]) -> Outcome:
    differ, restarts = counted
    title = "killed and restored before every piece: anything said or known differs"
    return Outcome(bar="S9", title=title, found=f"{differ} of {restarts:,}", asked="none", holds=differ == 0)


def main() -> None:
    """Run the suite, write the page and the picture, and exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="rollouts a setting")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--to", type=Path, default=Path("docs/simulations"), help="where the page goes")
    options = parser.parse_args()
    started = time.monotonic()
    results = suite(options.runs, options.workers)
    options.to.mkdir(parents=True, exist_ok=True)
    (options.to / "rollouts.md").write_text(page(results, time.monotonic() - started))
    picture(results, options.to / "rollouts.png")
    print(page(results, time.monotonic() - started))
    sys.exit(any(outcome.holds is False for outcome in results.outcomes))


if __name__ == "__main__":
    main()
