"""One connection over a real socket: what is answered, in what order, and when it ends."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from tests.transport.fakes import LIMIT
from tests.transport.live import BODY, PATH, TIMEOUT_S, Running, ask, converse, read_all

from fairlead.transport.limits import Limits

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PREDICT = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
ANSWER = b'{"predictions":[[1.0,2.0]]}'


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server for all tests that leave it as it was."""
    server = Running(quiet_s=0.0)
    yield server
    server.stop()


def statuses(received: bytes) -> list[int]:
    """Those of the answers in it."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


# -- what is answered --------------------------------------------------------------------------------------------------


def test_an_answer_has_its_headers(running: Running) -> None:
    """Date, type, which no browser may guess at, length, the prediction's id and version, in one piece."""
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
        client.sendall(PREDICT)
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    names = sorted(line.split(b":")[0] for line in lines[1:])
    assert names == [
        b"content-length",
        b"content-type",
        b"date",
        b"x-content-type-options",
        b"x-model-version",
        b"x-prediction-id",
    ]
    assert b"x-content-type-options: nosniff" in lines
    assert re.search(rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", head)
    assert body == ANSWER


def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    """However many there are, and however quick the later ones would be."""
    many = 500
    received = converse(running.port, (PREDICT + LIVE) * many + LAST)
    bodies = re.findall(rb"\r\n\r\n(\{.*?\})(?=HTTP|$)", received)
    assert bodies == [ANSWER, b'{"status":"alive"}'] * many + [b'{"status":"alive"}']
    assert received.count(b"connection: close") == 1


def test_requests_that_need_no_wait_are_answered_in_order(running: Running) -> None:
    """Thousands in one go, none of which waits for anything, neither pile up nor keep another client out."""
    many = 5_000
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as eager, closing(running.connect()) as other:
        sending = threading.Thread(target=eager.sendall, args=(LIVE * many + LAST,))
        sending.start()
        answers = [ask(other).status for _ in range(20)]
        assert statuses(read_all(eager)) == [200] * (many + 1)
        sending.join()
    assert answers == [200] * 20


def test_head_has_no_body(running: Running) -> None:
    """The answer to HEAD has the length of what GET would give, and is followed by the next answer."""
    received = converse(running.port, LIVE.replace(b"GET", b"HEAD") + LAST)
    first, second, body = received.split(b"\r\n\r\n")
    assert b"content-length: 18" in first
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert body == b'{"status":"alive"}'


def test_options_is_answered_by_the_dialect(running: Running) -> None:
    """A browser's preflight gets what TensorFlow Serving gives it."""
    asked = f"OPTIONS {PATH} HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\nConnection: close\r\n\r\n"
    assert statuses(converse(running.port, asked.encode())) == [200]


def test_http_1_0(running: Running) -> None:
    """One answer and the end, unless the client asks for more, which is then confirmed."""
    once = b"GET /health/live HTTP/1.0\r\n\r\n"
    kept = b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert statuses(converse(running.port, once + once)) == [200]
    received = converse(running.port, kept + once)
    assert statuses(received) == [200, 200]
    assert (received.count(b"connection: keep-alive"), received.count(b"connection: close")) == (1, 1)


def test_a_client_may_wait_to_be_told_to_continue(running: Running) -> None:
    """It is told at once, unless an earlier request is being answered or the body would be refused."""
    head, _, body = PREDICT.replace(b"Host", b"Expect: 100-continue\r\nConnection: close\r\nHost").partition(b"{")
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
        client.sendall(head)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{" + body)
        assert statuses(read_all(client)) == [200]
    assert statuses(converse(running.port, LIVE + head + b"{" + body)) == [200, 200]
    huge = re.sub(rb"Length: \d+", b"Length: %d" % (LIMIT + 1), head)
    assert statuses(converse(running.port, huge)) == [413]


def test_chunks(running: Running) -> None:
    """A body in chunks is the same body, whatever comes behind it."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    received = converse(running.port, head, chunks + LAST)
    assert statuses(received) == [200, 200]
    assert ANSWER in received


# -- what is refused ---------------------------------------------------------------------------------------------------

START = b"POST /v1/models/echo:predict HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
CHUNKED = START + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
BAD = {
    "two lengths": START + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two different lengths": START + HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "lengths in a list": START + HOST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a negative length": START + HOST + b"Content-Length: -2\r\n\r\n",
    "a length with a sign": START + HOST + b"Content-Length: +2\r\n\r\n{}",
    "a length in hex": START + HOST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a blank": START + HOST + b"Content-Length: 1 2\r\n\r\n{}",
    "no length": START + HOST + b"Content-Length:\r\n\r\n",
    "a length beyond 64 bits": START + HOST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "a length, and chunks": START + HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, and a length": START + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "chunked twice": START + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice in a list": START + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "gzip before chunked": START + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked before gzip": START + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "identity": START + HOST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "another coding": START + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding with a parameter": START + HOST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "a coding behind a vertical tab": START + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "no coding": START + HOST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": START.replace(b"1.1", b"1.0") + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": START + HOST + b"Content-Length : 2\r\n\r\n{}",
    "a folded header": START + HOST + b"A: b\r\n c\r\n\r\n",
    "a first header that is folded": START + b" A: b\r\n" + HOST + b"\r\n",
    "LF behind the request line": START.replace(b"\r", b"") + HOST + b"\r\n",
    "LF behind a header": START + b"Host: x\nA: b\r\n\r\n",
    "LF at the end": START + HOST + b"\n",
    "CR alone": START + b"Host: x\rA: b\r\n\r\n",
    "NUL in a value": START + HOST + b"A: b\0c\r\n\r\n",
    "NUL in a name": START + HOST + b"A\0: b\r\n\r\n",
    "a control character": START + HOST + b"A: b\x01\r\n\r\n",
    "a header without a name": START + HOST + b": b\r\n\r\n",
    "a header without a colon": START + HOST + b"Abc\r\n\r\n",
    "a bracket in a name": START + HOST + b"A(b): c\r\n\r\n",
    "a chunk's size in 0x": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "a chunk's negative size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "a blank behind a chunk's size": CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "LF behind a chunk's size": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "LF in a chunk's extension": CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n",
    "no line end behind a chunk": CHUNKED + b"1\r\na0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\na\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding among the trailers": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no host": START + b"\r\n",
    "two hosts": START + HOST + HOST + b"\r\n",
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/0.9 in words": b"GET /health/live HTTP/0.9\r\n\r\n",
    "HTTP/1.2": START.replace(b"1.1", b"1.2") + HOST + b"\r\n",
    "HTTP/2": START.replace(b"1.1", b"2.0") + HOST + b"\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a method in lower case": START.replace(b"POST", b"post") + HOST + b"\r\n",
    "an unknown method": START.replace(b"POST", b"FOO") + HOST + b"\r\n",
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab behind the method": START.replace(b" ", b"\t", 1) + HOST + b"\r\n",
    "a blank in the URL": START.replace(b"echo", b"e cho") + HOST + b"\r\n",
    "a control character in the URL": START.replace(b"echo", b"e\x01") + HOST + b"\r\n",
    "a byte beyond ASCII in the URL": START.replace(b"echo", b"e\xff") + HOST + b"\r\n",
    "a URL that is no path": START.replace(b"/v1", b"v1") + HOST + b"\r\n",
    "a blank behind the version": START.replace(b"1.1", b"1.1 ") + HOST + b"\r\n",
    "a body without a length": START + HOST + b"Connection: close\r\n\r\n" + BODY,
    "too many headers": START + HOST + b"A: b\r\n" * 100 + b"\r\n",
    "too large a header": START + HOST + b"A: " + b"b" * 16384 + b"\r\n\r\n",
    "too long a URL": START.replace(b"echo", b"e" * 9000) + HOST + b"\r\n",
    "too large a body": START + HOST + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_malformed_gets_one_answer(running: Running, name: str) -> None:
    """A request that two servers could read in two ways gets one 4xx, and nothing glued to it is ever answered."""
    for pieces in ([BAD[name] + LIVE], [BAD[name], LIVE], [LIVE + BAD[name] + LIVE]):
        received = converse(running.port, *pieces)
        *before, status = statuses(received)
        assert before == [200] * pieces[0].startswith(LIVE)
        assert 400 <= status < 500
        head, _, body = received[received.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert body.startswith(b'{"error":')
        assert b"content-length: %d" % len(body) in head


def test_too_many_connections(start: Callable[..., Running]) -> None:
    """A connection over the limit is told so and closed; when another ends, there is room again."""
    running = start(Limits(connections=2))
    with closing(running.connect()) as first, closing(running.connect()) as second:
        assert (ask(first).status, ask(second).status) == (200, 200)
        received = converse(running.port, LIVE)
        assert statuses(received) == [503]
        assert b"retry-after: 1" in received
        assert b"FAIRLEAD_MAX_CONNECTIONS" in received
        assert ask(first).status == 200
    while statuses(received := converse(running.port, LAST)) == [503]:
        pass
    assert statuses(received) == [200]


# -- when it ends ------------------------------------------------------------------------------------------------------


def test_an_idle_connection_ends(start: Callable[..., Running]) -> None:
    """A connection is not kept for ever."""
    running = start(Limits(idle_timeout_s=0.2, linger_s=0.2))
    began = time.monotonic()
    assert statuses(converse(running.port, PREDICT)) == [200]
    assert 0.2 <= time.monotonic() - began < 20  # and not the usual 75


def test_a_late_body_is_told(start: Callable[..., Running]) -> None:
    """A client whose body is not complete in time learns why before the connection ends."""
    running = start(Limits(body_timeout_s=0.2))
    received = converse(running.port, LIVE + PREDICT[:-1])
    assert statuses(received) == [200, 408]
    assert b"0.2 s" in received


def test_a_client_that_does_not_read_is_cut(start: Callable[..., Running]) -> None:
    """Its requests are not taken either, and after the deadline the connection ends, whatever is left to send."""
    running = start(Limits(write_timeout_s=0.3, linger_s=0.2))
    body = b'{"instances": [[%b]]}' % b",".join([b"0.123"] * 30_000)
    request = PREDICT.replace(str(len(BODY)).encode(), str(len(body)).encode()).replace(BODY, body)
    sent, most = 0, 1000  # ten times what the system's buffers hold
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(TIMEOUT_S)
        client.connect(("127.0.0.1", running.port))
        with contextlib.suppress(ConnectionError):
            while sent < most:
                client.sendall(request)
                sent += 1
    assert sent < most
    with closing(running.connect()) as other:
        assert ask(other).status == 200


def test_a_client_that_goes_away_is_not_computed_for(start: Callable[..., Running]) -> None:
    """Its request's task is cancelled, which is counted; the requests behind it and half a body are not begun."""
    running = start(Limits())
    running.holds_answers()
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
        client.sendall(PREDICT + PREDICT + PREDICT[:-1])
        while running.predictor.waiting != 1:
            assert statuses(converse(running.port, LAST)) == [200]
    counted = b'fairlead_requests_total{code="CANCELLED",model="%b",protocol="tfserving",version="%b"} %b.0'
    metrics = LAST.replace(b"/health/live", b"/metrics")
    while counted % (b"echo", b"1", b"1") not in (page := converse(running.port, metrics)):
        pass
    assert counted % (b"", b"", b"2") in page
    assert running.predictor.waiting == 0


def test_a_second_request_does_not_wait_for_the_first_ones_deadline(running: Running) -> None:
    """An answer leaves at once: nothing of it is held back for more."""
    with closing(running.connect()) as connection:
        took_s = []
        for _ in range(21):
            began = time.monotonic()
            assert ask(connection).status == 200
            took_s.append(time.monotonic() - began)
        assert sorted(took_s)[10] < 0.04, "a delayed acknowledgement takes 0.04 s"
