"""The application sends each request to its dialect, and survives what breaks."""

import logging

import orjson
import pytest
from tests.transport.conftest import Client, request_of
from tests.transport.fakes import FakeCatalogue

from fairlead.errors import Code
from fairlead.transport.codes import HttpError


@pytest.mark.parametrize("path", ["/index", "/v1", "/predict/", "/health/", "/metrics/", "/V2/health/ready"])
def test_an_unknown_path_is_404_with_a_hint(client: Client, path: str) -> None:
    """A path that means nothing is answered with 404, in JSON, and with paths to try."""
    answer = client.get(path)
    assert answer.status == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"
    assert path in answer.error
    assert "/predict" in answer.json()["error"]["hint"]


@pytest.mark.parametrize("path", ["/v1/models/broken:predict", "/predict?model=broken", "/v2/models/broken/infer"])
def test_a_bug_reveals_nothing(client: Client, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception is a 500 in the dialect's shape without its text, and one log record with all of it."""
    v2 = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}
    with caplog.at_level(logging.ERROR):
        answer = client.post(path, v2 if path.startswith("/v2") else {"instances": [1.0]})
    assert answer.status == 500
    assert answer.error.startswith("Internal error")
    assert b"secret" not in answer.body
    (record,) = caplog.records
    assert "/secret/path" in caplog.text
    assert record.name == "fairlead.transport.http"


def test_a_probe_that_breaks_is_500(
    client: Client, catalogue: FakeCatalogue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A probe or a page that breaks is told in JSON like everything else."""
    monkeypatch.setattr(catalogue, "readiness", lambda: 1 / 0)
    assert client.get("/health/ready").error == "Internal error"
    assert "ZeroDivisionError" in caplog.text


def test_a_failure_of_ours_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An error that is nobody's but the server's is one log record with its sentence."""
    client.post("/predict?model=failing", {"instances": [1.0]})
    (record,) = caplog.records
    assert record.getMessage() == "POST /predict failed: the runtime gave up"


def test_a_success_is_not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A request that succeeds, or that the client got wrong, writes no log record."""
    with caplog.at_level(logging.INFO, logger="fairlead"):
        client.predict("echo", {"instances": [[1.0]]})
        client.predict("echo", b"{")
    assert not caplog.records


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/v1/models/echo:predict", str), ("/v2/models/echo/infer", str), ("/predict", dict), ("/nowhere", dict)],
)
def test_an_unreadable_request_is_refused_in_its_dialects_shape(client: Client, path: str, shape: type) -> None:
    """What the connection finds wrong is told like every other error of that path, and counted."""
    response = client.app.refuse(request_of("POST", path), HttpError(408, Code.DEADLINE_EXCEEDED, "too slow"))
    assert response.status == 408
    assert isinstance(orjson.loads(response.body)["error"], shape)
    counted = 'code="DEADLINE_EXCEEDED"' in client.get("/metrics").body.decode()
    assert counted == (path != "/nowhere")
