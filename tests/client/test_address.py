"""Where a server is, and what it is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead.errors import Code, FairleadError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:8501", "http://host:8501"),
        ("http://host/", "http://host:80"),
        ("https://host/fairlead/", "https://host:443/fairlead"),
        ("http://[::1]:8501", "http://[::1]:8501"),
        ("grpc://host:8500", "grpc://host:8500"),
    ],
)
def test_a_client_is_shown_by_its_address(url: str, shown: str) -> None:
    """And by no secret."""
    with fairlead.Client(url, api_key="secret-key") as client:
        assert repr(client) == f"Client('{shown}')"
        assert "secret" not in repr(vars(client))


@pytest.mark.parametrize(
    ("url", "named", "said"),
    [
        ("host:8501", {}, "is no address of a server"),
        ("ftp://host:1", {}, "is no address of a server"),
        ("http://", {}, "is no address of a server"),
        ("http://host:x", {}, "is no URL"),
        ("http://host:8501?x=y", {}, "is no address of a server"),
        ("grpc://host", {}, "is no address of a server"),
        ("grpc://host:8500/path", {}, "gRPC knows none"),
        ("http://me:secret@host", {}, "the URL has a name or a password in it"),
        ("http://host", {"ca_file": "ca.pem"}, "is not encrypted"),
        ("https://host", {"ca_file": "/nowhere/ca.pem"}, "a file for TLS cannot be used"),
        ("https://host", {"ca_file": __file__}, "a file for TLS cannot be used"),
        ("grpcs://host:1", {"ca_file": "/nowhere/ca.pem"}, "a file for TLS cannot be used"),
        ("http://host", {"api_key": "a", "token": "b"}, "both given"),
        ("http://host", {"timeout_s": 0}, "0 is no time to wait"),
        ("http://host", {"timeout_s": float("nan")}, "nan is no time to wait"),
        ("http://host", {"retries": -1}, "-1 is no number of retries"),
    ],
)
def test_what_makes_no_client_is_refused(url: str, named: dict[str, Any], said: str) -> None:
    """At once, with the reason, and without the secrets."""
    with pytest.raises(FairleadError, match=said) as caught:
        fairlead.Client(url, **named)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "key\r\nx-more: 1", ""])
def test_a_credential_is_no_place_for_another_header(key: str) -> None:
    """It is refused before it is sent, and not shown."""
    with fairlead.Client("http://127.0.0.1:9", api_key=key) as client, pytest.raises(FairleadError) as caught:
        client.models()

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "words" not in str(caught.value)


def test_the_package_imports_nothing_heavy_for_it() -> None:
    """A client runs where no model does."""
    heavy = ["onnxruntime", "grpc", "sqlalchemy", "uvloop", "prometheus_client", "PIL", "google.protobuf"]
    program = f"import fairlead, sys; fairlead.Client('http://host'); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"
    assert Path(fairlead.__file__ or "").with_name("py.typed").exists()
