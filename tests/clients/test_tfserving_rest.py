"""TensorFlow Serving's REST API as people call it: `requests`, `urllib` and `curl`, with whatever headers they send."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from typing import Any, Protocol

import numpy as np
import pytest
import requests
from tests.cli.conftest import Server
from tests.clients.models import MIXED, MIXED_ANSWER

TIMEOUT_S = 20.0
ROW = np.zeros((28, 28, 1)).tolist()
MIXED_ROWS = [dict(zip(MIXED, row, strict=True)) for row in zip(*(a.tolist() for a in MIXED.values()), strict=True)]
MIXED_COLUMNS = {name: array.tolist() for name, array in MIXED.items()}

Answer = tuple[int, Any]


class Caller(Protocol):
    """Posts a document to an address, or gets it when there is none; the status and the document that comes back."""

    def __call__(self, url: str, document: Any = None) -> Answer: ...


def with_requests(url: str, document: Any = None) -> Answer:
    """As the tutorials do it: without any Content-Type."""
    if document is None:
        return read(requests.get(url, timeout=TIMEOUT_S))
    response = requests.post(url, data=json.dumps(document), timeout=TIMEOUT_S)
    assert "Content-Type" not in response.request.headers
    return read(response)


def with_requests_json(url: str, document: Any = None) -> Answer:
    """As its documentation has it."""
    return read(requests.request("GET" if document is None else "POST", url, json=document, timeout=TIMEOUT_S))


def with_urllib(url: str, document: Any = None) -> Answer:
    """The standard library says that every body is a form."""
    body = None if document is None else json.dumps(document).encode()
    try:
        with urllib.request.urlopen(url, body, TIMEOUT_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def with_curl(url: str, document: Any = None) -> Answer:
    """So does curl."""
    return curl(url) if document is None else curl(url, "--data", "@-", body=json.dumps(document).encode())


CALLERS = (with_requests, with_requests_json, with_urllib, with_curl)


def read(response: requests.Response) -> Answer:
    """Every answer is plain JSON, also when the client would have taken it compressed."""
    assert response.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in response.headers
    return response.status_code, response.json()


def curl(url: str, *flags: str, body: bytes = b"") -> Answer:
    """One run of it. Where there is none the test is skipped, and in CI it fails."""
    if not shutil.which("curl"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no curl here")
    command = ["curl", "--silent", "--show-error", "--max-time", str(TIMEOUT_S), "--write-out", r"\n%{http_code}"]
    done = subprocess.run([*command, *flags, url], input=body, capture_output=True, timeout=TIMEOUT_S, check=True)
    document, _, status = done.stdout.rpartition(b"\n")
    return int(status), json.loads(document)


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__)
def call(request: pytest.FixtureRequest, server: Server) -> Caller:
    """One of the callers; addresses are what follows `/v1/models/`."""
    caller: Caller = request.param

    def call(url: str, document: Any = None) -> Answer:
        return caller(models(server) + url, document)

    return call


def models(server: Server) -> str:
    """Where all addresses of the protocol begin."""
    return f"http://127.0.0.1:{server.port}/v1/models/"


def classes(predictions: list[list[float]]) -> list[int]:
    """The surest class of each row."""
    return [int(np.argmax(row)) for row in predictions]


def test_predict_rows_and_columns(call: Caller) -> None:
    """`instances` gives `predictions`, `inputs` gives `outputs`, and the numbers are the model's own."""
    assert call("half_plus_two:predict", {"instances": [1.0, 2.0, 5]}) == (200, {"predictions": [2.5, 3.0, 4.5]})
    assert call("half_plus_two:predict", {"inputs": [1.0, -1e-3]}) == (200, {"outputs": [2.5, 1.9995]})
    assert call("half_plus_two:predict", {"inputs": {"x": [0]}, "signature_name": "serving_default"}) == (
        200,
        {"outputs": [2.0]},
    )


@pytest.mark.parametrize(
    ("model", "digit"),
    [("digits", 7), ("digits/versions/2", 7), ("digits/versions/1", 3), ("digits/labels/previous", 3)],
)
def test_predict_by_version_and_by_label(call: Caller, model: str, digit: int) -> None:
    """Unqualified the stable version answers."""
    status, answer = call(f"{model}:predict", {"instances": [ROW, ROW]})

    assert (status, classes(answer["predictions"])) == (200, [digit, digit])


