"""Bytes become requests, however they are cut, within limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Request
from fairlead.transport.reader import (
    MAX_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
    MOST_WAITING,
    RequestReader,
    _known,
)

LIMIT = 200_000
GET = b"GET /a?b=%20c HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nX-Odd: \t a b \t\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
TRAILED = CHUNKED + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"


def read(*pieces: bytes) -> RequestReader:
    """A reader that got these, and whose requests are taken away as they come."""
    reader = RequestReader(LIMIT)
    taken: list[Request] = []
    for piece in pieces:
        reader.feed(piece)
        while reader.requests:
            taken += reader.requests
            reader.requests.clear()
            reader.read_on()
    reader.requests.extend(taken)
    return reader


def fault(*pieces: bytes) -> HttpError:
    """What is wrong with them."""
    found = read(*pieces).fault
    assert found is not None
    return found[1]


def head(*lines: bytes) -> bytes:
    """A request to which these header lines belong."""
    return b"\r\n".join((b"POST /a HTTP/1.1", b"Host: x", *lines, b"", b""))


def test_a_request_is_what_was_sent() -> None:
    """Nothing of path and query is decoded, names are in lower case, and values have no blanks around them."""
    get, post, chunked = read(GET + POST + TRAILED).requests
    assert (get.method, get.path, get.query, get.body) == ("GET", "/a", "b=%20c", b"")
    assert post.head.headers == ((b"host", b"x"), (b"x-odd", b"a b"), (b"content-length", b"5"))
    assert (post.path, post.body, post.head.version, post.head.keep_alive) == ("/b", b"hello", "1.1", True)
    assert (chunked.path, chunked.body) == ("/c", b"abcde")


@given(st.lists(st.integers(1, 40), max_size=40))
def test_it_does_not_matter_how_the_bytes_are_cut(sizes: list[int]) -> None:
    """Any cut gives the same requests, trailers and all, with nothing of one in the next."""
    data = GET + TRAILED + POST + TRAILED + GET
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    requests = read(*pieces, data).requests
    assert [(request.path, request.body) for request in requests] == [
        ("/a", b""), ("/c", b"abcde"), ("/b", b"hello"), ("/c", b"abcde"), ("/a", b""),
    ]  # fmt: skip
    assert [len(request.head.headers) for request in requests] == [1, 2, 3, 2, 1]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"//a//b", "//a//b", ""),
        (b"/a?", "/a", ""),
        (b"/a?b?c", "/a", "b?c"),
        (b"/a?b#c", "/a", "b"),
        (b"http://h:80/a?b", "/a", "b"),
        (b"http://h", "/", ""),
        (b"*", "*", ""),
    ],
)
def test_every_form_of_a_target(target: bytes, path: str, query: str) -> None:
    """A path, with a host before it or not, or an asterisk; a fragment is dropped."""
    (request,) = read(b"OPTIONS %b HTTP/1.1\r\nHost: h\r\n\r\n" % target).requests
    assert (request.path, request.query) == (path, query)


def test_a_last_request_is_the_last() -> None:
    """What comes behind a request after which the client takes no answer is no request, and no fault."""
    for last in (head(b"Connection: close"), b"GET / HTTP/1.0\r\n\r\n"):
        reader = read(last + GET, GET)
        assert [request.head.keep_alive for request in reader.requests] == [False]
        assert reader.fault is None


def test_reading_stops_when_enough_requests_wait() -> None:
    """The rest is kept until some were taken, and nothing is lost."""
    reader = RequestReader(LIMIT)
    reader.feed(GET * 5000)
    taken = 0
    while reader.is_full:
        assert MOST_WAITING <= len(reader.requests) < MOST_WAITING + 16_384 / len(GET) + 1
        taken += len(reader.requests)
        reader.requests.clear()
        reader.read_on()
    assert taken + len(reader.requests) == 5000


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_an_upgrade_is_declined(method: bytes) -> None:
    """A client that would rather talk HTTP/2 is understood in HTTP/1.1, its body too, and so is what follows."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 5"
    request = b"%b /u HTTP/1.1\r\nHost: x\r\n%b\r\n\r\nhello" % (method, offer)
    for pieces in ([request + GET], [request[:-3], request[-3:], GET], [bytes([byte]) for byte in request + GET]):
        first, second = read(*pieces).requests
        assert (first.path, first.body, first.head.keep_alive) == ("/u", b"hello", True)
        assert (second.path, second.body) == ("/a", b"")


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [LIMIT + 1, 2**64 - 1])
def test_an_announced_body_over_the_limit_is_not_read(length: int) -> None:
    """A Content-Length over the limit is refused with 413 that names limit and setting, before a byte of the body."""
    error = fault(head(b"Content-Length: %d" % length))
    assert (error.status, error.code) == (413, Code.RESOURCE_EXHAUSTED)
    assert str(LIMIT) in str(error)
    assert "FAIRLEAD_MAX_BODY_BYTES" in str(error)


