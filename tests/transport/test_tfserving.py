"""TensorFlow Serving's routes, the order of its checks, its pages and its words."""

import json
from typing import Any

import pytest
from tests.transport.conftest import Client

ZEROS: list[Any] = [[[0.0]] * 28] * 28
ROW: dict[str, Any] = {"instances": [[1.0, 2.0]]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/models/echo:predict"),
        ("DELETE", "/v1/models/echo"),
        ("HEAD", "/v1/models/echo"),
        ("GET", "/v1/models/echo:predict"),
        ("POST", "/v1/models/echo"),
        ("GET", "/v1/models/echo/"),
        ("GET", "/v1/models/echo/version/1"),
        ("GET", "/v1/models/echo/versions/abc"),
        ("GET", "/v1/models/echo/versions/\u0661"),
        ("POST", "/v1/models/echo:explain"),
        ("POST", "/v1/models/echo:Predict"),
        ("POST", "/v1/models/echo%3Apredict"),
        ("POST", "/v1/models/echo:predict?x=1"),
        ("POST", "/v1/models/echo/versions/1/labels/stable:predict"),
        ("GET", "/v1/foo"),
        ("GET", "/v1/"),
    ],
)
def test_what_does_not_route_is_malformed(client: Client, method: str, path: str) -> None:
    """Anything else under /v1/ is 400 and echoes the method and the undecoded path; there is no 405."""
    answer = client.request(method, path)
    assert answer.status == 400
    assert answer.error == f"Malformed request: {method} {path.encode().decode('latin-1')}"


def test_the_model_list_is_not_offered(client: Client) -> None:
    """GET /v1/models misses a name."""
    answer = client.get("/v1/models")
    assert (answer.status, answer.error) == (400, "Missing model name in request.")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/echo:predict",
        "/V1/Models/echo:predict",
        "/v1/models/echo/versions/1:predict",
        "/v1/models/echo/versions/0001:predict",
        "/v1/models/echo/labels/stable:predict",
        "/v1/models/ech%6F:predict",
    ],
)
def test_ways_to_name_a_version(client: Client, path: str) -> None:
    """Paths match without case; versions are numbers; names are decoded after the match."""
    assert client.post(path, ROW).json() == {"predictions": [[1.0, 2.0]]}


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("nope", 404, "Servable not found for request: Latest(nope)"),
        ("echo%3Fx", 404, "Servable not found for request: Latest(echo?x)"),
        ("echo/versions/9", 404, "Servable not found for request: Specific(echo, 9)"),
        ("echo/versions/0", 404, "Servable not found for request: Specific(echo, 0)"),
        ("echo/labels/nope", 400, "Unrecognized servable version label: nope"),
        ("nope/labels/nope", 400, "Unrecognized servable version label: nope"),
    ],
)
def test_unknown_targets(client: Client, path: str, status: int, error: str) -> None:
    """An unknown model or version is 404, an unknown label 400, for predictions and metadata alike."""
    for answer in (client.post(f"/v1/models/{path}:predict", ROW), client.get(f"/v1/models/{path}/metadata")):
        assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize("digits", ["9223372036854775808", "9" * 5000])
def test_a_version_beyond_64_bits(client: Client, digits: str) -> None:
    """A version that no 64-bit integer holds is 400."""
    assert client.get(f"/v1/models/echo/versions/{digits}").status == 400


def test_json_is_read_before_the_model_is_looked_up(client: Client) -> None:
    """Broken JSON for an unknown model is 400; a body that only lacks keys is 404."""
    assert client.predict("nope", b"{").status == 400
    assert client.predict("nope", b"[1]").status == 400
    assert client.predict("nope", {"signature_name": 1}).status == 400
    assert client.predict("nope", {}).status == 404
    assert client.predict("nope", {"signature_name": "s"}).status == 404


