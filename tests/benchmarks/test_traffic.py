"""The clients of the swap runs notice what may not happen: each fault is served to them on purpose."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from benchmarks.harness.traffic import Clients, Traffic

KEPT = Clients(rest_kept=1)


def answer(version: int, digits: list[int]) -> bytes:
    """A V2 answer from `version` with a row for each digit."""
    data = [float(column == digit) for digit in digits for column in range(10)]
    body = orjson.dumps({"model_version": str(version), "outputs": [{"data": data}]})
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def traffic_against(said: bytes, *, requests: int = 4) -> Traffic:
    """What the clients saw of a server that says this to every request, and then closes if it said nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            writer.write(said)
            if not said:
                break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        traffic = Traffic(server.sockets[0].getsockname()[1], 0, "digits", rows=2)
        async with asyncio.timeout(10):
            await traffic.run(requests, KEPT)
    return traffic


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """The next request's head; nothing when the client has gone."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_rows_of_the_named_version_are_good() -> None:
    """The digit is the version's number."""
    traffic = await traffic_against(answer(2, [2, 2]))

    assert (traffic.answered, traffic.failed, traffic.mixed, dict(traffic.versions)) == (4, 0, 0, {2: 4})


@pytest.mark.parametrize("digits", [[1, 2], [1, 1]], ids=["two versions in one", "another than it says"])
async def test_an_answer_of_no_one_version_is_mixed(digits: list[int]) -> None:
    """All rows must come from the version that the answer names."""
    traffic = await traffic_against(answer(2, digits))

    assert (traffic.answered, traffic.failed, traffic.mixed) == (0, 4, 4)


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", b""],
    ids=["an error", "a closed connection"],
)
async def test_a_request_without_an_answer_has_failed(said: bytes) -> None:
    """Whether the server says so or just goes."""
    traffic = await traffic_against(said)

    assert (traffic.answered, traffic.failed, traffic.mixed) == (0, 4, 0)
    assert traffic.failures
