"""The API for people takes rows and pictures and answers with names."""

import base64
import uuid
from typing import Any

import pytest
from tests.transport.conftest import Client

ROW: list[Any] = [[[0.0]] * 28] * 14 + [[[1.0]] * 28] * 14


def test_a_picture_alone(client: Client, picture: bytes) -> None:
    """A PNG as the body, whatever curl says of its type, is answered with a label, its probabilities and an id."""
    answer = client.post("/predict", picture, content_type="application/x-www-form-urlencoded")
    body = answer.json()
    assert answer.status == 200
    assert list(body) == ["label", "proba", "probabilities", "model", "version", "prediction_id"]
    assert list(body["probabilities"]) == list("0123456789")
    assert body["proba"] == max(body["probabilities"].values()) == body["probabilities"][body["label"]]
    assert (body["model"], body["version"]) == ("digits", 1)
    assert uuid.UUID(body["prediction_id"]).version == 7


def test_headers_of_a_picture(client: Client, picture: bytes) -> None:
    """The headers repeat the id and the version for programs that do not read the body."""
    answer = client.post("/predict", picture)
    assert answer.headers["x-prediction-id"] == answer.json()["prediction_id"]
    assert answer.headers["x-model-version"] == "1"


def test_every_protocol_says_which_version_answered(client: Client) -> None:
    """In a header, for programs whose protocol has no place for it in the body."""
    v2 = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}
    for path, body in (
        ("/predict?model=echo", {"instances": [[1.0, 2.0]]}),
        ("/v1/models/echo:predict", {"instances": [[1.0, 2.0]]}),
        ("/v2/models/echo/infer", v2),
    ):
        answer = client.post(path, body)
        assert (answer.status, answer.headers["x-model-version"]) == (200, "1")


def test_a_picture_in_json(client: Client, picture: bytes) -> None:
    """A picture in base64, as a data URL or not, wrapped and padded or not, is the same picture."""
    text = base64.b64encode(picture).decode()
    wanted = client.post("/predict", picture).json()["probabilities"]
    wrapped = "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    for encoded in (text, text.rstrip("="), wrapped, f"data:image/png;base64,{text}"):
        assert client.post("/predict", {"image": encoded}).json()["probabilities"] == wanted


def test_what_a_picture_became(client: Client, picture: bytes) -> None:
    """Asked to, the answer shows the inputs; as a row they get the same answer."""
    shown = client.post("/predict?inputs=true", picture).json()
    assert list(shown["inputs"]) == ["image"]
    assert client.predict("digits", {"instances": shown["inputs"]["image"]}).json()["predictions"] == [
        list(shown["probabilities"].values())
    ]
    assert "inputs" not in client.post("/predict?inputs=false", picture).json()


@pytest.mark.parametrize("query", ["inputs=yes", "inputs=true"])
def test_inputs_are_shown_of_pictures_alone(client: Client, query: str) -> None:
    """Another word is refused, and so are rows, which are inputs already."""
    answer = client.post(f"/predict?{query}", {"instances": [ROW]})
    assert answer.status == 400
    assert answer.error.startswith("inputs")


def test_rows(client: Client) -> None:
    """Rows are answered one by one, each with an id of its own: the request's, and its number behind a dot."""
    answer = client.post("/predict", {"instances": [ROW, ROW]})
    body = answer.json()
    assert [list(row) for row in body["predictions"]] == [["label", "proba", "probabilities", "prediction_id"]] * 2
    assert (body["model"], body["version"]) == ("digits", 1)
    asked = answer.headers["x-prediction-id"]
    assert [row["prediction_id"] for row in body["predictions"]] == [f"{asked}.0", f"{asked}.1"]


def test_both_dialects_agree(client: Client) -> None:
    """The probabilities are the very numbers that the TensorFlow Serving dialect gives."""
    (row,) = client.post("/predict", {"instances": [ROW]}).json()["predictions"]
    (plain,) = client.predict("digits", {"instances": [ROW]}).json()["predictions"]
    assert list(row["probabilities"].values()) == plain


