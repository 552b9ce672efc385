"""Requests are counted under few names, and shown in two formats."""

import asyncio

import orjson
import pytest
from tests.transport.conftest import Client, request_of
from tests.transport.fakes import FakePredictor

from fairlead.errors import OverloadError
from fairlead.telemetry.instruments import Instruments
from fairlead.transport.message import Call
from fairlead.transport.tfserving.metrics import MAX_STRANGERS, TfServingMetrics

TFS = "/monitoring/prometheus/metrics"
GOOD = {"instances": [[1.0]]}


def lines(client: Client, path: str) -> list[str]:
    """The page's lines."""
    return client.get(path).body.decode().splitlines()


def test_a_prediction_is_counted_with_its_version(client: Client) -> None:
    """A request is counted by protocol, model, the version that answered, and code."""
    client.predict("echo", GOOD)
    client.post("/predict?model=echo", GOOD)
    page = lines(client, "/metrics")
    assert 'fairlead_requests_total{code="OK",model="echo",protocol="tfserving",version="1"} 1.0' in page
    assert 'fairlead_requests_total{code="OK",model="echo",protocol="simple",version="1"} 1.0' in page
    assert 'fairlead_request_duration_seconds_count{label="",model="echo",protocol="tfserving",version="1"} 1.0' in page


def test_a_label_that_was_asked_for_is_counted(client: Client) -> None:
    """Times are told apart by the version's label; one that nobody knows is no label."""
    client.predict("echo/labels/stable", GOOD)
    client.post("/predict?model=echo&label=stable", GOOD)
    client.post("/predict?model=echo", GOOD, **{"x-model-label": "stable"})
    client.post("/v2/models/echo/versions/1/infer", b"{}")
    client.predict("echo/labels/invented", GOOD)
    counts = [line for line in lines(client, "/metrics") if line.startswith("fairlead_request_duration_seconds_count")]
    assert counts == [
        'fairlead_request_duration_seconds_count{label="stable",model="echo",protocol="simple",version="1"} 2.0',
        'fairlead_request_duration_seconds_count{label="",model="echo",protocol="tfserving",version=""} 1.0',
        'fairlead_request_duration_seconds_count{label="stable",model="echo",protocol="tfserving",version="1"} 1.0',
        'fairlead_request_duration_seconds_count{label="",model="echo",protocol="v2",version="1"} 1.0',
    ]


def test_versions_that_clients_invent_are_no_series(client: Client) -> None:
    """A version that a known model does not have is counted under no name."""
    for version in range(2, 9):
        client.predict(f"echo/versions/{version}", GOOD)
    counted = [line for line in lines(client, "/metrics") if line.startswith("fairlead_requests_total")]
    assert counted == ['fairlead_requests_total{code="NOT_FOUND",model="",protocol="tfserving",version=""} 7.0']


def test_a_fault_is_counted_under_its_code(client: Client) -> None:
    """A refused request is counted under the refusal's code."""
    client.predict("echo", {"instances": ["x"]})
    expected = 'fairlead_requests_total{code="INVALID_ARGUMENT",model="echo",protocol="tfserving",version="1"} 1.0'
    assert expected in lines(client, "/metrics")


def test_refusals_that_overload_makes_are_counted_by_the_bound_that_was_met(
    client: Client, predictor: FakePredictor
) -> None:
    """On every protocol; other errors are no such refusals."""
    client.predict("echo", {"instances": ["x"]})
    predictor.error = OverloadError("too many", reason="in_flight")
    client.predict("echo", GOOD)
    client.post("/predict?model=echo", GOOD)
    predictor.error = OverloadError("too much", reason="queue")
    client.predict("echo", GOOD)

    assert [line for line in lines(client, "/metrics") if line.startswith("fairlead_refused_total")] == [
        'fairlead_refused_total{protocol="simple",reason="in_flight"} 1.0',
        'fairlead_refused_total{protocol="tfserving",reason="in_flight"} 1.0',
        'fairlead_refused_total{protocol="tfserving",reason="queue"} 1.0',
    ]


def test_a_client_that_leaves_is_counted(client: Client, predictor: FakePredictor) -> None:
    """A request whose client leaves while it is computed ends as CANCELLED."""

    async def leave() -> None:
        predictor.pause = asyncio.Event()
        task = asyncio.create_task(client.ask(request_of("POST", "/v1/models/echo:predict", orjson.dumps(GOOD))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert any('code="CANCELLED",model="echo"' in line for line in lines(client, "/metrics"))


def test_few_names_that_clients_invent_are_on_the_tensorflow_serving_page(client: Client) -> None:
    """The first that a model could be called by; all others share a series, and versions that are not have none."""
    client.get("/v1/models/a%22b%5Cc%0Ad")
    client.get("/v1/models/" + "x" * 65)
    for index in range(MAX_STRANGERS + 5):
        client.get(f"/v1/models/name{index}")
    client.predict("name0", GOOD)
    client.predict("echo/versions/77", GOOD)
    counts = dict(
        line.removeprefix(":tensorflow:serving:request_count").split(" ")
        for line in lines(client, TFS)
        if line.startswith(":tensorflow:serving:request_count{")
    )
    assert counts == {
        '{model_name="",status="NOT_FOUND"}': "7",
        '{model_name="echo",status="NOT_FOUND"}': "1",
        '{model_name="name0",status="NOT_FOUND"}': "2",
        **{f'{{model_name="name{index}",status="NOT_FOUND"}}': "1" for index in range(1, MAX_STRANGERS)},
    }


def test_a_worker_that_follows_another_shows_no_more_names() -> None:
    """What a worker before it has counted is there already, in the same place."""
    instruments = Instruments()
    for turn in range(3):
        metrics = TfServingMetrics(instruments)
        for index in range(MAX_STRANGERS):
            metrics.record(Call(protocol="tfserving", model=f"name{turn}-{index}"), "NOT_FOUND", 20.0, lambda *_: False)
        metrics.record(Call(protocol="tfserving", model="echo"), "OK", 20.0, lambda *_: True)
    shown = [line for line in metrics.page().decode().splitlines() if 'status="NOT_FOUND"' in line]
    assert len(shown) == MAX_STRANGERS + 1
    assert f':tensorflow:serving:request_count{{model_name="",status="NOT_FOUND"}} {2 * MAX_STRANGERS}' in shown


def test_a_name_cannot_forge_a_sample() -> None:
    """Quotes, backslashes and line ends in a model's name are escaped."""
    metrics = TfServingMetrics(Instruments())
    call = Call(protocol="tfserving", model='a"b\\c\nd')
    metrics.record(call, "OK", 20.0, lambda *_: True)
    page = metrics.page().decode().splitlines()
    assert r':tensorflow:serving:request_count{model_name="a\"b\\c\nd",status="OK"} 1' in page


def test_a_query_on_the_tensorflow_serving_page_is_refused(client: Client) -> None:
    """TensorFlow Serving's page takes no query."""
    assert client.get(f"{TFS}?x=1").status == 400
