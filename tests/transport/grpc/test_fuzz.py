"""Whatever a client sends, nothing is raised, nothing hangs, and the next client is served."""

import contextlib
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transport.grpc.live import Running
from tests.transport.grpc.protos import ModelInferRequest, PredictRequest, infer_request, predict_request
from tests.transport.grpc.wire import (
    CONTINUATION,
    DATA,
    EMPTY,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INFER,
    LIVE,
    PREFACE,
    SETTINGS,
    STREAM_INFER,
    Wire,
    frame,
    framed,
)

from fairlead.transport.grpc.frames import Http2Error
from fairlead.transport.grpc.headers import Head
from fairlead.transport.grpc.patience import Patience
from fairlead.transport.grpc.reader import FrameReader
from fairlead.transport.grpc.session import Session
from fairlead.transport.grpc.stream import Stream
from fairlead.transport.limits import Limits

PREDICT = "/tensorflow.serving.PredictionService/Predict"
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

frames = st.builds(
    frame,
    st.integers(0, 12),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 3, 5, 2, 2**31 - 1]),
    st.one_of(st.binary(max_size=40), st.sampled_from([bytes(4), bytes(8), EMPTY, b"\x00\x04\x00\x00\x00\x00"])),
)


class Quiet:
    """A link that remembers what went over it, and an exchange that takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_over = False

    def emit(self, data: bytes) -> None:
        self.sent.append(data)

    def fail(self, error: Http2Error) -> None:
        self.is_over = True

    def end(self) -> None:
        self.is_over = True

    def data(self, payload: bytes, *, is_last: bool) -> None:
        pass

    def cancel(self) -> None:
        pass

    def time_out(self) -> None:
        pass


def take(quiet: Quiet, pieces: Sequence[bytes]) -> Session:
    """A session that was sent `pieces`, up to its end."""
    patience = Patience()
    session = Session(lambda _: quiet, quiet, Limits(), patience)
    reader = FrameReader(patience, now=0, header_timeout_s=1, body_timeout_s=1)
    with contextlib.suppress(Http2Error):
        for piece in pieces:
            for one in reader.feed(piece, 0):
                session.take(*one)
    return session


@FUZZ
@given(st.lists(st.one_of(frames, st.binary(max_size=60)), max_size=30))
def test_frames_of_any_kind_end_in_an_error_or_in_nothing(pieces: list[bytes]) -> None:
    """A session raises nothing but its own error, and holds what it was sent and no more."""
    session = take(Quiet(), [PREFACE + frame(SETTINGS), *pieces])

    assert len(session._streams) <= len(pieces)


@FUZZ
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_bytes_are_read_alike_wherever_they_are_cut(data: bytes, cuts: list[int]) -> None:
    """The frames do not depend on how the network splits them."""
    data = PREFACE + frame(SETTINGS) + data
    ends = sorted({*cuts, len(data)})
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    whole, split = Quiet(), Quiet()
    take(whole, [data])
    take(split, pieces)

    assert b"".join(whole.sent) == b"".join(split.sent)


@FUZZ
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=20), st.integers(1, 6000))
def test_windows_are_never_overrun(widenings: list[tuple[int, int]], size: int) -> None:
    """However the client widens its windows, no more is sent than they allow, and in the end all of it, in order."""
    quiet = Quiet()
    session = Session(lambda _: quiet, quiet, Limits(), Patience())
    stream = Stream(1, Head(method=b"POST", path=b"/", fields={}), session, 0)
    session.send_window, session.head_prefix, stream.is_received = 0, b"", True
    body = bytes(index % 251 for index in range(size))
    stream.send(body)
    stream.send_trailers(b"\x88")
    allowed = [0, 0]
    for of_stream, of_connection in [*widenings, (size, size)]:
        if stream.is_closed:
            break
        allowed = [allowed[0] + of_stream, allowed[1] + of_connection]
        stream.send_window += of_stream
        session.send_window += of_connection
        session.pump()
        assert len(_data(quiet)) == min(*allowed, size)

    assert _data(quiet) == body
    assert stream.is_closed


def _data(quiet: Quiet) -> bytes:
    """The payloads of all DATA frames that were sent."""
    body, rest = b"", b"".join(quiet.sent)
    while rest:
        size = int.from_bytes(rest[:3], "big")
        if rest[3] == DATA:
            body += rest[9 : 9 + size]
        rest = rest[9 + size :]
    return body


@settings(FUZZ, max_examples=60)
@given(st.lists(st.one_of(frames, st.binary(max_size=60)), max_size=20))
def test_a_live_server_survives_any_frames(server: Running, pieces: list[bytes]) -> None:
    """Whatever came before on another connection, a good call is answered."""
    with Wire(server.port) as client:
        client.greet()
        with contextlib.suppress(OSError):
            client.send(b"".join(pieces))
    with Wire(server.port) as client:
        client.greet()
        assert client.call(LIVE).status == 0


def test_broken_messages_are_never_our_fault(server: Running) -> None:
    """Good requests with bits turned, cut off, or doubled get any answer but INTERNAL and UNKNOWN."""
    chance = random.Random(7)
    seeds = {
        INFER: infer_request("pair", a=[[1.0, 2.0]]).SerializeToString(),
        PREDICT: predict_request("echo", x=[[1.0, 2.0]]).SerializeToString(),
        STREAM_INFER: infer_request("echo", x=[[1.0, 2.0]]).SerializeToString(),
        "/tensorflow.serving.PredictionService/Classify": b"\n\x06\n\x04half\x12\n\n\x08\n\x06\n\x04\n\x01x\x12\x00",
    }
    with Wire(server.port) as client:
        client.greet()
        for turn in range(2000):
            path = chance.choice(list(seeds))
            message = bytearray(seeds[path])
            for _ in range(chance.randint(1, 4)):
                message[chance.randrange(len(message))] = chance.randrange(256)
            if turn % 5 == 0:
                message = message[: chance.randrange(len(message))]
            answer = client.call(path, framed(bytes(message)))
            assert answer.status not in (2, 13), (path, bytes(message), answer)


@settings(FUZZ, max_examples=150)
@given(st.data())
def test_requests_of_any_fields_are_never_our_fault(server: Running, data: st.DataObject) -> None:
    """Messages that are well formed and mean nothing are the client's fault."""
    with Wire(server.port) as client:
        client.greet()
        for _ in range(5):
            if data.draw(st.booleans()):
                path, request = INFER, data.draw(_infer_requests())
            else:
                path, request = PREDICT, data.draw(_predict_requests())
            answer = client.call(path, framed(request.SerializeToString()))
            assert answer.status not in (2, 13), (request, answer)