def test_the_content_type_is_never_looked_at(client: Client) -> None:
    """The types that curl and urllib send by themselves work."""
    answer = client.post(
        "/v1/models/echo:predict", b'{"instances": [[1.0]]}', content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_status(client: Client) -> None:
    """A status is proto3 JSON, where 64-bit numbers are strings."""
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert client.get("/v1/models/echo").json() == expected
    assert client.get("/v1/models/echo/versions/1").json() == expected
    assert client.get("/v1/models/echo/labels/nosuch").json() == expected, "a status takes no notice of labels"


def test_status_of_the_unknown(client: Client) -> None:
    """The status of an unknown model or version is 404, and a query is a part of the name."""
    for path, error in (
        ("nope", "Could not find any versions of model nope"),
        ("echo?x=1", "Could not find any versions of model echo?x=1"),
        ("echo/versions/9", "Could not find version 9 of model echo"),
    ):
        answer = client.get(f"/v1/models/{path}")
        assert (answer.status, answer.error) == (404, error)


def test_metadata(client: Client) -> None:
    """Metadata shows the resolved version and the signature with every default printed."""
    page = client.get("/v1/models/digits/metadata").json()
    assert page["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signature = page["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["defaults"] == {}
    sizes = [{"size": size, "name": ""} for size in ("-1", "28", "28", "1")]
    assert signature["inputs"] == {
        "image": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": "image:0"}
    }


def test_dtypes_have_tensorflows_names(client: Client) -> None:
    """Dtypes are named as TensorFlow names them."""
    for model, tensor, name in (("pair", "n", "DT_INT32"), ("words", "text", "DT_STRING"), ("flags", "x", "DT_BOOL")):
        signatures = client.get(f"/v1/models/{model}/metadata").json()["metadata"]["signature_def"]["signature_def"]
        assert signatures["serving_default"]["inputs"][tensor]["dtype"] == name


def test_metadata_shows_every_signature(client: Client) -> None:
    """With its method and the graph's own names; an unknown rank has no axes, and nobody can call the init op."""
    page = client.get("/v1/models/several/metadata").json()
    signatures = page["metadata"]["signature_def"]["signature_def"]
    shape = {"dim": [], "unknown_rank": True}
    assert list(signatures) == ["serving_default", "flipped", "__saved_model_init_op"]
    assert signatures["flipped"]["method_name"] == "tensorflow/serving/regress"
    assert signatures["flipped"]["inputs"] == {
        "y": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "StatefulPartitionedCall:0"}
    }
    assert signatures["__saved_model_init_op"] == {
        "inputs": {},
        "outputs": {"__saved_model_init_op": {"dtype": "DT_INVALID", "tensor_shape": shape, "name": "NoOp"}},
        "method_name": "",
        "defaults": {},
    }


@pytest.mark.parametrize(
    ("signature", "rows", "predictions"),
    [
        ("", [[1.0]], [[2.0]]),
        ("serving_default", [[1.0]], [[2.0]]),
        ("flipped", [[1.0], [2.0]], [[0.0], [1.0]]),
        ("flipped", [5.0], [4.0]),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        '{"signature_name": NAME, "instances": ROWS}',
        '{"instances": ROWS, "signature_name": NAME}',
        '{"a": 1, "signature\\u005fname": NAME, "instances": ROWS}',
    ],
)
def test_a_signature_is_asked_by_its_name(
    client: Client, form: str, signature: str, rows: list[Any], predictions: list[Any]
) -> None:
    """Wherever in the body it stands and however its key is written."""
    body = form.replace("NAME", json.dumps(signature)).replace("ROWS", json.dumps(rows))
    answer = client.post("/v1/models/several:predict", body.encode())
    assert (answer.status, answer.json()) == (200, {"predictions": predictions})


def test_an_unknown_signature(client: Client) -> None:
    """It is 400 once the model is found, and before the values are looked at."""
    for body in ({"signature_name": "s"}, {"instances": [["x"]], "signature_name": "s"}):
        answer = client.predict("several", body)
        assert (answer.status, answer.error) == (400, 'Serving signature name: "s" not found in signature def')


def test_options(client: Client) -> None:
    """A browser's preflight is 200 without a body, and any other OPTIONS is 400 without one."""
    path = "/v1/models/echo:predict"
    answer = client.request("OPTIONS", path, origin="http://example.com")
    assert (answer.status, answer.body) == (200, b"")
    assert client.request("OPTIONS", path).status == 400


def test_a_wrong_shape_is_refused_up_front(client: Client) -> None:
    """A shape that the signature does not admit is 400 and says both."""
    answer = client.predict("digits", {"instances": [[0.0] * 784]})
    assert answer.status == 400
    assert "[1, 784]" in answer.error
    assert "[-1, 28, 28, 1]" in answer.error


def test_a_prediction(client: Client) -> None:
    """Rows give predictions and columns give outputs."""
    assert len(client.predict("digits", {"instances": [ZEROS, ZEROS]}).json()["predictions"][1]) == 10
    assert len(client.predict("digits", {"inputs": [ZEROS]}).json()["outputs"][0]) == 10
