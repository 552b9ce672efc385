"""Which files are taken for a port's TLS, and what is said of the others."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from tests.certificates import Authority, Pair

from fairlead.errors import Code, FairleadError
from fairlead.transport.tls.files import TlsFiles
from fairlead.transport.tls.followed import FollowedTls

DAY_S = 86400


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path)


def files(pair: Pair, client_ca: Path | None = None) -> TlsFiles:
    """The files of a server."""
    return TlsFiles(certificate=pair.certificate, key=pair.key, client_ca=client_ca)


def refusal(what: TlsFiles) -> FairleadError:
    """Why they are not taken."""
    with pytest.raises(FairleadError) as refused:
        what.load("h2")
    return refused.value


def test_a_good_pair_is_taken_with_its_dates(authority: Authority) -> None:
    """No version below 1.2 is spoken, and no certificate is asked for unless a client's authority is named."""
    loaded = files(authority.issue("server")).load("h2")
    assert loaded.certificate.names == ("localhost", "127.0.0.1")
    assert loaded.certificate.ends - time.time() == pytest.approx(90 * DAY_S, abs=60)
    assert time.time() - loaded.certificate.begins == pytest.approx(DAY_S, abs=60)
    assert loaded.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert loaded.context.verify_mode is ssl.CERT_NONE
    assert files(authority.issue("server"), authority.path).load("h2").context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_whose_time_is_not_now_is_refused_with_its_date(authority: Authority) -> None:
    """Over, or not yet come."""
    old = authority.issue("old", begins_days=-9, ends_days=-0.5)
    ended = x509.load_pem_x509_certificate(old.certificate.read_bytes()).not_valid_after_utc
    over = refusal(files(old))
    assert over.code is Code.FAILED_PRECONDITION
    assert over.message == f"the certificate in {old.certificate} ended at {ended:%Y-%m-%d %H:%M} UTC"
    early = refusal(files(authority.issue("early", begins_days=2)))
    assert early.code is Code.FAILED_PRECONDITION
    assert "only" in early.message


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666, 0o777])
def test_a_key_that_others_may_use_is_refused(authority: Authority, mode: int) -> None:
    """With the command that puts it right."""
    pair = authority.issue("server")
    pair.key.chmod(mode)
    refused = refusal(files(pair))
    assert refused.code is Code.FAILED_PRECONDITION
    assert f"mode {mode:04o}" in refused.message
    assert f"chmod 600 {pair.key}" in refused.hint


def test_what_is_no_certificate_or_no_key_of_it_is_refused(authority: Authority, tmp_path: Path) -> None:
    """Nothing of a key is repeated, and nobody is asked for its password."""
    server, other = authority.issue("server"), authority.issue("other")
    hidden, client = authority.issue("hidden", password=b"secret"), authority.issue("client", is_client=True)
    (tmp_path / "empty").touch(mode=0o600)
    empty, none = tmp_path / "empty", tmp_path / "none"
    for pair in (Pair(server.certificate, other.key), Pair(empty, server.key), Pair(server.certificate, empty), hidden):
        refused = refusal(files(pair))
        assert refused.code is Code.INVALID_ARGUMENT
        assert "no certificate and its private key" in refused.message
    assert "would not take" in refusal(files(client)).message
    for pair in (Pair(none, server.key), Pair(server.certificate, none)):
        refused = refusal(files(pair))
        assert (refused.code, f"{none} cannot be read" in refused.message) == (Code.FAILED_PRECONDITION, True)
    assert "no certificate of whoever signs" in refusal(files(server, empty)).message
    assert "cannot be read" in refusal(files(server, none)).message


def test_new_files_are_taken_and_broken_ones_leave_the_old(authority: Authority) -> None:
    """Half of a pair, one whose time is over, nonsense, and none at all; what is put right is taken."""
    second = 0.0
    pair = authority.issue("server")
    tls = FollowedTls(files(pair), "h2", clock=lambda: second)
    first, context = tls.certificate, tls.context()

    def look() -> str:
        """What is said of the files once they were looked at."""
        nonlocal second
        second += 1
        tls.look()
        return str(tls.fault or "")

    assert look() == ""
    assert tls.context() is context
    renewed = authority.issue("renewed", ends_days=200)
    pair.key.write_bytes(renewed.key.read_bytes())
    assert "no certificate and its private key" in look()
    assert (tls.certificate, tls.context()) == (first, context)
    pair.certificate.write_bytes(renewed.certificate.read_bytes())
    assert look() == ""
    assert tls.certificate.ends > first.ends + 100 * DAY_S
    second_context = tls.context()
    assert second_context is not context
    over = authority.issue("over", begins_days=-9, ends_days=-1)
    for path, source in ((pair.key, over.key), (pair.certificate, over.certificate)):
        path.write_bytes(source.read_bytes())
    assert "ended at" in look()
    pair.certificate.write_text("nonsense")
    assert look() != ""
    pair.certificate.unlink()
    assert "cannot be read" in look()
    assert tls.context() is second_context
    for path, source in ((pair.key, renewed.key), (pair.certificate, renewed.certificate)):
        path.write_bytes(source.read_bytes())
    assert look() == ""
    assert tls.context() is not second_context
