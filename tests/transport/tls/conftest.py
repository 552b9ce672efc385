"""Servers with TLS, and what their clients go by."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.certificates import Authority, Pair

from fairlead.transport.tls.files import TlsFiles
from fairlead.transport.tls.followed import FollowedTls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """What the server is known by."""
    return authority.issue("server")


class Counted(FollowedTls):
    """TLS whose failed handshakes are counted."""

    def __init__(self, pair: Pair, protocol: str, client_ca: Path | None = None) -> None:
        self.failures = 0
        files = TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=client_ca)
        super().__init__(files, protocol, failed=self._count)

    def _count(self) -> None:
        self.failures += 1


def client_context(authority: Authority, own: Pair | None = None) -> ssl.SSLContext:
    """What a client goes by that trusts the authority, and shows a certificate of its own if it has one."""
    context = ssl.create_default_context(cafile=authority.path)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context
