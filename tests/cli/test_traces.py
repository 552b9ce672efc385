"""Requests that are traced, from a client's header to a collector."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.transport.grpc.protos import infer_request

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import BODY, Clients, wait_until
from .collector import Collector, values
from .conftest import Server, StartServer, starting, workers

pytestmark = pytest.mark.usefixtures("without_log")

PARTS = {"parse", "queue", "compute", "encode"}
PREDICT = "/v1/models/digits:predict"
INFER = "/inference.GRPCInferenceService/ModelInfer"
SECRET = "someone@example.com"


@dataclass
class Traced:
    """A server of one worker that traces what clients ask it to and nothing else, and where its traces go."""

    server: Server
    collector: Collector

    def post(self, path: str, body: bytes = BODY, **headers: str) -> dict[str, str]:
        """Ask over REST; the answer's headers and status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            return {**dict(response.getheaders()), "status": str(response.status)}
        finally:
            connection.close()

    def call(self, method: str, request: Any, **metadata: str) -> dict[str, str]:
        """Ask over gRPC; the answer's metadata."""
        with grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}") as channel:
            asking = channel.unary_unary(method, request_serializer=lambda message: message.SerializeToString())
            _, call = asking.with_call(request, timeout=30, metadata=[*metadata.items()])
            return {str(key): str(value) for key, value in call.initial_metadata()}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """One server for most tests here."""
    folder = tmp_path_factory.mktemp("traced")
    store = WritableStore(folder / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with Collector() as collector, starting(folder) as start:
        flags = ("--traces", collector.url, "--trace-sample", "0", "--max-batch-delay-s", "0.2")
        server = start(store.root, "--workers", "1", *flags)
        server.wait_ready()
        yield Traced(server, collector)
        assert server.stop() == 0, server.log.read_text()


def parent(*, sampled: bool = True) -> str:
    """A new `traceparent`."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-0{int(sampled)}"


def metric(server: Server, name: str) -> float:
    """The sum of a counter's series."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", server.page("/metrics", server.management_port)[1], re.MULTILINE)
    return sum(map(float, found))


def check_parts(spans: dict[str, Any], server: str, asked: str) -> None:
    """The spans are those of one answered request that continues `asked`: nested, in order, and linked to a batch."""
    _, trace_id, parent_id, _ = asked.split("-")
    root = spans[server]
    assert set(spans) == PARTS | {server}
    assert (root.trace_id.hex(), root.parent_span_id.hex(), root.kind) == (trace_id, parent_id, 2)
    assert {spans[part].parent_span_id for part in PARTS} == {root.span_id}
    assert len({span.span_id for span in spans.values()}) == len(spans)
    times = [(spans[part].start_time_unix_nano, spans[part].end_time_unix_nano) for part in ("parse", "queue")]
    times += [(spans[part].start_time_unix_nano, spans[part].end_time_unix_nano) for part in ("compute", "encode")]
    moments = [root.start_time_unix_nano, *(moment for time in times for moment in time), root.end_time_unix_nano]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (PREDICT, BODY, "POST /v1/models/{model}:predict"),
        ("/v1/models/digits/versions/1:predict", BODY, "POST /v1/models/{model}/versions/{version}:predict"),
        ("/predict", BODY, "POST /predict"),
        (
            "/v2/models/digits/infer",
            json.dumps(
                {"inputs": [{"name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": [0.0] * 784}]}
            ).encode(),
            "POST /v2/models/{model}/infer",
        ),
    ],
)
def test_a_request_over_rest_is_one_trace(traced: Traced, path: str, body: bytes, name: str) -> None:
    """With the client's own trace continued, what is inside it, and the batch linked both ways."""
    asked = parent()

    answer = traced.post(path, body, traceparent=asked, tracestate="vendor=1,other=2")

    assert answer["status"] == "200"
    spans = traced.collector.trace(asked.split("-")[1])
    check_parts(spans, name, asked)
    assert answer["traceresponse"] == f"00-{asked.split('-')[1]}-{spans[name].span_id.hex()}-01"
    assert {span.trace_state for span in spans.values()} == {"vendor=1,other=2"}
    (link,) = spans["compute"].links
    batch = traced.collector.span(link.span_id)
    assert (batch.name, batch.trace_id, [back.span_id for back in batch.links]) == (
        "batch",
        link.trace_id,
        [spans[name].span_id],
    )
    shown = values(spans[name])
    assert shown["fairlead.prediction_id"] == answer["x-prediction-id"]
    assert (shown["fairlead.model"], shown["fairlead.version"], shown["http.response.status_code"]) == (
        "digits",
        1,
        200,
    )


