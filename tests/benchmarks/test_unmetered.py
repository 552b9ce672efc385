"""The Fairlead that counts nothing, which the cost of counting is measured against."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.harness.unmetered import unmetered

COUNT = """
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.instruments import Counter, Instruments

instruments = Instruments()
Counter(instruments, "c", "C.").labels().inc()
BatchMetrics(instruments).ran("m", 1, rows=1, waited=[("", 0.1)], compute_s=0.1, reason="full")
print(sum(sum(cells) for series in instruments.totals().values() for cells in series.values()))
"""


def counted(sources: str) -> float:
    """The sum of all that is counted by code of that place."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env={"PYTHONPATH": sources}, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_it_counts_nothing(tmp_path: Path) -> None:
    """And is the present one in all else, which does count."""
    assert counted(unmetered(tmp_path)) == 0
    assert counted(str(Path(__file__).parents[2] / "src")) > 2
