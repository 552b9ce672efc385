"""`/models` says what there is to ask and what each of it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import MODELS, FakeCatalogue, manifest_of, specs

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.serving.status import Readiness, State, VersionStatus
from fairlead.transport.simple.models import takes


@pytest.fixture
def catalogue() -> FakeCatalogue:
    """A classifier of pictures, a model of texts, and one whose only version is being loaded."""
    loading = VersionStatus(id=ServableId("late", 1), state=State.LOADING)
    return FakeCatalogue(
        ready=Readiness(is_started=True, is_ready=True, models={"digits": 1, "words": 1, "late": None}),
        others={"late": (loading,)},
    )


def test_versions_are_listed_with_what_they_take(client: Client) -> None:
    """By model: number, labels, what a person would give it, classes, tensors; what does not answer is left out."""
    page = client.get("/models").json()
    digits, words, late = page["models"]
    assert digits == {
        "name": "digits",
        "versions": [
            {
                "version": 1,
                "labels": ["stable"],
                "takes": "handwriting",
                "classes": list("0123456789"),
                "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 28, 28, 1]}],
                "outputs": [{"name": "probs", "dtype": "float32", "shape": [-1, 10]}],
            }
        ],
    }
    assert [one["takes"] for one in words["versions"]] == ["text"]
    assert late == {"name": "late", "versions": []}
    assert (page["default"], page["feedback"]) == ("digits", False)


def test_no_default_where_none_is_meant(
    client: Client, catalogue: FakeCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several models, none of which is set as the default, a request must name one."""

    def none() -> str:
        raise FairleadError(Code.INVALID_ARGUMENT, "2 models are served and the request names none")

    monkeypatch.setattr(catalogue, "default_model", none)
    assert client.get("/models").json()["default"] is None


def test_only_get(client: Client) -> None:
    """HEAD too; other methods are 405 and told which one to use."""
    assert client.request("HEAD", "/models").status == 200
    answer = client.post("/models")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


TEXT = manifest_of("m", specs(text=("string", (-1,))), specs(y=("float32", (-1,))))
SERIALIZED = replace(TEXT, signature=replace(TEXT.signature, method="tensorflow/serving/classify"))


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (MODELS["digits"][0], "handwriting"),
        (replace(MODELS["digits"][0], transform={"name": "photograph-1"}), "picture"),
        (TEXT, "text"),
        (manifest_of("m", specs(text=("string", (-1, 1))), specs(y=("float32", (-1,)))), "text"),
        (manifest_of("m", specs(words=("string", (-1, -1))), specs(y=("float32", (-1,)))), "rows"),
        (manifest_of("m", specs(a=("string", (-1,)), b=("string", (-1,))), specs(y=("float32", (-1,)))), "rows"),
        (SERIALIZED, "rows"),
        (MODELS["pair"][0], "rows"),
    ],
)
def test_what_a_version_takes(manifest: Manifest, what: str) -> None:
    """Its transform decides, else whether it has one text a row for its input; serialized examples are no texts."""
    assert takes(manifest) == what