def test_a_chunked_body_is_cut_at_the_limit() -> None:
    """A body without a length is refused when it passes the limit."""
    chunk = b"%x\r\n%b\r\n" % (1000, b"x" * 1000)
    assert fault(CHUNKED, *[chunk] * (LIMIT // 1000), chunk).status == 413
    (request,) = read(CHUNKED, *[chunk] * (LIMIT // 1000), b"0\r\n\r\n").requests
    assert len(request.body) == LIMIT


def test_a_body_comes_in_so_many_chunks() -> None:
    """One chunk more is refused: each costs far more than its byte."""
    chunks = b"1\r\nx\r\n" * (MAX_CHUNKS - 1)
    (request,) = read(CHUNKED + chunks + b"0\r\n\r\n").requests
    assert len(request.body) == MAX_CHUNKS - 1
    assert fault(CHUNKED + chunks + b"1\r\nx\r\n0\r\n\r\n").status == 413


def test_so_many_headers() -> None:
    """One more is 431."""
    (request,) = read(head(*[b"A: b"] * (MAX_HEADERS - 1))).requests
    assert len(request.head.headers) == MAX_HEADERS
    assert fault(head(*[b"A: b"] * MAX_HEADERS)).status == 431


def test_headers_of_such_a_size() -> None:
    """Headers over the limit are 431, however the bytes are cut and however much is behind them."""
    fill = b"A: " + b"b" * (MAX_HEAD_BYTES - 100)
    assert len(read(head(fill)).requests) == 1
    large = head(fill, b"C: " + b"d" * 200)
    assert fault(large).status == 431
    assert fault(large + POST).status == 431
    assert fault(POST + large[:-500], large[-500:]).status == 431
    assert fault(*[large[at : at + 100] for at in range(0, len(large), 100)]).status == 431


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\nA", b"GET /", b"GET / HTTP/1.1\r\n"])
def test_an_endless_head_ends(start: bytes) -> None:
    """A header, a name or a URL without an end is given up soon after the limit; nobody waits for the deadline."""
    reader = RequestReader(LIMIT)
    fed = 0
    reader.feed(start)
    while reader.fault is None:
        reader.feed(b"a" * 1000 if not start.endswith(b"\n") else b"a: b\r\n" * 100)
        fed += 1000
        assert fed < 4 * MAX_HEAD_BYTES
    assert reader.fault[1].status == (414 if start == b"GET /" else 431)


@pytest.mark.parametrize("start", [b"1;", b"1;a=", b"0\r\nA: ", b"0\r\n"])
def test_an_endless_frame_ends(start: bytes) -> None:
    """The same for a chunk's extension and for trailers."""
    reader = read(CHUNKED + start)
    fed = 0
    while reader.fault is None:
        reader.feed(b"a" * 1000 if not start.endswith(b"\n") else b"a: b\r\n" * 100)
        fed += 1000
        assert fed < 4 * MAX_HEAD_BYTES
    assert reader.fault[1].status == 400


def test_a_long_url() -> None:
    """A URL over the limit is 414."""
    (request,) = read(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * (MAX_URL_BYTES - 1))).requests
    assert len(request.path) == MAX_URL_BYTES
    assert fault(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * MAX_URL_BYTES)).status == 414


def test_an_expectation_that_nobody_can_meet() -> None:
    """Only 100-continue is known; HTTP/1.0 had no expectations."""
    assert fault(head(b"Expect: more")).status == 417
    reader = read(head(b"Expect: 100-Continue", b"Content-Length: 1"))
    assert reader.owes_continue
    assert read(b"GET / HTTP/1.0\r\nExpect: more\r\n\r\n").requests


def test_what_is_known_of_a_bad_request_is_told() -> None:
    """The path of a request that is refused, for the dialect's shape."""
    found = read(b"POST /v2/models/m/infer HTTP/1.1\r\nHost : x\r\n\r\n").fault
    assert found is not None
    request, error = found
    assert (request.path, request.head.keep_alive) == ("/v2/models/m/infer", False)
    assert error.message == "This is no request of HTTP/1.1: Invalid header token"


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    """Anything is requests, a fault, or not complete yet."""
    read(data)
    read(GET[:-2] + data)
    read(CHUNKED + data)


# -- heads that were read before ---------------------------------------------------------------------------------------


class Silent:
    """A parser that must not be asked."""

    def feed_data(self, _data: bytes) -> None:
        raise AssertionError("it was")


def test_a_head_that_was_read_before_needs_no_parser() -> None:
    """A request in one piece, whatever its body, is the same request, on any connection."""
    first = POST.replace(b"/b", b"/known")
    read(first)
    reader = RequestReader(LIMIT)
    reader._parser = Silent()
    for body in (b"hello", b"\r\n\r\n\x00"):
        reader.feed(first[:-5] + body)

    assert reader.fault is None
    assert reader.began is None
    assert [request.body for request in reader.requests] == [b"hello", b"\r\n\r\n\x00"]
    assert {request.path for request in reader.requests} == {"/known"}
    assert reader.requests[0].head is reader.requests[1].head


@pytest.mark.parametrize(
    "pieces",
    [
        (POST[:-1],),  # not all of its body
        (POST[:-5],),
        (POST + GET,),
        (POST + b"GET",),
        (GET[:-2], GET[-2:] + POST),
        (POST[:20], POST[20:]),
    ],
)
def test_what_is_more_or_less_than_a_known_request_is_parsed(pieces: tuple[bytes, ...]) -> None:
    """The same comes out whether or not its head was read before."""
    results = []
    for path in (b"/never", b"/b"):
        if path == b"/b":
            read(POST, GET)
        reader = read(*(piece.replace(b"/b", path) for piece in pieces))
        results.append([(request.method, request.body) for request in reader.requests])
        results[-1].append(("open", b"" if reader.began is None else b"yes"))
    assert results[0] == results[1]


def test_a_known_head_lifts_no_limit() -> None:
    """A server that takes less refuses it as before."""
    read(POST)
    small = RequestReader(4)
    small.feed(POST)
    assert small.fault is not None
    assert small.fault[1].status == 413


@pytest.mark.parametrize(
    "request_bytes",
    [
        TRAILED,
        POST.replace(b"X-Odd", b"Connection: close\r\nX-Odd"),
        POST.replace(b"X-Odd", b"Expect: 100-continue\r\nX-Odd"),
        POST.replace(b"X-Odd", b"X-Long: " + b"a" * 3000 + b"\r\nX-Odd"),
    ],
)
def test_heads_that_say_more_are_read_every_time(request_bytes: bytes) -> None:
    """Chunks, an end, an expectation; and heads too long to keep."""
    reader = read(request_bytes)
    assert len(reader.requests) == 1
    again = RequestReader(LIMIT)
    assert not again._take_known(request_bytes)


def test_few_heads_are_kept() -> None:
    """Whatever clients invent."""
    for number in range(1000):
        read(GET.replace(b"/a", b"/%d" % number))
    assert len(_known) <= 256
    assert RequestReader(LIMIT)._take_known(GET.replace(b"/a", b"/999"))