def test_a_model_without_labels(client: Client) -> None:
    """A model that is no classifier is answered with its outputs by name."""
    body = client.post("/predict?model=pair", {"instances": [{"a": [1, 2], "n": 3}]}).json()
    assert body == {"outputs": {"sum": [3.0], "double": [6]}, "model": "pair", "version": 1}


@pytest.mark.parametrize("text", ["free entry", "", "é\n👍🏽\u0000", "x" * 100_000])
def test_a_text(client: Client, text: str) -> None:
    """One text is one row, whatever is in it, and is answered as one."""
    answer = client.post("/predict?model=words", {"text": text})
    body = answer.json()
    assert answer.status == 200
    assert body["outputs"]["upper"] == [text.upper()]
    assert body["prediction_id"] == answer.headers["x-prediction-id"]


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("words", b'{"text": 5}', '"text" is a int, not one text'),
        ("words", b'{"text": ["a", "b"]}', '"text" is a list, not one text'),
        ("digits", b'{"text": "a"}', "does not take one text a row"),
        ("pair", b'{"text": "a"}', "does not take one text a row"),
    ],
)
def test_texts_that_cannot_be_asked(client: Client, model: str, body: bytes, said: str) -> None:
    """What is no text, and a model that takes something else, are 400 and named."""
    answer = client.post(f"/predict?model={model}", body)
    assert (answer.status, said in answer.error) == (400, True)


@pytest.mark.parametrize("query", ["model=digits", "version=1", "label=stable", "model=digits&version=1", "model="])
def test_ways_to_name_a_version(client: Client, picture: bytes, query: str) -> None:
    """Model, version and label are all optional."""
    assert client.post(f"/predict?{query}", picture).status == 200


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("model=nope", 404, "Latest(nope)"),
        ("version=9", 404, "Specific(digits, 9)"),
        ("label=nope", 404, "no label 'nope'; it has stable"),
        ("version=abc", 400, "'abc' is not a version"),
        ("version=", 400, "'' is not a version"),
        ("version=-1", 400, "'-1' is not a version"),
        ("version=1&label=stable", 400, "both given"),
        ("modle=digits", 400, "'modle'"),
    ],
)
def test_bad_names(client: Client, picture: bytes, query: str, status: int, said: str) -> None:
    """An unknown model or version is 404; what cannot be one is 400 and named."""
    answer = client.post(f"/predict?{query}", picture)
    assert answer.status == status
    assert said in answer.error


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_post(client: Client, method: str) -> None:
    """Other methods are 405 and told which one to use."""
    answer = client.request(method, "/predict")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_multipart_is_refused_with_a_hint(client: Client) -> None:
    """A form upload is 415 and shown the command that works."""
    answer = client.post("/predict", b"--x\r\n", content_type="multipart/form-data; boundary=x")
    assert answer.status == 415
    assert "curl --data-binary @digit.png" in answer.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty"),
        (b"hello", "neither a PNG or JPEG picture nor JSON"),
        (b"[1]", '"instances", "row", "text" and "image"'),
        (b"{}", '"instances", "row", "text" and "image"'),
        (b'{"instances": [1], "image": ""}', '"instances", "row", "text" and "image"'),
        (b'{"image": 5}', "base64"),
        (b'{"image": "***"}', "base64"),
        (b'{"image": ""}', "0 bytes"),
        (b'{"image": "aGVsbG8="}', "neither PNG nor JPEG"),
    ],
)
def test_bodies_that_ask_nothing(client: Client, body: bytes, said: str) -> None:
    """A body in none of the forms is 400 and says what is wrong with it."""
    answer = client.post("/predict", body)
    assert answer.status == 400
    assert said in answer.error


def test_a_picture_for_a_model_without_a_transform(client: Client, picture: bytes) -> None:
    """A model that does not say how a picture becomes its input cannot be asked about one."""
    answer = client.post("/predict?model=echo", picture)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "FAILED_PRECONDITION")


def test_an_answer_that_is_not_finite(client: Client) -> None:
    """An answer that strict JSON cannot say is refused, and no null: these rows are none that the model can answer."""
    answer = client.post("/predict?model=logs", {"instances": [[-1.0]]})
    assert (answer.status, answer.error) == (400, "the model answered with a number that is not finite")
