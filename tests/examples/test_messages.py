"""The messages example, from the real collection to answers that are scikit-learn's own."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from numpy.typing import NDArray
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tests.cli.conftest import Server, starting

from fairlead.errors import Code, FairleadError
from fairlead.servable.text_transform import plain_text
from fairlead.training.dataset import Dataset, row_digests
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.run import Profile, Run

TEXTS = 5_000
SEED = 0
NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What `fairlead train messages` made of the collection, and the very pipeline that scikit-learn has."""

    store: Path
    dataset: Dataset
    recipe: Any
    pipeline: Any

    def probabilities(self, texts: list[str]) -> NDArray[np.float64]:
        """What scikit-learn says of the texts."""
        return np.asarray(self.pipeline.predict_proba(texts), np.float64)


@pytest.fixture(scope="module")
def trained(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The command trains in a process of its own; the same seed gives the same pipeline here."""
    home = tmp_path_factory.mktemp("messages")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
    command = [sys.executable, "-m", "fairlead.cli.main", "train", "messages", "--home", str(home), "--seed", str(SEED)]
    done = subprocess.run(
        command,
        env={**kept, "FAIRLEAD_DATA_DIR": str(real_data)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SMS Spam Collection, local file" in done.stderr
    recipe: Any = find_recipe("messages")
    dataset = recipe.load(Sources(data_dir=real_data, cache_dir=home / "cache", say=lambda _: None))
    run = Run(seed=SEED, profile=Profile(name="any", epochs=1), log_dir=home / "board", out=io.StringIO())
    pipeline = recipe.train(recipe.split(dataset, SEED), run)
    return Trained(store=home / "store", dataset=dataset, recipe=recipe, pipeline=pipeline)


@pytest.fixture(scope="module")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The model behind both ports."""
    with starting(tmp_path_factory.mktemp("server")) as start:
        server = start(trained.store, "--workers", "1")
        server.wait_ready()
        yield server
        assert server.stop() == 0


def messy_texts() -> list[str]:
    """5,000 texts in which every character of Unicode that is assigned occurs, among words that the model knows."""
    rng = random.Random(20)
    every = map(chr, range(sys.maxunicode + 1))
    characters = [one for one in every if unicodedata.category(one) not in ("Cn", "Cs", "Co")]
    rng.shuffle(characters)
    words = (
        "free",
        "CALL NOW",
        "ok lor",
        " \t\n ",
        "\r\n",
        "##",
        "won £1000",
        "e\u0301\u0301",
        "İ",
        "👩🏽‍🚀",
        "\u200f",
    )
    texts = ["", " ", "\n", "a", "#" * 50, "\ufeff" + "x", "win " * 25_000]
    share = -(-len(characters) // (TEXTS - len(texts)))
    for start in range(0, len(characters), share):
        batch = characters[start : start + share]
        pieces = ["".join(batch[: share // 2]), rng.choice(words), "".join(batch[share // 2 :]), rng.choice(words)]
        rng.shuffle(pieces)
        texts.append(rng.choice(("", " ", "  ")).join(pieces))
    texts += [" ".join(rng.choices(words, k=20)) for _ in range(TEXTS - len(texts))]
    return texts


def test_held_out_spam_is_recognised(trained: Trained) -> None:
    """On distinct texts that were never learnt, F1 of spam is 0.95 or more, and none is near one that was."""
    held_out = trained.dataset.held_out
    said = trained.probabilities(list(held_out.inputs)).argmax(axis=1)
    hits = int((said & held_out.labels).sum())
    f1 = 2 * hits / int(said.sum() + held_out.labels.sum())

    assert f1 >= 0.95
    assert not set(row_digests(held_out)) & set(row_digests(trained.dataset.train))
    learnt = {plain_text(text) for text in trained.dataset.train.inputs}
    assert not learnt & {plain_text(text) for text in held_out.inputs}


def test_every_character_is_answered_as_scikit_learn_does(trained: Trained, server: Server) -> None:
    """5,000 messy texts over REST, some alone and most in batches: no probability is 1e-5 away from scikit-learn's."""
    texts = messy_texts()
    assert len(texts) == TEXTS
    answers: list[list[float]] = []
    sizes = itertools.cycle((1, 7, 64, 200))
    while len(answers) < TEXTS:
        batch = texts[len(answers) : len(answers) + next(sizes)]
        status, body = server.call("POST", "/v1/models/messages:predict", json.dumps({"instances": batch}).encode())
        assert status == 200, body
        answers += body["predictions"]

    assert np.abs(np.array(answers) - trained.probabilities(texts)).max() <= 1e-5


@pytest.mark.parametrize(
    "text", ["", "WINNER!! Claim 0900 NOW", "ok  lor \n\n see\tyou", "ÀÉ İ ΑΣ 👩🏽‍🚀 עברית", "x" * 100_000]
)
def test_one_text_in_every_protocol(trained: Trained, server: Server, text: str) -> None:
    """The simple API, V1 and V2 over REST, and both gRPC services make the text plain alike."""
    wanted = trained.probabilities([text])[0]
    simple = ask(server, "/predict", {"text": text})
    v1 = ask(server, "/v1/models/messages:predict", {"inputs": [text]})["outputs"][0]
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    v2 = ask(server, "/v2/models/messages/infer", {"inputs": [tensor]})["outputs"][0]["data"]

    assert simple["label"] == ("ham", "spam")[int(wanted.argmax())]
    assert list(simple["probabilities"]) == ["ham", "spam"]
    for found in (list(simple["probabilities"].values()), v1, v2, over_tfserving(server, text), over_v2(server, text)):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_surrogate_alone_is_refused(server: Server) -> None:
    """It is no character: JSON that has one is none in UTF-8."""
    status, body = server.call("POST", "/predict", b'{"text": "\\ud800"}')

    assert (status, body["error"]["code"]) == (400, "INVALID_ARGUMENT")


def test_without_the_collection_written_messages_are_learnt(tmp_path: Path) -> None:
    """From an empty folder without a network: it is said, and the gate passes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "train", "messages"],
        cwd=tmp_path,
        env={**kept, **NO_NETWORK},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no mirror was reached" in done.stderr
    assert "messages written for this example: 1," in done.stderr
    assert "messages@1 is the champion" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ham\tok\nspam free\n", "line 2: no label and tab but 'spam free'"),
        (b"ham\tok\neggs\thm\n", "line 2"),
        (b"ham\tok\n\nspam\tfree\n", "line 2"),
        (b"ham\t\xff\n", "not text in UTF-8"),
    ],
)
def test_a_damaged_collection_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    """The line, and nothing is taken in its place."""
    (tmp_path / "SMSSpamCollection").write_bytes(content)

    with pytest.raises(FairleadError, match=said) as caught:
        find_recipe("messages").load(Sources(data_dir=tmp_path, cache_dir=tmp_path / "cache", say=lambda _: None))

    assert caught.value.code is Code.DATA_LOSS


def test_a_message_is_held_out_for_what_it_says_alone() -> None:
    """Case and white space do not bring it to the other side, and a fifth of all are held out."""
    data = part("data")

    assert data.is_held_out("Free  ENTRY") == data.is_held_out("free entry")
    share = sum(data.is_held_out(f"message {number}") for number in range(5_000)) / 5_000
    assert share == pytest.approx(0.2, abs=0.02)


def part(name: str) -> ModuleType:
    """A module of the recipe."""
    return sys.modules[f"{type(find_recipe('messages')).__module__}.{name}"]


def ask(server: Server, path: str, body: Any) -> Any:
    """The answer, which is one."""
    status, answer = server.call("POST", path, json.dumps(body).encode())
    assert status == 200, answer
    return answer


def over_tfserving(server: Server, text: str) -> list[float]:
    """The probabilities by PredictionService."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "messages"
    request.inputs["text"].dtype = 7  # DT_STRING
    request.inputs["text"].tensor_shape.dim.add().size = 1
    request.inputs["text"].string_val.append(text.encode())
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    return (
        list(answer.outputs["probabilities"].float_val)
        or np.frombuffer(answer.outputs["probabilities"].tensor_content, np.float32).tolist()
    )


def over_v2(server: Server, text: str) -> NDArray[np.float32]:
    """The probabilities by GRPCInferenceService."""
    tensor = triton_grpc.InferInput("text", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode()], object))
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        found: NDArray[np.float32] = client.infer("messages", [tensor]).as_numpy("probabilities")[0]
    return found
