"""What was asked and answered, as people may read it."""

import json
import threading

import numpy as np

from fairlead.servable.identity import ServableId
from fairlead.serving import payload_log
from fairlead.serving.payload_log import Payload, PayloadLog
from fairlead.serving.redacted import redacted


class Lines:
    """Keeps what is written, once it may."""

    def __init__(self) -> None:
        self.written = b""
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def write(self, data: bytes) -> None:
        self.may_go_on.wait(30)
        self.written += data


def payload(inputs: object, *, trace_id: str = "") -> Payload:
    """A request with one input, answered with a label."""
    return Payload(
        at=1_772_366_400.25,
        request_id="0189",
        trace_id=trace_id,
        id=ServableId("messages", 3),
        arm="stable",
        inputs={"text": np.asarray(inputs)},
        outputs={"label": np.array(["spam"], object)},
    )


def logged(*payloads: Payload) -> list[dict[str, object]]:
    """The lines of the payloads."""
    lines, dropped = Lines(), list[int]()
    log = PayloadLog(lines.write, on_drop=dropped.append)
    for each in payloads:
        log.put(each)
    log.close()
    assert not dropped
    return [json.loads(line) for line in lines.written.splitlines()]


def test_texts_are_redacted_before_they_are_written() -> None:
    """Whether they came as texts or as bytes; the rest of the line says whose they are."""
    (line,) = logged(payload(np.array(["mail jo@example.org", b"call +44 20 7946 0018"], object), trace_id="4bf9"))

    assert line == {
        "time": "2026-03-01T12:00:00.250Z",
        "request_id": "0189",
        "trace_id": "4bf9",
        "model": "messages",
        "version": 3,
        "arm": "stable",
        "inputs": {"text": ["mail <email>", "call <phone>"]},
        "outputs": {"label": ["spam"]},
    }


def test_numbers_stay_as_they_are() -> None:
    """Of an array that is too large for a line there is its shape; what is no number is null."""
    small, large, odd = logged(
        payload(np.arange(4, dtype=np.float32).reshape(2, 2)),
        payload(np.zeros((1000, 1000), np.float32)),
        payload(np.array([np.nan, 1.0])),
    )

    assert small["inputs"] == {"text": [[0.0, 1.0], [2.0, 3.0]]}
    assert large["inputs"] == {"text": {"dtype": "float32", "shape": [1000, 1000]}}
    assert odd["inputs"] == {"text": [None, 1.0]}


def test_bytes_that_are_no_text_are_counted() -> None:
    """A picture, say."""
    assert redacted(np.array([[b"\xff\xd8\xff"]], object)).tolist() == [["<3 bytes>"]]
    assert redacted(np.array(["jo@example.org"])).tolist() == ["<email>"]
    numbers = np.arange(3)
    assert redacted(numbers) is numbers


def test_what_waits_is_bounded() -> None:
    """While the disk hangs, payloads are given up and counted; nobody waits."""
    lines, dropped = Lines(), list[int]()
    lines.may_go_on.clear()
    log = PayloadLog(lines.write, on_drop=dropped.append)
    large = payload(np.zeros(payload_log._MOST_BYTES // 40))  # a fifth of what may wait
    for _ in range(20):
        log.put(large)
    lines.may_go_on.set()
    log.close()

    assert sum(dropped) >= 14
    assert lines.written.count(b"\n") == 20 - sum(dropped)
