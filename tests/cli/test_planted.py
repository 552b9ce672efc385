"""What clients say about people is nowhere on the disk, whichever way they say it."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import grpc
import numpy as np
import pytest
from onnx import TensorProto, helper, save_model
from tests.transport.grpc.protos import infer_request

from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .collector import Collector
from .conftest import Server, StartServer

_PICTURE = [[[0.0]] * 28] * 28
PLANTS = {
    "email": "greta.plantwell@example.org",
    "phone": "+44 20 7946 0713",
    "card": "4556 7375 8689 9855",
    "account": "DE21 3012 0400 0000 0152 28",
    "national id": "536-22-8714",
    "secret": "hf_PlantPlantPlantPlantPlant4711",
    "address": "198.51.100.233",
    "name": "Plantagenista",
}
"""Each stands for one person or secret, and occurs nowhere else."""
_SAID = (
    "I am called Greta, my name is {name}, mail {email}, call {phone}, card {card}, IBAN {account}, SSN {national id}, "
    "token {secret}, from {address}"
)


def said() -> str:
    """All of them in a text."""
    return _SAID.format(**PLANTS)


def hits(root: Path) -> list[str]:
    """Every plant in every file below: as it is, without its separators, and as URLs write it."""
    found = []
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        data += gzip.decompress(data) if path.suffix == ".gz" else b""
        for what, plant in PLANTS.items():
            forms = {plant, re.sub(r"[^A-Za-z0-9]", "", plant), quote(plant), quote(plant, safe="")}
            found += [f"{what} in {path.relative_to(root)}" for form in forms if form.encode() in data]
    return found


def written(home: Path, stream: str) -> bytes:
    """All that a log has."""
    return b"".join(path.read_bytes() for path in (home / "logs").glob(f"{stream}-*"))


def publish_text(store: WritableStore, model: str, kind: int) -> None:
    """Release a model that takes texts: it gives them back, or reads them as numbers and fails if it cannot."""
    out = "string" if kind == TensorProto.STRING else "float32"
    node = helper.make_node("Cast", ["text"], ["same"], to=kind)
    if kind == TensorProto.STRING:
        node = helper.make_node("Identity", ["text"], ["same"])
    graph = helper.make_graph(
        [node],
        model,
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("same", kind, ["n"])],
    )

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model=model,
            version=version,
            runtime="onnx",
            signature=Signature(
                inputs=(TensorSpec(name="text", dtype="string", shape=(-1,)),),
                outputs=(TensorSpec(name="same", dtype=out, shape=(-1,)),),
            ),
            labels=(),
            files=files,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    with tempfile.TemporaryDirectory() as name:
        files = {file: Path(name, file) for file in (MODEL_FILE, GOLDEN_FILE)}
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        save_model(made, str(files[MODEL_FILE]))
        same = np.array(["1.5"] if kind == TensorProto.STRING else [1.5])
        Golden(inputs={"text": np.array(["1.5"])}, outputs={"same": same}).save(files[GOLDEN_FILE])
        store.promote(store.publish(model, files, describe).manifest.id, why="")


@pytest.fixture
def server(store: WritableStore, start_server: StartServer, tmp_path: Path) -> Iterator[Server]:
    """A server that writes down all that it can, of models that take pictures and texts."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    publish_text(store, "echo", TensorProto.STRING)
    publish_text(store, "numbers", TensorProto.FLOAT)
    with Collector() as collector:
        flags = ("--payload-log", "on", "--prediction-log", "on", "--log-inputs", "numbers", "--workers", "2")
        traced = ("--traces", collector.url, "--trace-sample", "1")
        running = start_server(store.root, "--home", str(tmp_path / "home"), *flags, *traced)
        running.wait_ready()
        yield running
        assert running.process.poll() is not None, "the test ends the server"
        spans = repr(collector.spans)
        assert collector.spans
        assert not [plant for plant in PLANTS.values() if plant in spans]


