"""Probes say whether the process lives, has started and may take traffic."""

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue

from fairlead.serving.status import Readiness

WAITING = Readiness(is_started=False, is_ready=False, models={"digits": None}, missing=("digits is loading",))


@pytest.mark.parametrize("path", ["/health/live", "/alive", "/"])
def test_live_is_always_200(client: Client, catalogue: FakeCatalogue, path: str) -> None:
    """A process that answers at all is alive, whatever its models do and even in a drain."""
    catalogue.ready = WAITING
    client.app.withdrawn = True
    answer = client.get(path)
    assert (answer.status, answer.json()) == (200, {"status": "alive"})


def test_startup_waits_for_the_first_attempts(client: Client, catalogue: FakeCatalogue) -> None:
    """Startup is 503 until the first attempt at every model has ended."""
    assert client.get("/health/startup").status == 200
    catalogue.ready = WAITING
    assert client.get("/health/startup").status == 503


@pytest.mark.parametrize("path", ["/health/ready", "/health"])
def test_ready_says_what_is_missing(client: Client, catalogue: FakeCatalogue, path: str) -> None:
    """Readiness is 503 with the reasons while something is missing, else 200 with the serving versions."""
    assert client.get(path).json() == {"status": "ready", "models": {"digits": 1}, "missing": [], "degraded": []}
    catalogue.ready = WAITING
    answer = client.get(path)
    assert answer.status == 503
    assert answer.json() == {
        "status": "not ready",
        "models": {"digits": None},
        "missing": ["digits is loading"],
        "degraded": [],
    }


def test_a_drain_withdraws_readiness(client: Client) -> None:
    """Readiness is 503 as soon as the drain begins."""
    client.app.withdrawn = True
    answer = client.get("/health/ready")
    assert (answer.status, answer.json()["status"]) == (503, "draining")


def test_head_works_for_probes(client: Client) -> None:
    """A probe may use HEAD."""
    assert client.request("HEAD", "/health/ready").status == 200
