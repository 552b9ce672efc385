"""A certificate for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def write_certificate(directory: Path) -> None:
    """Write `certificate.pem`, for localhost and for 90 days, and its `key.pem`."""
    files = {"keyout": directory / "key.pem", "out": directory / "certificate.pem"}
    request = ["openssl", "req", "-x509", "-nodes", "-newkey", "ed25519", "-days", "90", "-subj", "/CN=localhost"]
    subprocess.run(
        [*request, *(part for name, path in files.items() for part in (f"-{name}", str(path)))],
        capture_output=True,
        check=True,
    )
