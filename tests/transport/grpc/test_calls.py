"""gRPC over HTTP/2: what a call may say, and what it is told."""

import gzip
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import LIMIT, Running
from tests.transport.grpc.protos import ModelInferResponse, infer_request
from tests.transport.grpc.wire import (
    DATA,
    EMPTY,
    END_STREAM,
    GOAWAY,
    INFER,
    LIVE,
    RST_STREAM,
    STREAM_INFER,
    Wire,
    frame,
    framed,
)

from fairlead.errors import Code
from fairlead.servable.identity import ServableId
from fairlead.serving.status import State, VersionStatus
from fairlead.telemetry.exposition import registry_of
from fairlead.transport.grpc.status import GRPC_STATUS

ECHO = infer_request("echo", x=[[1.0, 2.0]]).SerializeToString()


def echoed(message: bytes) -> list[float]:
    """The numbers in an answer of the model `echo`."""
    answer = ModelInferResponse.FromString(message)
    return [float(value) for value in np.frombuffer(answer.raw_output_contents[0], np.float32)]


def compressed(data: bytes, flag: int = 1) -> bytes:
    """A message whose flag says that it is compressed."""
    return bytes([flag]) + len(data).to_bytes(4, "big") + data


def test_an_answer_has_head_message_and_status(wire: Wire) -> None:
    """A good answer is a head, one message, and trailers with status 0."""
    answer = wire.call(INFER, framed(ECHO))

    assert uuid.UUID(answer.headers.pop("x-prediction-id")).version == 7
    assert answer.headers == {":status": "200", "content-type": "application/grpc", "grpc-status": "0"}
    assert echoed(answer.message) == [1.0, 2.0]


def test_a_message_may_come_in_pieces(wire: Wire) -> None:
    """Where DATA frames cut a message does not matter, and an empty one may end it."""
    stream = wire.open(INFER)
    body = framed(ECHO)
    for index in range(0, len(body), 7):
        wire.send(frame(DATA, 0, stream, body[index : index + 7]))
    wire.send(frame(DATA, END_STREAM, stream))

    assert echoed(wire.answer(stream).message) == [1.0, 2.0]


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "Application/GRPC;charset=x"])
def test_the_content_type_is_grpc(wire: Wire, content_type: str) -> None:
    """The content types that are gRPC's own are taken."""
    assert wire.call(content_type=content_type).status == 0


@pytest.mark.parametrize("content_type", ["application/json", "application/grpc-web", "application/grpc+json", ""])
def test_other_content_types_are_no_grpc(wire: Wire, content_type: str) -> None:
    """Anything else is 415, as gRPC says, and no body is waited for."""
    answer = wire.answer(wire.open(content_type=content_type))

    assert (answer.headers[":status"], answer.headers["accept-post"]) == ("415", "application/grpc")


def test_only_post_is_a_call(wire: Wire) -> None:
    """Other methods are 405."""
    answer = wire.answer(wire.open(method="GET", is_last=True))

    assert (answer.headers[":status"], answer.headers["allow"]) == ("405", "POST")


@pytest.mark.parametrize("path", ["/nowhere", "/inference.GRPCInferenceService/Nope", "/x.Y/ServerLive"])
def test_an_unknown_method_is_unimplemented(wire: Wire, path: str) -> None:
    """What is not served is told so, with what is."""
    answer = wire.call(path)

    assert (answer.headers[":status"], answer.status) == ("200", 12)
    assert f"Nothing is served at {path}" in answer.headers["grpc-message"]


def test_an_early_refusal_spares_the_body(wire: Wire) -> None:
    """A refused call's body is not waited for: the client may stop sending, and what is on the way is ignored."""
    stream = wire.open("/nowhere")
    assert wire.answer(stream).status == 12
    got = wire.read()
    assert (got.kind, got.stream, got.code) == (RST_STREAM, stream, 0)
    wire.send(frame(DATA, 0, stream, b"x" * 1000) + frame(DATA, END_STREAM, stream, b"x"))

    assert wire.call().status == 0


CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODINGS)
def test_messages_may_be_compressed(wire: Wire, coding: str) -> None:
    """What gzip or deflate made is undone, small or large, and a plain message under them is plain."""
    images = np.random.default_rng(1).random((40, 28, 28, 1), np.float32)
    large = infer_request("digits", image=images).SerializeToString()

    assert echoed(wire.call(INFER, compressed(CODINGS[coding](ECHO)), grpc_encoding=coding).message) == [1.0, 2.0]
    assert echoed(wire.call(INFER, framed(ECHO), grpc_encoding=coding).message) == [1.0, 2.0]
    assert _send_large(wire, compressed(CODINGS[coding](large)), grpc_encoding=coding).status == 0


def _send_large(wire: Wire, body: bytes, path: str = INFER, **fields: str) -> Any:
    stream = wire.open(path, is_last=False, **fields)
    pieces = [body[start : start + 16384] for start in range(0, len(body), 16384)]
    for piece in pieces[:-1]:
        wire.send(frame(DATA, 0, stream, piece))
    wire.send(frame(DATA, END_STREAM, stream, pieces[-1]))
    return wire.answer(stream)


def test_an_unknown_coding_is_refused_with_those_that_are_known(wire: Wire) -> None:
    """grpc-accept-encoding tells what may be sent."""
    answer = wire.call(INFER, compressed(b"x"), grpc_encoding="br")

    assert (answer.status, answer.headers["grpc-accept-encoding"]) == (12, "identity,deflate,gzip")


