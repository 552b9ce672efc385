"""An authority that signs certificates of every kind, also of those that nobody should take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Pair"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Files in PEM: a certificate, and its key of mode 0600."""

    certificate: Path
    key: Path

    def replace(self, other: Pair) -> None:
        """Have the other one in this one's place, the key first, as whatever renews certificates might."""
        other.key.replace(self.key)
        other.certificate.replace(self.certificate)


class Authority:
    """Signs in a directory; its own certificate is `path`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = self._begun(self._name, self._key.public_key(), now - _DAY, now + 365 * _DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(
        self,
        name: str,
        *,
        begins_days: float = -1,
        ends_days: float = 90,
        is_client: bool = False,
        password: bytes = b"",
    ) -> Pair:
        """A certificate of this machine's for a server, or one for a client called so, from and until days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._begun(subject, key.public_key(), now + begins_days * _DAY, now + ends_days * _DAY)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if is_client else ExtendedKeyUsageOID.SERVER_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        made = made.add_extension(names, critical=False)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}-key.pem")
        pair.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        pair.key.touch(mode=0o600)
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
        return pair

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return made.add_extension(own, critical=False)


def _pem(certificate: x509.Certificate) -> bytes:
    return bytes(certificate.public_bytes(serialization.Encoding.PEM))
