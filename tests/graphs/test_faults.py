"""Whatever a member does, the declared outcome comes inside the deadline."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from tests.transport.grpc.protos import ModelInferRequest, ModelInferResponse, infer_request

from .conftest import Faults, Plane, Publish

REQUESTS = 1000
REQUEST_DEADLINE_S = 15.0  # what no machine comes near, also when it stands still for a while
Declared = tuple[dict[str, object], tuple[int, str, int | None]]
"""What a graph declares, and what then comes: the status, who spoke or the code, and the digit."""


OTHERS: Declared = ({"quorum": 1}, (200, "digits@1", 3))
STAND_IN: Declared = ({"quorum": 2, "fallback": {"version": "digits@3", "deadline_ms": 5000}}, (200, "digits@3", 7))
FAIL: Declared = ({"quorum": 2}, (503, "UNAVAILABLE", None))


@pytest.mark.parametrize(
    ("fault", "declared"),
    [
        *[(fault, declared) for fault in ("hang", "crash", "nan") for declared in (OTHERS, STAND_IN, FAIL)],
        ("slow", OTHERS),
        ("misshape", OTHERS),
    ],
)
def test_the_declared_outcome_of_each_of_a_thousand_requests(
    faults: Faults,
    publish: Publish,
    start_plane: Callable[[], Plane],
    fault: str,
    declared: Declared,
) -> None:
    """A member that hangs, is late each time, crashes, or gives NaN or a wrong shape: inside the deadline."""
    fields, outcome = declared
    publish("both", "average", "digits@1", "digits@2", **fields)
    plane = start_plane()
    faults.by_version["digits@2"] = fault
    outcomes: Counter[tuple[int, str, int | None]] = Counter()
    slowest = 0.0
    with closing(HTTPConnection("127.0.0.1", plane.port, timeout=20)) as connection:
        for number in range(REQUESTS):
            if number % 250 == 249:
                faults.let_the_slow_go()
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


def test_many_callers_at_once_have_their_answers_in_time(
    faults: Faults, publish: Publish, start_plane: Callable[[], Plane]
) -> None:
    """A thousand over gRPC, eight at a time, each with a deadline of its own, while one member hangs."""
    publish("both", "average", "digits@1", "digits@2", quorum=1)
    plane = start_plane()
    faults.by_version["digits@2"] = "hang"
    request = infer_request("both", image=np.zeros((1, 28, 28, 1), np.float32))
    with grpc.insecure_channel(f"127.0.0.1:{plane.grpc_port}") as channel, ThreadPoolExecutor(8) as pool:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )
        answers = pool.map(lambda _: infer(request, timeout=REQUEST_DEADLINE_S), range(REQUESTS))
        spoke = Counter(answer.raw_output_contents[1][4:] for answer in answers)

    assert spoke == {b"digits@1": REQUESTS}
    assert faults.asked["digits@2"] <= (os.cpu_count() or 1)