class Client:
    """Says what a test tells it, with plants in the headers of every request."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def post(self, path: str, body: object, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer."""
        planted = {
            "User-Agent": said(),
            "X-Sticky-Key": PLANTS["email"],
            "X-Request-Id": PLANTS["national id"],
            "Authorization": f"Bearer {PLANTS['secret']}",
            "Cookie": f"session={PLANTS['secret']}",
            "X-Forwarded-For": PLANTS["address"],
            "Traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
            "Tracestate": f"vendor={quote(PLANTS['email'])}",
            **headers,
        }
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        with closing(http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)) as connection:
            connection.request("POST", path, sent, planted)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def call(self, model: str, text: str) -> None:
        """The same over gRPC."""
        request = infer_request(model)
        request.id = PLANTS["email"]
        request.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(text.encode())
        metadata = (("x-sticky-key", PLANTS["email"]), ("authorization", f"Bearer {PLANTS['secret']}"))
        with grpc.insecure_channel(f"127.0.0.1:{self._server.grpc_port}") as channel:
            infer = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelInfer", lambda message: message.SerializeToString(), bytes
            )
            try:
                infer(request, metadata=metadata, timeout=30)
            except grpc.RpcError:
                return


def say_everything(server: Server) -> None:
    """Plant everywhere: bodies that are right and wrong, URLs, ids, feedback, and what makes a model fail."""
    client, text = Client(server), said()
    v2 = {"id": PLANTS["email"], "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}]}
    for _ in range(5):
        assert client.post("/v1/models/echo:predict", {"instances": [text]})[0] == 200
        assert client.post("/v2/models/echo/infer", v2)[0] == 200
        assert client.post("/v1/models/numbers:predict", {"instances": [text]})[0] >= 400
        client.post("/v2/models/numbers/infer", v2)
        client.call("echo", text)
        client.call("numbers", text)
        client.call(PLANTS["email"], text)
    for body in (text.encode(), {text: text}, {"instances": [text]}, {"instances": [{"image": text}]}):
        client.post("/v1/models/digits:predict", body)
        client.post("/predict", body)
        client.post("/v2/models/digits/infer", body)
    for plant in PLANTS.values():
        client.post(f"/v1/models/{quote(plant)}:predict", {"instances": [_PICTURE]})
        client.post(f"/v1/models/digits:predict?user={quote(plant)}", {"instances": [_PICTURE]})
        client.post(f"/users/{quote(plant)}", {})
        client.post(f"/v1/models/digits/versions/{quote(plant)}:predict", {})
    _, _, headers = client.post("/v1/models/digits:predict", {"instances": [_PICTURE]})
    _, _, echoed = client.post("/v1/models/echo:predict", {"instances": ["hello"]})
    for prediction, label in ((headers["x-prediction-id"], "7"), (echoed["x-prediction-id"], text), (text, text)):
        for path in ("/feedback", f"/feedback?model={quote(text)}"):
            client.post(path, {"labels": [{"prediction_id": prediction, "label": label, "by": text}], "source": text})


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """In plain files, compressed ones, and however a number is written."""
    (tmp_path / "a").mkdir()
    for number, (what, plant) in enumerate(PLANTS.items()):
        path = tmp_path / "a" / f"{number}.bin"
        path.write_bytes(b"\0\xff" + plant.encode() + b"\xff")
        assert any(hit.startswith(f"{what} in a/{number}") for hit in hits(tmp_path))
        path.write_bytes(gzip.compress(plant.encode()))
        assert hits(tmp_path) == []
        path.rename(path.with_suffix(".gz"))
        assert any(hit.startswith(f"{what} in a/{number}") for hit in hits(tmp_path))
        path.with_suffix(".gz").unlink()
    (tmp_path / "card").write_text(PLANTS["card"].replace(" ", ""))
    assert hits(tmp_path) == ["card in card"]


def test_nothing_that_was_planted_is_on_the_disk(server: Server, tmp_path: Path) -> None:
    """Neither while the server runs nor when it has ended: in no log, database, spool or store, nor in what it said."""
    say_everything(server)
    home = tmp_path / "home"
    wait_until(lambda: b"<email>" in written(home, "payloads"))
    wait_until(lambda: b"ModelInfer" in written(home, "access"))
    running = hits(tmp_path)
    assert server.stop() == 0, server.log.read_text()

    assert running == []
    assert hits(tmp_path) == []
    assert all(written(home, stream) for stream in ("access", "application", "payloads"))
    assert (home / "fairlead.db").stat().st_size > 0
    assert b'"user":' in written(home, "access")