BAD_BODIES: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", "ended before its message did"),
    "half a prefix": (b"\x00\x00", "", "ended before its message did"),
    "half a message": (framed(ECHO)[:-1], "", "ended before its message did"),
    "two messages": (framed(ECHO) * 2, "", "more than one message"),
    "a flag of 2": (compressed(ECHO, 2), "", "begins with 2"),
    "no protocol buffer": (framed(b"\xff\xff\xff"), "", "the message is no inference.ModelInferRequest"),
    "half a protocol buffer": (framed(ECHO[:-3]), "", "the message is no inference.ModelInferRequest"),
    "a text that is no UTF-8": (framed(b"\x0a\x02\xff\xfe"), "", "the message is no inference.ModelInferRequest"),
    "compressed with nothing": (compressed(gzip.compress(ECHO)), "", "names no compression"),
    "compressed with identity": (compressed(ECHO), "identity", "names no compression"),
    "gzip that is none": (compressed(ECHO), "gzip", "the gzip message is damaged"),
    "gzip that is cut off": (compressed(gzip.compress(ECHO)[:-4]), "gzip", "it ends too early"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_is_no_message_is_the_clients_fault(wire: Wire, name: str) -> None:
    """Each gets INVALID_ARGUMENT and a sentence; the connection goes on."""
    body, coding, sentence = BAD_BODIES[name]
    answer = wire.call(INFER, body, grpc_encoding=coding)

    assert answer.status == 3
    assert sentence in answer.headers["grpc-message"]
    assert wire.call().status == 0


def test_a_header_alone_is_no_request(wire: Wire) -> None:
    """A call that ends with its header has no message."""
    assert wire.answer(wire.open(is_last=True)).status == 3


def test_a_message_over_the_limit_is_refused_before_it_comes(wire: Wire) -> None:
    """The announced length is enough; the sentence names the setting, and says nothing of trying again."""
    stream = wire.open(INFER)
    wire.send(frame(DATA, 0, stream, b"\x00" + (LIMIT + 1).to_bytes(4, "big")))
    answer = wire.answer(stream)

    assert answer.status == 8
    assert f"The message of {LIMIT + 1} bytes is larger than {LIMIT} bytes" in answer.headers["grpc-message"]
    assert "FAIRLEAD_MAX_BODY_BYTES" in answer.headers["grpc-message"]
    assert "grpc-retry-pushback-ms" not in answer.headers


def test_a_message_of_the_limit_is_taken(wire: Wire) -> None:
    """The limit itself is allowed: what is wrong with these bytes is something else."""
    answer = _send_large(wire, framed(b"\xff" * LIMIT))

    assert answer.status == 3
    assert _send_large(wire, framed(b"\xff" * (LIMIT + 1))).status == 8


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_defused(wire: Wire, coding: str) -> None:
    """The limit holds after decompression, and what lies beyond it is never made."""
    began = time.process_time()
    answer = _send_large(wire, compressed(CODINGS[coding](bytes(100_000_000))), grpc_encoding=coding)

    assert answer.status == 8
    assert "FAIRLEAD_MAX_BODY_BYTES" in answer.headers["grpc-message"]
    assert time.process_time() - began < 5


@pytest.mark.parametrize("timeout", ["20S", "1H", "99999999n", "20000000u", "20000m", "1M"])
def test_a_deadline_far_away_changes_nothing(wire: Wire, timeout: str) -> None:
    """Every unit is read."""
    expected = 0 if timeout != "99999999n" else None
    answer = wire.call(LIVE, grpc_timeout=timeout)

    assert expected is None or answer.status == expected


@pytest.mark.parametrize("timeout", ["", "S", "1", "1x", "-1S", "123456789S", "1.5S", "1 S"])
def test_a_deadline_that_is_none_is_refused(wire: Wire, timeout: str) -> None:
    """1 to 8 digits and a unit; a field that is not sent is no fault."""
    answer = wire.call(LIVE, grpc_timeout=timeout)

    assert answer.status == (3 if timeout else 0)


def test_a_deadline_ends_the_call_in_time(start: Start) -> None:
    """After its time a call is over for the client and for the model, to the millisecond, not to the next sweep."""
    running = start()
    held = running.hold()
    took_s = []
    with Wire(running.port) as client:
        client.greet()
        for _ in range(5):
            began = time.monotonic()
            answer = client.call(INFER, framed(ECHO), grpc_timeout="50m")
            took_s.append(time.monotonic() - began)

            assert (answer.status, answer.headers["grpc-message"]) == (4, "Deadline exceeded")
        assert min(took_s) > 0.045
        assert sorted(took_s)[2] < 0.25  # most of them: a machine may stand still for a while
        assert client.call().status == 0
    running.release(held)


def test_the_predictor_is_told_the_deadline(start: Start) -> None:
    """What is due when is known to whoever computes, as a monotonic second."""
    running = start()
    told: list[float | None] = []
    predict = running.predictor.predict

    async def spy(*args: Any, deadline: float | None = None, **others: Any) -> Any:
        told.append(deadline)
        return await predict(*args, deadline=deadline, **others)

    running.predictor.predict = spy  # type: ignore[method-assign] # the port, with an ear at it
    with Wire(running.port) as client:
        client.greet()
        began = time.monotonic()
        client.call(INFER, framed(ECHO), grpc_timeout="10S")
        ended = time.monotonic()
        client.call(INFER, framed(ECHO))

    assert told[1] is None
    assert told[0] is not None
    assert began <= told[0] - 10 <= ended


def test_a_bug_gives_nothing_away(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """A model that breaks is INTERNAL, without its message or path; the log has both."""
    answer = wire.call(INFER, framed(infer_request("broken", x=[1.0]).SerializeToString()))

    assert (answer.status, answer.headers["grpc-message"]) == (
        13,
        "Internal error (the server's log says more)",
    )
    assert "/secret/path" in caplog.text


def test_texts_of_all_kinds_survive(wire: Wire) -> None:
    """Messages are percent-encoded UTF-8, and cut after 1024 characters."""
    answer = wire.call(INFER, framed(infer_request("Größe 100 %").SerializeToString()))
    assert "'Größe 100 %'" in unquote(answer.headers["grpc-message"])
    assert "%25" in answer.headers["grpc-message"]
    long = infer_request("echo", **{"y" * 70: [1.0]})
    for index in range(60):
        long.inputs.add(name=f"{'z' * 60}{index}", datatype="FP32", shape=[0])
        long.raw_input_contents.append(b"")
    spec = long.inputs[0]
    spec.name, spec.datatype = "x", "FP32"
    spec.shape[:] = [1] * 3000
    cut = unquote(wire.call(INFER, framed(long.SerializeToString())).headers["grpc-message"])
    assert len(cut) <= 1024 + len("...TRUNCATED")


def test_refusals_that_pass_say_when_to_try_again(start: Start) -> None:
    """UNAVAILABLE comes with the pushback that gRPC's clients obey."""
    running = start()
    running.catalogue.others["later"] = (VersionStatus(id=ServableId("later", 1), state=State.LOADING),)
    with Wire(running.port) as client:
        client.greet()
        answer = client.call(INFER, framed(infer_request("later", x=[1.0]).SerializeToString()))

    assert answer.status == 14
    assert (answer.headers["grpc-retry-pushback-ms"], answer.headers["retry-after"]) == ("1000", "1")


def test_a_stream_answers_in_order_and_ends_with_the_client(wire: Wire) -> None:
    """Messages of a stream are answered one by one; the trailers come when the client has ended."""
    stream = wire.open(STREAM_INFER)
    wire.send(frame(DATA, 0, stream, framed(ECHO) * 20))
    wire.send(frame(DATA, 0, stream, framed(ECHO)[:9]))
    wire.send(frame(DATA, END_STREAM, stream, framed(ECHO)[9:]))
    answer = wire.answer(stream)

    assert answer.status == 0
    assert answer.body.count(b"echo") == 21


def test_a_stream_that_ends_inside_a_message_fails(wire: Wire) -> None:
    """What was whole is answered, what was not is the client's fault."""
    stream = wire.open(STREAM_INFER)
    wire.send(frame(DATA, END_STREAM, stream, framed(ECHO) + framed(ECHO)[:-1]))
    answer = wire.answer(stream)

    assert (answer.status, answer.body.count(b"echo")) == (3, 1)


def test_an_empty_stream_is_answered_with_nothing(wire: Wire) -> None:
    """No messages in, none out, status 0."""
    answer = wire.answer(wire.open(STREAM_INFER, is_last=True))

    assert (answer.headers[":status"], answer.status, answer.body) == ("200", 0, b"")


def test_a_stream_may_carry_more_than_its_window(wire: Wire) -> None:
    """The window is widened as messages are taken."""
    request = framed(infer_request("echo", x=np.ones((1, 40_000), np.float32)).SerializeToString())
    stream = wire.open(STREAM_INFER)
    for _ in range(20):
        for start in range(0, len(request), 16384):
            wire.send(frame(DATA, 0, stream, request[start : start + 16384]))
        size = 5
        while size < 160_000:
            got = wire.read()
            size += len(got.payload) if got.kind == DATA else 0
            if got.kind == DATA:
                wire.send(_widen(stream, len(got.payload)) + _widen(0, len(got.payload)))
    wire.send(frame(DATA, END_STREAM, stream))

    assert wire.answer(stream).status == 0


def _widen(stream: int, size: int) -> bytes:
    return frame(8, 0, stream, size.to_bytes(4, "big"))


def test_a_large_answer_waits_for_the_window(wire: Wire) -> None:
    """An answer goes out as far as the client's windows allow, and on when they are widened, in order."""
    values = np.arange(40_000, dtype=np.float32).reshape(1, -1)
    stream = wire.open(INFER)
    request = framed(infer_request("echo", x=values).SerializeToString())
    for start in range(0, len(request), 16384):
        wire.send(frame(DATA, 0, stream, request[start : start + 16384]))
    wire.send(frame(DATA, END_STREAM, stream))
    body = b""
    while len(body) < 65535:
        body += wire.until(DATA).payload
    assert len(body) == 65535
    assert wire.is_silent(0.1)
    wire.send(_widen(stream, 20_000) + _widen(0, 30_000))
    while len(body) < 85535:
        body += wire.until(DATA).payload
    assert len(body) == 85535
    wire.send(_widen(stream, 200_000) + _widen(0, 200_000))
    rest = wire.answer(stream)

    assert rest.status == 0
    assert echoed((body + rest.body)[5:]) == list(range(40_000))


def test_settings_move_the_windows_of_open_streams(wire: Wire) -> None:
    """INITIAL_WINDOW_SIZE changes what open streams may send, also to less than nothing."""
    values = np.ones((1, 30_000), np.float32)
    request = framed(infer_request("echo", x=values).SerializeToString())
    wire.send(frame(4, 0, 0, b"\x00\x04" + (1000).to_bytes(4, "big")))
    stream = wire.open(INFER)
    for start in range(0, len(request), 16384):
        wire.send(frame(DATA, 0, stream, request[start : start + 16384]))
    wire.send(frame(DATA, END_STREAM, stream))
    assert len(wire.until(DATA).payload) == 1000
    wire.send(frame(4, 0, 0, b"\x00\x04" + (0).to_bytes(4, "big")) + _widen(stream, 1500))
    assert len(wire.until(DATA).payload) == 500
    wire.send(frame(4, 0, 0, b"\x00\x04" + (200_000).to_bytes(4, "big")) + _widen(0, 200_000))

    assert wire.answer(stream).status == 0


def test_many_calls_share_a_connection(wire: Wire) -> None:
    """Answers find their streams, whatever the order."""
    opened = [wire.open(INFER) for _ in range(50)]
    wire.send(b"".join(frame(DATA, END_STREAM, stream, framed(ECHO)) for stream in reversed(opened)))
    done: set[int] = set()
    while len(done) < len(opened):
        got = wire.read()
        if got.kind == 1 and got.flags & END_STREAM:
            done.add(got.stream)

    assert done == set(opened)


def test_every_code_has_a_number() -> None:
    """The table covers all codes, each with a number of its own."""
    assert GRPC_STATUS.keys() == set(Code)
    assert sorted(GRPC_STATUS.values()) == list(range(1, 17))


def test_calls_are_counted(start: Start) -> None:
    """By dialect, model, version and code; probes and unknown models are not told apart."""
    running = start()
    with Wire(running.port) as client:
        client.greet()
        client.call(INFER, framed(ECHO))
        client.call(INFER, framed(infer_request("nope", x=[1.0]).SerializeToString()))
        client.call("/tensorflow.serving.PredictionService/Predict")
        client.call(LIVE)
    counted = {
        (
            sample.labels["protocol"],
            sample.labels["model"],
            sample.labels["version"],
            sample.labels["code"],
        ): sample.value
        for metric in registry_of(running.metrics.instruments).collect()
        for sample in metric.samples
        if sample.name == "fairlead_requests_total"
    }

    assert counted == {
        ("v2-grpc", "echo", "1", "OK"): 1,
        ("v2-grpc", "", "", "NOT_FOUND"): 1,
        ("tfserving-grpc", "", "", "INVALID_ARGUMENT"): 1,
    }


def test_nothing_of_a_finished_call_is_kept(server: Running, wire: Wire) -> None:
    """After calls of every fate the budget is whole."""
    wire.call(INFER, framed(ECHO))
    for body, coding, _ in BAD_BODIES.values():
        wire.call(INFER, body, grpc_encoding=coding)
    stream = wire.open(STREAM_INFER)
    wire.send(frame(DATA, END_STREAM, stream, framed(ECHO) * 3))
    wire.answer(stream)

    assert server.app.budget._held == 0
    assert GOAWAY not in {got.kind for got in _pending(wire)}
    assert wire.call(LIVE, EMPTY).status == 0


def _pending(wire: Wire) -> list[Any]:
    wire.send(frame(6, 0, 0, b"the last"))
    got: list[Any] = []
    while not got or got[-1].payload != b"the last":
        got.append(wire.read())
    return got
