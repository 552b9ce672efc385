"""The catalogue of metrics says what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.app.metric_catalogue import SECTIONS, label_of, markdown
from fairlead.app.metrics import ServiceMetrics
from fairlead.telemetry.region import Memory

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_everything_that_a_service_counts_is_in_it() -> None:
    """Once, with its labels; what feeds other pages is not listed."""
    families = [
        family
        for family in ServiceMetrics(Memory.make(1).pieces, 0).instruments.families
        if family.is_listed or family.name.startswith(":")
    ]
    described = [family for section in SECTIONS for family in section.families()]

    assert sorted(family.name for family in families) == sorted(family.name for family in described)
    for family in families:
        assert all(label_of(family.name, label) for label in family.label_names)


def test_the_page_is_made_from_the_code() -> None:
    """`python tools/check_tree.py --write` brings it up to date."""
    assert PAGE.read_text().endswith(markdown())


@pytest.mark.parametrize(
    "row",
    [
        "| `fairlead_model_load_failures_total` | counter | model |  | models | Attempts to load that failed. |",
        "| `fairlead_disk_free_bytes` | gauge | path_of | bytes | 2 | Free space of the file system. |",
        "| `process_open_fds` | gauge | process |  | processes | Number of open file descriptors. |",
        "| reason of `fairlead_batches` | turn, free, full, delay | 4 |",
    ],
)
def test_a_row_says_what_there_is_to_know(row: str) -> None:
    """Type, labels, unit, how many series there can be, and what it means."""
    assert row in markdown().splitlines()
