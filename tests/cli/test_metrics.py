"""The metrics page of a real server: its names, and how many series clients can make."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import grpc
import numpy as np
import pytest
from tests.transport.grpc.channel import INFERENCE, MODEL, PREDICTION, Channel
from tests.transport.grpc.protos import infer_request

from fairlead.transport.tfserving.metrics import MAX_STRANGERS

from .clients import Callers, Clients
from .conftest import Server, StartWorkers
from .prometheus import complaints

CATALOGUE = Path(__file__).parents[2] / "docs" / "metrics.md"
MARK = "evil"
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW")


@pytest.fixture
def server(start_workers: StartWorkers) -> Server:
    """Two workers that serve digits, and predictions are logged."""
    return start_workers(2, "--prediction-log", "on")


def samples(page: str) -> list[str]:
    """Its lines without comments."""
    return [line for line in page.splitlines() if line and not line.startswith("#")]


def test_promtool_finds_nothing_wrong(server: Server) -> None:
    """With the page of a server that has just begun, or was busy; and all that it shows is in the catalogue."""
    assert complaints(server.page("/metrics", server.management_port)[1]) == ""
    with Clients(server.port) as clients, Callers(server.grpc_port):
        clients.wait_for(100)
        server.call("POST", "/v1/models/nope:predict", b"{}")
    page = server.page("/metrics", server.management_port)[1]
    assert complaints(page) == ""
    assert complaints(server.page("/metrics")[1]) == ""
    assert complaints(page.replace("fairlead_requests_total", "fairlead_requests")) != ""
    described = set(re.findall(r"^\| `([\w:]+)` \| (\w+) ", CATALOGUE.read_text(), re.MULTILINE))
    assert set(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE)) <= described
    assert server.stop() == 0


def test_what_a_model_does_and_what_a_process_uses_are_told_apart_by_one_label(server: Server) -> None:
    """`process` is on all that a process uses and on nothing else, and never beside `model`."""
    with Clients(server.port) as clients:
        clients.wait_for(20)
    found = samples(server.page("/metrics", server.management_port)[1])

    assert [line for line in found if line.startswith("process_") != ("process=" in line)] == []
    assert [line for line in found if "version=" in line and "model=" not in line and "build_info" not in line] == []
    assert [line for line in found if "process=" in line and "model=" in line] == []
    assert any(line.startswith("process_") for line in found)
    assert server.stop() == 0


def strange_names(rng: random.Random) -> Iterator[str]:
    """Names as nobody should give them, each another one."""
    while True:
        name = f"{MARK}{rng.getrandbits(60):x}"
        yield name
        yield f'{name}"}} 1\n# TYPE forged counter\nforged_total{{x="'
        yield f"{name}\\{chr(rng.randrange(0x4E00, 0x9FFF))}\r\n\x00"
        yield name + "x" * 10_000
        yield f"../{name}"


def ask_strangely(server: Server, count: int) -> None:
    """So many REST requests of all methods and paths, with names that nobody knows."""
    rng = random.Random(7)
    strange = strange_names(rng)
    picture = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(count):
        one, other = quote(next(strange), safe=""), quote(next(strange), safe="")
        number = rng.getrandbits(rng.choice([4, 16, 70]))
        model = rng.choice([one, "digits"])
        path = rng.choice(
            [
                f"/v1/models/{model}/versions/{number}:predict",
                f"/v1/models/{model}/labels/{other}:predict",
                f"/v1/models/{model}/labels/{other}",
                f"/v1/models/{model}:{other}",
                f"/v1/models/{model}/metadata",
                f"/v1/{one}",
                f"/v2/models/{model}/versions/{number}/infer",
                f"/v2/models/{model}/ready",
                f"/v2/models/{model}/stats",
                f"/v2/repository/models/{one}/unload",
                f"/v2/{one}",
                f"/predict?model={model}&label={other}",
                f"/predict?model={model}&version={number}",
                f"/feedback?model={one}",
                f"/monitoring/prometheus/metrics?{one}",
                f"/{one}",
            ]
        )
        headers = {"content-type": rng.choice(["application/json", f"{MARK}/x"]), "x-sticky-key": other[:500]}
        method = rng.choice(METHODS) if rng.random() < 0.3 else "POST"
        body = rng.choice([picture, b"{}", b"", f'{{"labels": [{{"prediction_id": "{MARK}"}}]}}'.encode()])
        with suppress(OSError, http.client.HTTPException):  # it may well be cut off
            connection.request(method, path, body, headers)
            connection.getresponse().read()
            continue
        connection.close()
    connection.close()


def call_strangely(server: Server, count: int) -> None:
    """So many gRPC calls with names that nobody knows, methods included, alone and in streams that end well."""
    strange = strange_names(random.Random(8))
    with Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for number in range(count):
            one, other = next(strange), next(strange)
            spec = {"name": one, "version": {"value": number}} if number % 2 else {"name": "digits"}
            with suppress(grpc.RpcError):
                match number % 7:
                    case 0:
                        channel.ask(PREDICTION, "Predict", model_spec=spec)
                    case 1:
                        channel.ask(PREDICTION, "Predict", model_spec={"name": "digits", "version_label": other})
                    case 2:
                        channel.ask(MODEL, "GetModelStatus", model_spec=spec)
                    case 3:
                        channel.ask(INFERENCE, "ModelReady", name=one, version=str(number))
                    case 4:
                        channel.ask(INFERENCE, "ModelInfer", infer_request(one, image=[[1.0]]))
                    case 5:
                        list(channel.stream(INFERENCE, "ModelStreamInfer", [infer_request(one, image=[[1.0]])]))
                    case _:
                        channel._channel.unary_unary(f"/{MARK}{number}/x")(b"", timeout=5)


def test_clients_cannot_make_series(server: Server) -> None:
    """Names, versions, labels, paths and methods that they invent share few series, on both ports and both pages.

    TensorFlow Serving's page has the first names that a model could have.
    """
    ask_strangely(server, 2000)
    call_strangely(server, 700)
    page = server.page("/metrics", server.management_port)[1]
    theirs = server.page("/monitoring/prometheus/metrics")[1]

    assert "fairlead_metrics_overflows_total 0.0" in page
    assert MARK not in page
    assert 0 < len(set(re.findall(rf'model_name="{MARK}([^"]*)"', theirs))) <= 2 * MAX_STRANGERS
    assert re.sub(rf'model_name="{MARK}[0-9a-f]+"', "", theirs).count(MARK) == 0
    assert "forged" not in page + theirs
    assert complaints(page) == ""
    counted = [line for line in samples(page) if line.startswith("fairlead_requests_total{")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) > 2000  # most were heard, and some are no traffic
    assert len(samples(page)) + len(samples(theirs)) <= 1000
    assert 'fairlead_requests_total{code="NOT_FOUND",model="",protocol="tfserving",version=""}' in page
    assert 'fairlead_requests_total{code="NOT_FOUND",model="",protocol="v2-grpc",version=""}' in page
    assert server.stop() == 0
