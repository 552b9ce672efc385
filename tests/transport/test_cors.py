"""Pages of listed origins may ask; nobody else's are shown anything."""

from pathlib import Path
from typing import cast

import pytest
from tests.transport.conftest import Answer, Client
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.followed_keys import FollowedKeys
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.transport.cors import Cors
from fairlead.transport.http import HttpApp

SHOP = "https://shop.example"
STRANGERS = ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null", "*", ""]
BODY = b'{"instances": [[1.0, 2.0]]}'
PATH = "/v1/models/echo:predict"


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key that predicts."""
    return KeyFile(tmp_path / "keys.json").create("shop", frozenset({Scope.PREDICT}), lives_s=None)[1]


@pytest.fixture
def client(key: str, tmp_path: Path) -> Client:
    """Of an application that asks for keys, and lets the shop's pages ask."""
    assert key
    catalogue = FakeCatalogue()
    doorkeeper = Doorkeeper([FollowedKeys(KeyFile(tmp_path / "keys.json"))])
    app = build_app(catalogue, FakePredictor(catalogue), doorkeeper=doorkeeper)
    return Client(cast("HttpApp", Cors(app, [SHOP])))


def preflight(client: Client, origin: str) -> Answer:
    """What a browser hears that asks whether it may."""
    return client.request("OPTIONS", PATH, origin=origin, access_control_request_method="POST")


def test_a_preflight_needs_no_credential(client: Client, key: str) -> None:
    """What is then asked needs one, and is answered for the page; also when it is refused."""
    allowed = preflight(client, SHOP)
    assert (allowed.status, allowed.body) == (200, b"")
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert {"authorization", "x-api-key", "content-type"} <= set(
        allowed.headers["access-control-allow-headers"].split(", ")
    )
    answer = client.post(PATH, BODY, origin=SHOP, x_api_key=key)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, SHOP)
    assert answer.headers["vary"] == "origin"
    assert "x-prediction-id" in answer.headers["access-control-expose-headers"]
    refused = client.post(PATH, BODY, origin=SHOP)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, SHOP)


@pytest.mark.parametrize("origin", STRANGERS)
def test_strangers_pages_are_shown_nothing(client: Client, key: str, origin: str) -> None:
    """No header lets their browsers show an answer, and never is a cookie let in."""
    for answer in (preflight(client, origin), client.post(PATH, BODY, origin=origin, x_api_key=key)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "access-control-allow-credentials" not in preflight(client, SHOP).headers


def test_options_that_no_browser_sent_are_a_request_as_others(client: Client) -> None:
    """They ask for a credential."""
    assert client.request("OPTIONS", PATH).status == 401
    assert client.request("OPTIONS", PATH, origin=SHOP).status == 401


@pytest.mark.parametrize("text", ["*", "https://a.example/", "https://a.example,*", "shop.example", "null"])
def test_origins_are_listed_as_browsers_send_them(text: str) -> None:
    """There is no word for all of them."""
    with pytest.raises(FairleadError, match=r"\* is none"):
        Settings.read({}, cors_origins=text)
