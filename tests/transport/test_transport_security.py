"""Browsers are told to come by TLS alone, by every answer."""

from typing import cast

import pytest
from tests.transport.conftest import Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.transport.http import HttpApp
from fairlead.transport.transport_security import TransportSecurity


@pytest.mark.parametrize(
    ("path", "status"), [("/health/live", 200), ("/models", 200), ("/nowhere", 404), ("/predict", 405)]
)
def test_every_answer_says_so(path: str, status: int) -> None:
    """What is refused too."""
    catalogue = FakeCatalogue()
    client = Client(cast("HttpApp", TransportSecurity(build_app(catalogue, FakePredictor(catalogue)), 600)))

    answer = client.get(path)

    assert (answer.status, answer.headers["strict-transport-security"]) == (status, "max-age=600")
