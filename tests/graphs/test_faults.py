"""Whatever a member does, the declared outcome comes inside the deadline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection

import pytest

from .conftest import Faults, Plane, Publish

REQUESTS = 1000
REQUEST_DEADLINE_S = 1.0
FALLBACK = {"version": "digits@3", "deadline_ms": 5000}


@pytest.mark.parametrize("fault", ["hang", "crash", "nan", "misshape"])
@pytest.mark.parametrize(
    ("declared", "outcome"),
    [
        ({"quorum": 1}, (200, "digits@1", 3)),
        ({"quorum": 2, "fallback": FALLBACK}, (200, "digits@3", 7)),
        ({"quorum": 2}, (503, "UNAVAILABLE", None)),
    ],
)
def test_the_declared_outcome_of_each_of_a_thousand_requests(
    faults: Faults,
    publish: Publish,
    start_plane: Callable[[], Plane],
    fault: str,
    declared: dict[str, object],
    outcome: tuple[int, str, int | None],
) -> None:
    """A member that hangs, crashes, or gives NaN or a wrong shape: what was declared, inside the deadline."""
    publish("both", "average", "digits@1", "digits@2", **declared)
    plane = start_plane()
    faults.by_version["digits@2"] = fault
    outcomes: Counter[tuple[int, str, int | None]] = Counter()
    slowest = 0.0
    with closing(HTTPConnection("127.0.0.1", plane.port, timeout=20)) as connection:
        for _ in range(REQUESTS):
            began = time.monotonic()
            status, answer = plane.post("/v1/models/both:predict", connection=connection)
            slowest = max(slowest, time.monotonic() - began)
            if status == 200:
                (row,) = answer["predictions"]
                outcomes[status, row["members"], row["probs"].index(max(row["probs"]))] += 1
            else:
                assert "both@1 has no answer: digits@2 " in answer["error"]
                outcomes[status, "UNAVAILABLE", None] += 1

    assert outcomes == {outcome: REQUESTS}
    assert slowest < REQUEST_DEADLINE_S
