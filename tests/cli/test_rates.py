"""Keys, tokens and models that may be asked so often, over every protocol and all workers of a server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import grpc
import jwt
import numpy as np
import psutil
import pytest
from tests.transport.grpc.protos import infer_request, predict_request

from fairlead.cli.main import main
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import BODY, wait_until
from .conftest import Server, StartServer
from .test_keys import PLANTED, made

pytestmark = pytest.mark.usefixtures("without_log")

V1, V2 = "/v1/models/digits:predict", "/v2/models/digits/infer"
"""Where the body may be any: it is not looked at when the request is refused."""


def asked(server: Server, path: str, key: str, body: bytes = b"{") -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of one request on a connection of its own, so that either worker may have it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", path, body, {"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def kill_all_of(server: Server) -> None:
    """All its processes at once, the parent first."""
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family[1:], timeout=30)


def test_a_key_has_one_budget_over_both_workers_and_every_protocol(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it asks beyond is refused in each protocol's own shape, and says when to come again; others are served."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    slow = made(capsys, "create", "slow", "--rate", "20/h", "--burst", "40", *home)
    free = made(capsys, "create", "free", *home)["key"]
    server = start_server(store.root, *home, "--workers", "2")
    server.wait_ready()
    key = slow["key"]

    statuses = Counter(asked(server, V1, key, BODY)[0] for _ in range(60))
    assert statuses == {200: 40, 429: 20}
    rotated = made(capsys, "rotate", slow["id"], *home)["key"]
    wait_until(lambda: asked(server, V1, rotated)[0] == 429)  # which is no way around it

    for path in ("/predict", V1, V2):
        status, headers, body = asked(server, path, key)
        assert status == 429
        assert 100 < int(headers["retry-after"]) <= 180
        error = json.loads(body)["error"]
        shown = error["message"] if path == "/predict" else error
        assert f"the key slow ({slow['id']}) has had the 20/h that it may ask for" in shown
        assert asked(server, path, free)[0] != 429
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        picture = np.zeros((1, 28, 28, 1), np.float32)
        for path, message in (
            ("/tensorflow.serving.PredictionService/Predict", predict_request("digits", image=picture)),
            ("/inference.GRPCInferenceService/ModelInfer", infer_request("digits", image=picture)),
        ):
            call = channel.unary_unary(path)
            with pytest.raises(grpc.RpcError) as refused:
                call(message.SerializeToString(), metadata=[("x-api-key", key)], timeout=30)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            trailers = dict(refused.value.trailing_metadata())
            assert 100_000 < int(trailers["grpc-retry-pushback-ms"]) <= 180_000
            call(message.SerializeToString(), metadata=[("x-api-key", free)], timeout=30)

    page = server.page("/metrics", server.management_port)
    assert page[0] == 401
    scraper = made(capsys, "create", "scraper", "--scope", "metrics", *home)["key"]

    def counted() -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", server.management_port, timeout=30)) as connection:
            connection.request("GET", "/metrics", headers={"x-api-key": scraper})
            return connection.getresponse().read().decode()

    wait_until(lambda: 'fairlead_limited_total{protocol="v2",reason="key"} 1.0' in counted())
    assert 'fairlead_limited_total{protocol="tfserving-grpc",reason="key"} 1.0' in counted()
    assert server.stop() == 0


def test_a_stream_counts_each_message(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends where the budget does."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    key = made(capsys, "create", "slow", "--rate", "1/h", "--burst", "5", *home)["key"]
    server = start_server(store.root, *home, "--workers", "1")
    server.wait_ready()
    message = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32)).SerializeToString()

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        answers = stream(iter([message] * 9), metadata=[("x-api-key", key)], timeout=30)
        got = [next(answers) for _ in range(5)]
        with pytest.raises(grpc.RpcError) as ended:
            next(answers)
    assert len(got) == 5
    assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.stop() == 0


def test_a_worker_that_is_killed_neither_gives_the_budget_back_nor_keeps_it_locked(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor do workers that are replaced."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    key = made(capsys, "create", "slow", "--rate", "1/h", "--burst", "10", *home)["key"]
    server = start_server(store.root, *home, "--workers", "2")
    server.wait_ready()
    assert [asked(server, V1, key, BODY)[0] for _ in range(5)] == [200] * 5
    children = psutil.Process(server.process.pid).children()
    workers = [child for child in children if "fairlead.app.worker" in child.cmdline()]
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)

    def status() -> int:
        try:
            return asked(server, V1, key, BODY)[0]
        except (OSError, http.client.HTTPException):
            return 0

    wait_until(lambda: status() == 200)
    statuses = Counter(status() for _ in range(12))
    assert statuses[200] <= 4  # what a worker had read when it was killed may have been counted
    assert statuses[429] > 0
    assert server.stop() == 0


def test_tokens_by_subject_and_models_have_rates(
    store: WritableStore, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both from settings; the model's is for all that ask, and a model that there is not uses none of it."""
    for name in ("digits", "other"):
        store.promote(publish_digit(store, name, 7).manifest.id, why="")
    monkeypatch.setenv("JWT_SECRET_KEY", PLANTED)
    server = start_server(store.root, "--workers", "2", "--token-rate", "1/h:12", "--model-rates", "other=1/h:5,1/h:90")
    server.wait_ready()
    tokens = [
        jwt.encode({"sub": sub, "exp": time.time() + 600, "n": n}, PLANTED) for sub in ("ann", "bob") for n in range(2)
    ]

    assert [asked(server, f"/v1/models/nowhere{n}:predict", tokens[0], BODY)[0] for n in range(3)] == [404] * 3
    of_other = [asked(server, "/v1/models/other:predict", tokens[0], BODY) for _ in range(6)]
    assert [status for status, _, _ in of_other] == [200] * 5 + [429]
    assert b"the model other has had the 1/h" in of_other[-1][2]
    assert asked(server, "/v1/models/other:predict", tokens[2], BODY)[0] == 429
    assert [asked(server, V1, token, BODY)[0] for token in (tokens[0], tokens[1], tokens[1], tokens[0])] == [
        *(200, 200, 200),
        429,
    ]
    assert asked(server, V1, tokens[3], BODY)[0] == 200
    assert server.stop() == 0