small = st.integers(-2, 5)


@st.composite
def _infer_requests(draw: st.DrawFn) -> Any:
    request = ModelInferRequest(
        model_name=draw(st.sampled_from(["echo", "pair", "words", "same-int8", "same-float16"]))
    )
    for _ in range(draw(st.integers(0, 2))):
        tensor = request.inputs.add(
            name=draw(st.sampled_from(["x", "a", "n", "text"])),
            datatype=draw(st.sampled_from(["FP32", "INT32", "BYTES", "INT8", "FP16", "BOOL", ""])),
            shape=draw(st.lists(small, max_size=3)),
        )
        if draw(st.booleans()):
            tensor.contents.int_contents.extend(draw(st.lists(st.integers(-300, 300), max_size=4)))
            tensor.contents.fp32_contents.extend(draw(st.lists(st.floats(width=32), max_size=4)))
            tensor.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=3), max_size=4)))
    request.raw_input_contents.extend(draw(st.lists(st.binary(max_size=12), max_size=2)))
    for _ in range(draw(st.integers(0, 2))):
        output = request.outputs.add(name=draw(st.sampled_from(["y", "sum", "upper", "z"])))
        output.parameters["classification"].int64_param = draw(small)
    return request


@st.composite
def _predict_requests(draw: st.DrawFn) -> Any:
    request = PredictRequest()
    request.model_spec.name = draw(
        st.sampled_from(["echo", "words", "fixed", "same-bool", "same-float16", "same-uint8"])
    )
    for name in draw(st.lists(st.sampled_from(["x", "text"]), max_size=2)):
        proto = request.inputs[name]
        proto.dtype = draw(st.sampled_from([0, 1, 3, 4, 7, 10, 19]))
        for size in draw(st.lists(small, max_size=3)):
            proto.tensor_shape.dim.add(size=size)
        proto.tensor_content = draw(st.sampled_from([b"", b"1234", b"\x01a", b"\x80\x80"]))
        proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
        proto.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3)))
        proto.half_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3)))
        proto.string_val.extend(draw(st.lists(st.binary(max_size=4), max_size=3)))
    return request


def test_header_blocks_of_any_bytes_are_no_fault_of_ours(server: Running) -> None:
    """Random blocks, whole or continued, end a connection or a stream, and nothing else."""
    chance = random.Random(11)
    for _ in range(60):
        with Wire(server.port) as client:
            client.greet()
            block = client.block() + chance.randbytes(chance.randrange(1, 40))
            cut = chance.randrange(len(block))
            with contextlib.suppress(OSError):
                client.send(
                    frame(HEADERS, END_STREAM, 1, block[:cut]) + frame(CONTINUATION, END_HEADERS, 1, block[cut:])
                )
    with Wire(server.port) as client:
        client.greet()
        assert client.call().status == 0