def test_named_inputs_of_several_types_by_row(call: Caller) -> None:
    """Each row comes back as an object; 64-bit integers are whole, texts are texts, and `_bytes` are base64."""
    status, answer = call("mixed:predict", {"instances": MIXED_ROWS})

    assert status == 200
    columns = {name: [row[name] for row in answer["predictions"]] for name in MIXED_ANSWER}
    check_mixed(columns)


def test_named_inputs_of_several_types_by_column(call: Caller) -> None:
    """The same by column; a text may come as base64 too."""
    as_base64 = [encoded(text) for text in MIXED_COLUMNS["text"]]
    for texts in (MIXED_COLUMNS["text"], as_base64):
        status, answer = call("mixed:predict", {"inputs": MIXED_COLUMNS | {"text": texts}})

        assert status == 200
        check_mixed(answer["outputs"])


def encoded(text: str) -> dict[str, str]:
    """As TensorFlow Serving writes bytes."""
    return {"b64": base64.b64encode(text.encode()).decode()}


def check_mixed(columns: dict[str, list[Any]]) -> None:
    """Assert the answer of the model `mixed`."""
    assert columns["total"] == pytest.approx(MIXED_ANSWER["total"].tolist(), rel=1e-7)
    assert columns["double"] == MIXED_ANSWER["double"].tolist()
    assert columns["opposite"] == MIXED_ANSWER["opposite"].tolist()
    assert columns["same_text"] == MIXED_ANSWER["same_text"].tolist()
    assert columns["same_bytes"] == [encoded(text) for text in MIXED_ANSWER["same_bytes"]]


def test_classify(call: Caller) -> None:
    """Every class of every example, named, in the model's order; features may stand in the context."""
    pixels = [0.0] * 784
    for document in ({"examples": [{"image": pixels}]}, {"context": {"image": pixels}, "examples": [{}]}):
        status, answer = call("digits:classify", document)

        assert status == 200
        assert [label for label, _ in answer["results"][0]] == list("0123456789")
        assert max(answer["results"][0], key=lambda scored: scored[1]) == ["7", pytest.approx(0.91)]


def test_regress(call: Caller) -> None:
    """One value for each example."""
    assert call("half_plus_two:regress", {"examples": [{"x": 1.0}, {"x": [2.0]}, {"x": 4}]}) == (
        200,
        {"results": [2.5, 3.0, 4.0]},
    )


def test_status(call: Caller) -> None:
    """All versions, the newest first; one when it is asked for; a label changes nothing."""
    fine = {"error_code": "OK", "error_message": ""}
    both = [{"version": version, "state": "AVAILABLE", "status": fine} for version in ("2", "1")]

    assert call("digits") == (200, {"model_version_status": both})
    assert call("digits/versions/1") == (200, {"model_version_status": both[1:]})
    assert call("digits/labels/previous") == (200, {"model_version_status": both})


