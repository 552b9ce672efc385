"""`fairlead serve` over a plain tree of TensorFlow's models, as a user of TensorFlow Serving has it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server, StartServer

pytestmark = pytest.mark.usefixtures("without_log")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of TensorFlow, one of them with two versions."""
    from tests.saved_models import write_adder, write_half_plus_two, write_many

    root = tmp_path_factory.mktemp("tree")
    write_half_plus_two(root / "half_plus_two" / "00000123")
    write_many(root / "many" / "1")
    write_adder(root / "adder" / "1", 1.0)
    write_adder(root / "adder" / "2", 2.0)
    (root / "adder" / "README.md").write_text("not a version")
    return root


def ask(server: Server, path: str, document: Any, status: int = 200) -> Any:
    """The answer to a POST of JSON."""
    got, answer = server.call("POST", path, json.dumps(document).encode())
    assert got == status, answer
    return answer


def test_a_plain_tree_is_served_as_it_is(tree: Path, start_server: StartServer) -> None:
    """Predict, classify and regress, every signature, texts and bytes, versions, status and metadata, and V2 too."""
    server = start_server(tree, "--version-policy", "latest:2", "--quiet-period-s", "0.2", "--workers", "1")
    assert server.wait_ready()["models"] == {"adder": 2, "half_plus_two": 123, "many": 1}

    half = "/v1/models/half_plus_two"
    assert ask(server, f"{half}:predict", {"instances": [[1.0], [2.0], [5.0]]}) == {
        "predictions": [[2.5], [3.0], [4.5]]
    }
    assert ask(server, f"{half}:predict", {"signature_name": "serving_default", "inputs": [[4]]}) == {
        "outputs": [[4.0]]
    }
    examples = {"examples": [{"x": 1.0}, {"x": 2.0}]}
    assert ask(server, f"{half}:regress", {"signature_name": "regress", **examples}) == {"results": [2.5, 3.0]}
    classes = ask(server, f"{half}/versions/123:classify", {"signature_name": "classify", **examples})
    assert classes == {"results": [[["", 2.5]], [["", 3.0]]]}
    error = ask(server, f"{half}:classify", {"signature_name": "nope", **examples}, 400)["error"]
    assert error == "No signature was found with the name: nope"
    error = ask(server, f"{half}:predict", {"signature_name": "nope", "instances": [[1.0]]}, 400)["error"]
    assert error == 'Serving signature name: "nope" not found in signature def'

    assert ask(server, "/v1/models/adder:predict", {"instances": [[1.0]]}) == {"predictions": [[3.0]]}
    assert ask(server, "/v1/models/adder/versions/1:predict", {"instances": [[1.0]]}) == {"predictions": [[2.0]]}
    assert ask(server, "/v1/models/adder/versions/3:predict", {"instances": [[1.0]]}, 404) == {
        "error": "Servable not found for request: Specific(adder, 3)"
    }
    assert [entry["version"] for entry in server.call("GET", "/v1/models/adder")[1]["model_version_status"]] == [
        "2",
        "1",
    ]

    picture = base64.b64encode(b"\xff\xd8").decode()
    words = ask(server, "/v1/models/many:predict", {"signature_name": "words", "instances": ["é", {"b64": picture}]})
    assert words["predictions"][1]["raw_bytes"] == {"b64": picture}
    assert words["predictions"][0]["raw_bytes"] == {"b64": base64.b64encode("é".encode()).decode()}
    deep = ask(server, "/v1/models/many:predict", {"signature_name": "double", "inputs": [[[1.5]]]})
    assert deep == {"outputs": [[[3.0]]]}
    refused = ask(server, "/v1/models/many:predict", {"signature_name": "picky", "inputs": [-1]}, 400)
    assert "only positive numbers" in refused["error"]

    page = server.call("GET", "/v1/models/many/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    assert sorted(page) == ["__saved_model_init_op", "double", "picky", "serving_default", "words"]
    assert page["double"]["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
    methods = server.call("GET", f"{half}/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    assert methods["classify"]["method_name"] == "tensorflow/serving/classify"

    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    answer = ask(server, "/v2/models/half_plus_two/infer", {"inputs": [tensor]})
    assert (answer["model_version"], answer["outputs"][0]["data"]) == ("123", [2.5])
    assert server.call("GET", "/v2/models/half_plus_two")[1]["platform"] == "tensorflow_savedmodel"
    assert server.stop() == 0


def test_a_policy_that_is_none_ends_the_start(tree: Path, start_server: StartServer) -> None:
    """In words."""
    server = start_server(tree, "--version-policy", "newest")

    assert server.process.wait(30) == 2
    assert "error: 'newest' is not a version policy" in server.log.read_text()