def test_tokens_by_subject_and_models_have_quotas(
    store: WritableStore, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One over both workers, REST and gRPC; it is refused as a key's is, and outlives a server that was killed."""
    for name in ("digits", "other"):
        store.promote(publish_digit(store, name, 7).manifest.id, why="")
    monkeypatch.setenv("JWT_SECRET_KEY", PLANTED)
    monkeypatch.setenv("METRICS_KEY", PLANTED)
    given = ["--home", str(tmp_path / "home"), "--workers", "2", "--token-quota", "14/month"]
    given += ["--model-quotas", "other=5/month,90/month"]
    server = start_server(store.root, *given)
    server.wait_ready()
    ann, bob = (jwt.encode({"sub": sub, "exp": time.time() + 600}, PLANTED) for sub in ("ann", "bob"))
    picture = np.zeros((1, 28, 28, 1), np.float32)

    def called(model: str, token: str) -> grpc.Call | None:
        """The refusal of each of two calls, of both protocols; None when they are let in."""
        refused = None
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            for path, message in (
                ("/tensorflow.serving.PredictionService/Predict", predict_request(model, image=picture)),
                ("/inference.GRPCInferenceService/ModelInfer", infer_request(model, image=picture)),
            ):
                try:
                    metadata = [("authorization", f"Bearer {token}")]
                    channel.unary_unary(path)(message.SerializeToString(), metadata=metadata, timeout=30)
                except grpc.RpcError as error:
                    refused = error
        return refused

    assert called("other", ann) is None
    of_other = [asked(server, "/v1/models/other:predict", ann, BODY) for _ in range(4)]
    assert [status for status, _, _ in of_other] == [200, 200, 200, 429]
    assert b"the model other has had the 5/month that it may ask for" in of_other[-1][2]
    assert 0 < int(of_other[-1][1]["retry-after"]) <= 31 * 86400
    kill_all_of(server)

    server = start_server(store.root, *given)
    server.wait_ready()
    refusal = called("other", bob)
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the model other has had the 5/month" in refusal.details()
    assert [asked(server, V1, ann, BODY)[0] for _ in range(6)] == [200] * 6
    assert called("digits", ann) is None
    for path in ("/predict", V1, V2):
        status, headers, body = asked(server, path, ann)
        assert status == 429
        assert 0 < int(headers["retry-after"]) <= 31 * 86400
        error = json.loads(body)["error"]
        assert "the subject 'ann' has had the 14/month" in (error["message"] if path == "/predict" else error)
    refusal = called("digits", ann)
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < int(dict(refusal.trailing_metadata())["grpc-retry-pushback-ms"]) <= 31 * 86_400_000
    assert asked(server, V1, bob, BODY)[0] == 200

    def counted() -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", server.management_port, timeout=30)) as connection:
            connection.request("GET", "/metrics", headers={"x-api-key": PLANTED})
            return connection.getresponse().read().decode()

    wait_until(lambda: 'fairlead_limited_total{protocol="v2",reason="token_quota"} 1.0' in counted())
    assert 'fairlead_limited_total{protocol="v2-grpc",reason="model_quota"} 1.0' in counted()
    assert server.stop() == 0


def test_a_quota_outlives_a_server_that_is_killed(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, with all its processes; the list says how much was used."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    key = made(capsys, "create", "shop", "--quota", "10/month", *home)["key"]
    server = start_server(store.root, *home, "--workers", "2")
    server.wait_ready()
    assert [asked(server, V1, key, BODY)[0] for _ in range(6)] == [200] * 6
    kill_all_of(server)

    server = start_server(store.root, *home, "--workers", "2")
    server.wait_ready()
    answers = [asked(server, V1, key, BODY) for _ in range(5)]
    assert [status for status, _, _ in answers] == [200] * 4 + [429]
    assert int(answers[-1][1]["retry-after"]) <= 31 * 86400
    assert main(["keys", "list", *home]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-4:] == ["any", "10/month", "10", "good"]
    assert server.stop() == 0


def test_a_tenant_that_floods_keeps_nobody_out(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any limit: it is refused while the server is full, and another one who asks now and then is not."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    flood, other = (made(capsys, "create", name, *home)["key"] for name in ("flood", "other"))
    server = start_server(store.root, *home, "--workers", "1", "--max-in-flight", "1", "--max-batch-delay-s", "0.02")
    server.wait_ready()
    over, statuses = threading.Event(), Counter[int]()

    def ask_on() -> None:
        while not over.is_set():
            statuses[asked(server, V1, flood, BODY)[0]] += 1

    threads = [threading.Thread(target=ask_on) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: statuses[503] > 0)
        assert Counter(asked(server, V1, other, BODY)[0] for _ in range(30)) == {200: 30}
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert statuses[200] > 0
    assert statuses[503] > statuses[200]
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rate", "0/s"], "--rate is '0/s': it must be a rate, from 1 to 1000000 requests: 100/s"),
        (["--rate", "-5/s"], "--rate is '-5/s'"),
        (["--rate", "5/fortnight"], "--rate is '5/fortnight'"),
        (["--rate", "5/s", "--burst", "0"], "--burst is '0': it must be a burst"),
        (["--burst", "5"], "--burst is '5', and no --rate is given"),
        (["--quota", "0/day"], "--quota is '0/day': it must be a quota, from 1"),
    ],
)
def test_a_limit_that_is_none_makes_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    """The refusal names it, and shows one."""
    given = [f"{flags[0]}={flags[1]}", *flags[2:]]
    assert main(["keys", "create", "shop", *given, "--home", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "--rate 100/s" in told or "--quota 1000000/day" in told
    assert not (tmp_path / "keys.json").exists()


def test_a_setting_that_is_no_rate_starts_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which and what it is."""
    ports = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")
    assert main(["serve", *ports, "--home", str(tmp_path), "--model-rates", "digits=ten"]) == 2
    assert "--model-rates is 'digits=ten': must be a rate" in capsys.readouterr().err


def test_keys_are_listed_with_their_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of before there were any may ask as often as they like."""
    made(capsys, "create", "shop", "--rate", "100/s", "--burst", "200", "--home", str(tmp_path))
    made(capsys, "create", "old", "--home", str(tmp_path))
    path = tmp_path / "keys.json"
    kept = json.loads(path.read_text())
    old = next(key for key in kept["keys"].values() if key["name"] == "old")
    del old["rate"], old["quota"], old["account"]
    path.write_text(json.dumps(kept))

    assert main(["keys", "list", "--home", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-3:] for line in lines] == [["100/s:200", "any", "good"], ["any", "any", "good"]]