def test_a_call_over_grpc_is_one_trace(traced: Traced) -> None:
    """As over REST, with metadata for headers."""
    asked = parent()

    request = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32))
    answer = traced.call(INFER, request, traceparent=asked)

    spans = traced.collector.trace(asked.split("-")[1])
    check_parts(spans, INFER[1:], asked)
    assert answer["traceresponse"] == f"00-{asked.split('-')[1]}-{spans[INFER[1:]].span_id.hex()}-01"
    shown = values(spans[INFER[1:]])
    assert (shown["rpc.method"], shown["rpc.grpc.status_code"], shown["fairlead.version"]) == ("ModelInfer", 0, 1)


def test_one_trace_goes_through_rest_and_grpc(traced: Traced) -> None:
    """A caller that asks in both ways has both requests in its trace, each with its own parts and a batch linked."""
    asked = parent()
    _, trace_id, parent_id, _ = asked.split("-")
    request = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32))

    traced.post(PREDICT, traceparent=asked)
    traced.call(INFER, request, traceparent=asked)

    def in_trace() -> list[Any]:
        return [span for span in traced.collector.spans if span.trace_id.hex() == trace_id and span.name != "batch"]

    wait_until(lambda: len(in_trace()) >= 2 * (1 + len(PARTS)))
    roots = [span for span in in_trace() if span.name not in PARTS]
    assert {root.name for root in roots} == {"POST /v1/models/{model}:predict", INFER[1:]}
    assert {root.parent_span_id.hex() for root in roots} == {parent_id}
    for root in roots:
        parts = {span.name: span for span in in_trace() if span.parent_span_id == root.span_id}
        assert set(parts) == PARTS
        (link,) = parts["compute"].links
        assert root.span_id in {back.span_id for back in traced.collector.span(link.span_id).links}


def test_histograms_show_traced_requests(traced: Traced) -> None:
    """On both ports' pages, to whoever takes OpenMetrics: the newest of each bucket, with its trace."""
    request = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32))
    ways: list[Callable[[str], object]] = [
        lambda asked: traced.post(PREDICT, traceparent=asked),
        lambda asked: traced.call(INFER, request, traceparent=asked),
    ]
    for ask in ways:
        asked = parent()
        ask(asked)
        for port in (traced.server.port, traced.server.management_port):
            exemplars = exemplars_of(port)
            for what in ("request", "queue", "compute"):
                shown = {one.exemplar.labels["trace_id"] for one in exemplars[f"fairlead_{what}_duration_seconds"]}
                assert asked.split("-")[1] in shown


