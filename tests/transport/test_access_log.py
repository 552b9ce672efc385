"""What a line of the access log says, and what it does not."""

import json
import time
from threading import Event

import pytest
from tests.cli.clients import wait_until

from fairlead.telemetry.tracing import Trace
from fairlead.transport import access_log
from fairlead.transport.access_log import AccessLog
from fairlead.transport.message import Call

_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Lines:
    """Keeps what is written; waits before that while it is told to."""

    def __init__(self) -> None:
        self.written = b""
        self.may_go_on = Event()
        self.may_go_on.set()

    def write(self, data: bytes) -> None:
        self.may_go_on.wait(30)
        self.written += data


def logged(*calls: Call, path: str = "/v1/models/digits:predict", is_known: bool = True) -> list[dict[str, object]]:
    """The lines of requests that were answered just now."""
    lines, dropped = Lines(), list[int]()
    log = AccessLog(lines.write, pseudonym=str.upper, on_drop=dropped.append)
    for number, call in enumerate(calls):
        log.put(
            call,
            "POST" if ":" in path else "",
            path,
            number,
            None,
            is_known=is_known,
            ended=time.monotonic(),
            seconds=0.0012344,
        )
    log.close()
    assert not dropped
    return [json.loads(line) for line in lines.written.splitlines()]


def call(*, key: str = "", prediction_id: str = _ID, trace: Trace | None = None) -> Call:
    """What was asked of a model."""
    return Call(
        protocol="tfserving",
        model="digits",
        version=3,
        label="stable",
        key=key,
        prediction_id=prediction_id,
        trace=trace,
    )


def test_a_line_says_what_was_asked_and_what_came_of_it() -> None:
    """In a few words; the time is that of the answer."""
    before = time.time()
    (line,) = logged(call(trace=Trace(_TRACE, "", "", 0.0)))

    assert line.pop("time") >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before - 1))  # type: ignore[operator]
    assert line == {
        "protocol": "tfserving",
        "operation": "POST /v1/models/{model}:predict",
        "status": 0,
        "code": "OK",
        "duration_us": 1234,
        "request_id": _ID,
        "model": "digits",
        "version": 3,
        "label": "stable",
        "trace_id": _TRACE,
    }


def test_nothing_that_a_client_made_up_is_in_it() -> None:
    """No path that means nothing, no name of a model that nobody knows, and of a user only what stands for it."""
    (line,) = logged(call(key="jo"), path="/v1/models/jo@example.org:explain", is_known=False)

    assert line["operation"] == ""
    assert line["user"] == "JO"
    assert {"model", "version", "label", "trace_id"}.isdisjoint(line)
    assert "example.org" not in json.dumps(line)


def test_a_call_of_grpc_is_named_by_its_method() -> None:
    """As its clients know it."""
    (line,) = logged(call(), path="/inference.GRPCInferenceService/ModelInfer")

    assert line["operation"] == "inference.GRPCInferenceService/ModelInfer"


def test_all_lines_are_there_in_their_order() -> None:
    """However many come at once."""
    lines = logged(*([call()] * 3_000))

    assert [line["status"] for line in lines] == list(range(3_000))


def test_each_line_has_an_id() -> None:
    """Of the prediction; a request that was none has one of its own, which a refusal tells the client."""
    refused = call(prediction_id="")
    refused.request_id = "r1"
    lines = logged(call(), refused, call(prediction_id=""), call(prediction_id=""))

    assert [line["request_id"] for line in lines[:2]] == [_ID, "r1"]
    assert len({line["request_id"] for line in lines}) == 4


def test_a_disk_that_hangs_keeps_nobody_waiting() -> None:
    """Requests go on; what is too much to wait is counted."""
    lines, dropped = Lines(), list[int]()
    lines.may_go_on.clear()
    log = AccessLog(lines.write, pseudonym=str, on_drop=dropped.append)
    some = call()
    began, busy_since = time.monotonic(), time.thread_time()
    for _ in range(access_log._MOST_WAITING + 5_000):
        log.put(some, "POST", "/v1/models/digits:predict", 200, None, is_known=True, ended=began, seconds=0.001)
    took_s = time.thread_time() - busy_since
    lines.may_go_on.set()
    log.close()

    assert took_s < 5
    assert 0 < len(dropped) <= 5_000
    assert lines.written.count(b"\n") == access_log._MOST_WAITING + 5_000 - len(dropped)


def test_a_line_that_cannot_be_made_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Those after it are written."""
    lines, dropped = Lines(), list[int]()
    log = AccessLog(lines.write, pseudonym=str, on_drop=dropped.append)
    odd, plain = call(), call()
    odd.model = "\ud800"
    log.put(odd, "POST", "/predict", 200, None, is_known=True, ended=time.monotonic(), seconds=0.001)
    wait_until(lambda: bool(dropped))
    log.put(plain, "POST", "/predict", 200, None, is_known=True, ended=time.monotonic(), seconds=0.001)
    log.close()

    assert dropped == [1]
    assert lines.written.count(b"\n") == 1
    assert "1 requests cannot be logged" in caplog.text