def test_metadata(call: Caller) -> None:
    """The signature as TensorFlow Serving shows it: sizes and versions are strings."""
    status, answer = call("mixed/metadata")

    assert status == 200
    assert answer["model_spec"] == {"name": "mixed", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert {name: info["dtype"] for name, info in signature["inputs"].items()} == {
        "weights": "DT_FLOAT",
        "count": "DT_INT64",
        "flag": "DT_BOOL",
        "text": "DT_STRING",
    }
    assert signature["inputs"]["weights"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
        "unknown_rank": False,
    }
    assert set(signature["outputs"]) == set(MIXED_ANSWER)


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("nope:predict", {"instances": [1.0]}, 404, "Servable not found for request: Latest(nope)"),
        ("nope/versions/1:predict", {}, 404, "Servable not found for request: Specific(nope, 1)"),
        ("digits/versions/9:predict", {}, 404, "Servable not found for request: Specific(digits, 9)"),
        ("digits/labels/nope:predict", {}, 400, "Unrecognized servable version label: nope"),
        ("nope", None, 404, "Could not find any versions of model nope"),
        ("digits/versions/9", None, 404, "Could not find version 9 of model digits"),
        ("nope/metadata", None, 404, "Servable not found for request: Latest(nope)"),
        ("digits:explain", {"instances": [ROW]}, 400, "Malformed request: POST /v1/models/digits:explain"),
        ("digits/", None, 400, "Malformed request: GET /v1/models/digits/"),
        ("digits:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("half_plus_two:predict", {"instances": ["one"]}, 400, "is not of expected type: float"),
        ("half_plus_two:predict", {"instances": [[1.0, 2.0]]}, 400, "shape"),
        ("half_plus_two:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("mixed:predict", {"instances": [1.0]}, 400, "instances is a plain list, but expecting list of objects"),
        ("mixed:predict", {"instances": [{"count": 1}]}, 400, "keys must be equal to: "),
        ("mixed:predict", {"inputs": {"count": [1]}}, 400, "Missing named input: "),
        ("digits:classify", {}, 400, "When method is classify, key 'examples' is expected and was not found"),
        ("mixed:classify", {"examples": [{}]}, 400, "No classification outputs found in SignatureDef"),
        ("digits:regress", {"examples": [{"image": [0.0]}]}, 400, "No regression outputs found in SignatureDef"),
        ("half_plus_two:regress", {"examples": [{"y": 1.0}]}, 400, "is required but could not be found"),
    ],
)
def test_errors(call: Caller, path: str, document: Any, status: int, message: str) -> None:
    """Each fault has TensorFlow Serving's status, and its words under `error`."""
    answered, answer = call(path, document)

    assert answered == status
    assert list(answer) == ["error"]
    assert message in answer["error"]


def test_a_body_that_is_no_json(server: Server) -> None:
    """It is told before the model is looked for."""
    url = f"{models(server)}nope:predict"
    for body in ("", "{", "instances=1"):
        response = requests.post(url, data=body, timeout=TIMEOUT_S)
        assert response.status_code == 400
        assert response.json()["error"].startswith("JSON Parse error: ")


def test_bodies_compressed_with_gzip(server: Server) -> None:
    """They are taken from curl and from `requests`, with the form's content type or without any."""
    url, body = f"{models(server)}half_plus_two:predict", gzip.compress(b'{"instances": [1.0]}')
    answer = (200, {"predictions": [2.5]})

    assert curl(url, "--header", "Content-Encoding: gzip", "--data-binary", "@-", body=body) == answer
    assert read(requests.post(url, body, headers={"Content-Encoding": "gzip"}, timeout=TIMEOUT_S)) == answer


def test_bodies_without_a_length(server: Server) -> None:
    """A generator's chunks are one body."""
    chunks = (b'{"instances"', b": [1.0, ", b"2.0]}")

    response = requests.post(f"{models(server)}half_plus_two:predict", data=iter(chunks), timeout=TIMEOUT_S)

    assert response.request.headers["Transfer-Encoding"] == "chunked"
    assert read(response) == (200, {"predictions": [2.5, 3.0]})


def test_large_bodies_that_ask_first(server: Server) -> None:
    """A large body from curl waits for `100 Continue`."""
    body = json.dumps({"instances": [ROW] * 500}).encode()
    flags = ("--header", "Expect: 100-continue", "--expect100-timeout", str(TIMEOUT_S))

    status, answer = curl(f"{models(server)}digits:predict", *flags, "--data-binary", "@-", body=body)

    assert (status, classes(answer["predictions"])) == (200, [7] * 500)


def test_one_connection_outlives_errors(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A session needs no second connection, whatever was refused on its first."""
    with requests.Session() as session, caplog.at_level("DEBUG", "urllib3"):
        for path, body, status in [
            ("half_plus_two:predict", '{"instances": [1.0]}', 200),
            ("half_plus_two:predict", "{", 400),
            ("nope:predict", "{}", 404),
            ("half_plus_two:predict", '{"instances": [2.0]}', 200),
        ]:
            assert session.post(models(server) + path, data=body, timeout=TIMEOUT_S).status_code == status
    assert sum("new HTTP connection" in message for message in caplog.messages) == 1