def exemplars_of(port: int) -> dict[str, list[Any]]:
    """The samples with an exemplar of each histogram, as OpenMetrics' own parser reads the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
        response = connection.getresponse()
        assert "openmetrics" in str(response.getheader("content-type"))
        families: Iterator[Any] = text_string_to_metric_families(response.read().decode())  # type: ignore[no-untyped-call]
        return {family.name: [sample for sample in family.samples if sample.exemplar] for family in families}
    finally:
        connection.close()


def test_a_batch_is_linked_to_all_its_requests(traced: Traced) -> None:
    """Those of both protocols that came together ran together, and each of them says so."""
    asked = [parent() for _ in range(6)]
    together = threading.Barrier(len(asked))

    def ask(which: int) -> None:
        together.wait()
        if which % 2:
            traced.post(PREDICT, traceparent=asked[which])
        else:
            request = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32))
            traced.call(INFER, request, traceparent=asked[which])

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    traces = [traced.collector.trace(one.split("-")[1]) for one in asked]
    roots = {next(span for name, span in trace.items() if name not in PARTS).span_id for trace in traces}
    linked = {trace["compute"].links[0].span_id for trace in traces}
    batches = [traced.collector.span(id_) for id_ in linked]
    assert len(batches) < len(asked)
    assert {link.span_id for batch in batches for link in batch.links} == roots
    assert sum(values(batch)["fairlead.batch.requests"] for batch in batches) == len(asked)
    for trace in traces:
        (link,) = trace["compute"].links
        (batch,) = [one for one in batches if one.span_id == link.span_id]
        assert (batch.start_time_unix_nano - trace["compute"].start_time_unix_nano) < 1e6


@pytest.mark.parametrize(
    "header",
    [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-" + "a" * 4000 + "-b7ad6b7169203331-01",
    ],
)
def test_a_malformed_parent_is_none(traced: Traced, header: str) -> None:
    """The request is answered, and traced only by our own choice, which is never here."""
    answer = traced.post(PREDICT, traceparent=header)

    assert answer["status"] == "200"
    assert "traceresponse" not in answer


def test_an_unsampled_parent_is_respected(tmp_path: Path, store: WritableStore, start_server: StartServer) -> None:
    """Also where every request is traced that nobody decided on; what is no traffic is not traced at all."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with Collector() as collector:
        server = start_server(store.root, "--workers", "1", "--traces", collector.url, "--trace-sample", "1")
        server.wait_ready()
        traced = Traced(server, collector)
        assert "traceresponse" not in traced.post(PREDICT, traceparent=parent(sampled=False))
        assert "traceresponse" not in traced.post("/health/ready")
        own = traced.post(PREDICT)["traceresponse"]
        assert server.stop() == 0

    assert {span.trace_id.hex() for span in collector.spans if span.name != "batch"} == {own.split("-")[1]}
    (root,) = [span for span in collector.spans if span.kind == 2]
    assert root.parent_span_id == b""


def test_a_failed_request_says_how(traced: Traced) -> None:
    """By its code; what is the client's fault is no error of the server's, and what never ran has no such part."""
    asked = [parent() for _ in range(2)]

    statuses = [
        traced.post(PREDICT, b'{"instances": [["%s"]]}' % SECRET.encode(), traceparent=asked[0])["status"],
        traced.post(f"/v1/models/{SECRET}:predict?token={SECRET}", traceparent=asked[1])["status"],
    ]

    assert statuses == ["400", "400"]
    for one in asked:
        spans = traced.collector.trace(one.split("-")[1])
        assert set(spans) == {"POST /v1/models/{model}:predict"}
        assert {span.status.code for span in spans.values()} == {0}
        assert "fairlead.code" in str(spans)


def test_spans_hold_nothing_that_a_client_wrote(traced: Traced) -> None:
    """No bodies, no queries, no paths that mean nothing, no names of models that there are not, no headers."""
    asked = [parent() for _ in range(4)]
    traced.post(f"/predict?model={SECRET}", traceparent=asked[0])
    traced.post(f"/predict?key={SECRET}", SECRET.encode(), traceparent=asked[1])
    traced.post(f"/v1/{SECRET}", traceparent=asked[2])
    traced.post(f"/v2/models/{SECRET}/infer", b"{}", traceparent=asked[3], **{"user-agent": SECRET})
    for one in asked:
        traced.collector.trace(one.split("-")[1])

    assert not [span for span in traced.collector.spans if SECRET in str(span)]


def test_the_process_says_who_it_is(traced: Traced) -> None:
    """Its name, its release, and the worker's process id."""
    traced.post(PREDICT, traceparent=parent())
    wait_until(lambda: bool(traced.collector.resources))

    resource = traced.collector.resources[-1]
    assert resource["service.name"] == "fairlead"
    assert resource["process.pid"] == workers(traced.server)[0]


