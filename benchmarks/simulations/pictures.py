"""What drift and the estimate of accuracy say of digits that are shifted, rotated, blurred, noised or inverted.

    python -m benchmarks.simulations.pictures --store .fairlead/store

takes the newest version of `digits` in the store and the MNIST test images in `FAIRLEAD_DATA_DIR`, and writes
`docs/simulations/pictures.md` and `.png`. It fails when a bar is missed. Each round cuts the held-out images in half at
random: one half makes the reference, as training does, and windows of 500 are drawn from the other.
"""

from __future__ import annotations

import argparse
import os
import sys
import timeit
from pathlib import Path

from benchmarks.simulations.picture_corruptions import CORRUPTIONS, SEVERITIES
from benchmarks.simulations.picture_report import Case, missed, write
from benchmarks.simulations.picture_windows import Model, judge_plain, judge_severity
from fairlead.servable.features import FeatureExtractor

__all__ = ["row_cost_us", "simulate"]

_BATCH_ROWS = 16
_ROOT = Path(__file__).parents[2]


def simulate(model: Model, *, rounds: int, quiet_rounds: int, seed: int = 1) -> tuple[Case, ...]:
    """Plain images first, then every corruption at every severity; ten windows a round."""
    plain = model.see(model.held_out.inputs)
    cases = [Case(windows=tuple(judge_plain(model, plain, rounds=quiet_rounds, seed=seed)))]
    for corruption in CORRUPTIONS:
        for severity in SEVERITIES:
            print(corruption.name, severity, file=sys.stderr)
            windows = judge_severity(model, plain, corruption, severity, rounds=rounds, seed=seed)
            cases.append(Case(corruption=corruption, severity=severity, windows=tuple(windows)))
    return tuple(cases)


def row_cost_us(model: Model) -> float:
    """Microseconds that measuring one row takes, in batches of 16; the least of many, as the machine has other work."""
    extractor = FeatureExtractor.of(model.signature)
    assert extractor is not None  # noqa: S101 - pictures have features
    batch = {model.signature.inputs[0].name: model.held_out.inputs[:_BATCH_ROWS]}
    took_s = min(timeit.repeat(lambda: extractor.measure(batch), number=20, repeat=200)) / 20
    return 1e6 * took_s / _BATCH_ROWS


def main() -> int:
    """Run it and write the page; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".fairlead/store"), help="a model store with digits")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("FAIRLEAD_DATA_DIR", _ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--rounds", type=int, default=20, help="of ten windows for each corruption and severity")
    parser.add_argument("--quiet-rounds", type=int, default=200, help="of ten windows of plain images")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "simulations")
    arguments = parser.parse_args()
    model = Model.newest(arguments.store, Path(arguments.data))
    cases = simulate(model, rounds=arguments.rounds, quiet_rounds=arguments.quiet_rounds)
    write(model, cases, row_cost_us(model), arguments.out)
    for line in missed(cases):
        print(line)
    return bool(missed(cases))


if __name__ == "__main__":
    sys.exit(main())