def test_no_client_can_have_everything_traced(store: WritableStore, start_server: StartServer) -> None:
    """Over the limit of a second requests are answered untraced, and counted."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with Collector() as collector:
        server = start_server(store.root, "--workers", "1", "--traces", collector.url, "--trace-limit", "3")
        server.wait_ready()
        traced = Traced(server, collector)
        answers = [traced.post(PREDICT, traceparent=parent()) for _ in range(30)]
        assert server.stop() == 0

    traced_count = sum("traceresponse" in answer for answer in answers)
    assert {answer["status"] for answer in answers} == {"200"}
    assert 3 <= traced_count < 30
    assert len([span for span in collector.spans if span.kind == 2]) == traced_count


@pytest.mark.parametrize("fault", ["down", "slow", "broken"])
def test_a_collector_that_fails_costs_traces_only(store: WritableStore, start_server: StartServer, fault: str) -> None:
    """Answers come as before, a metric counts what was given up, and the server leaves in time."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with Collector() as collector:
        url = "http://127.0.0.1:9" if fault == "down" else collector.url
        collector.status = 500 if fault == "broken" else 200
        if fault == "slow":
            collector.may_answer.clear()
        flags = ("--traces", url, "--trace-sample", "1", "--trace-limit", "100000")
        server = start_server(store.root, "--workers", "1", *flags)
        server.wait_ready()
        with Clients(server.port) as clients:
            clients.wait_for(1500)
        wait_until(lambda: metric(server, "fairlead_trace_dropped_total") > 0)
        began = time.monotonic()
        assert server.stop() == 0

    assert clients.failed == []
    assert time.monotonic() - began < 20


def test_a_collector_that_comes_back_is_sent_to_again(traced: Traced) -> None:
    """What it refused is gone, and the log says so once; then it goes on."""
    taken = metric(traced.server, "fairlead_trace_exported_total")
    traced.collector.status = 500
    traced.post(PREDICT, traceparent=parent())
    wait_until(lambda: metric(traced.server, "fairlead_trace_dropped_total") == 1)
    traced.collector.status = 200

    asked = parent()
    traced.post(PREDICT, traceparent=asked)
    traced.collector.trace(asked.split("-")[1])

    wait_until(lambda: metric(traced.server, "fairlead_trace_exported_total") == taken + 1)
    log = traced.server.log.read_text()
    assert log.count("does not take them") == log.count("takes them again") == 1
    assert "Failed to export" not in log


def test_a_drain_sends_what_is_left(store: WritableStore, start_server: StartServer) -> None:
    """Every trace that was answered reaches the collector, also those of the last moment."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with Collector() as collector:
        flags = ("--traces", collector.url, "--trace-sample", "1", "--trace-limit", "100000")
        server = start_server(store.root, "--workers", "2", *flags)
        server.wait_ready()
        with Clients(server.port) as clients:
            clients.wait_for(300)
        assert server.stop() == 0

    roots = [span for span in collector.spans if span.kind == 2]
    assert len(roots) == clients.outcomes["200"]
    assert clients.failed == []


@pytest.fixture
def without_opentelemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there as soon as a process of the server has looked for OpenTelemetry, which it does not find."""
    asked = tmp_path / "asked"
    package = tmp_path / "stub" / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(asked)!r}, 'w').close()\nraise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]))
    return asked


def test_nobody_who_does_not_trace_needs_opentelemetry(
    store: WritableStore, start_server: StartServer, without_opentelemetry: Path
) -> None:
    """Nor is it imported; whoever traces without it is told what to install."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--workers", "1")
    server.wait_ready()
    assert server.call("POST", PREDICT, BODY, {"traceparent": parent()})[0] == 200
    assert server.stop() == 0
    assert not without_opentelemetry.exists()

    server = start_server(store.root, "--workers", "1", "--traces", "http://127.0.0.1:4318")
    assert server.process.wait(30) == 1
    assert "pip install 'fairlead[tracing]'" in server.log.read_text()
