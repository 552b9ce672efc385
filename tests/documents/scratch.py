"""A set-up in which the commands of the documentation work as they stand."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jwt
import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pyarrow import parquet
from tests.certificates import Authority
from tests.cli.conftest import Server
from tests.cli.logged import Logged

from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.testing import publish_digit, write_digit_model

__all__ = ["Scratch"]

ROOT = Path(__file__).parents[2]
_IMAGE = json.dumps(np.zeros((1, 28, 28, 1)).tolist())


@dataclass(kw_only=True)
class Scratch:
    """A folder with a store of digits (1 serves, 2 is the challenger), a database, keys, certificates and files.

    Attributes:
        folder: where a user stands.
        keyed: a home with keys; that of the folder has none.
        key: one of them, which may do everything.
        key_id: by which another is known.
        issuer: where the folder is published, keys of an issuer of tokens among it.
        running: the servers that were started, by the command.
        jobs: numbers for directories of their own.
    """

    folder: Path
    keyed: Path
    key: str
    key_id: str
    issuer: str
    running: dict[str, Server] = field(default_factory=dict)
    jobs: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def begin(cls, folder: Path, patch: pytest.MonkeyPatch, picture: bytes, issuer: str) -> Scratch:
        """With nothing running, and the environment of this process as a user's would be."""
        live = Logged.begin(folder, patch)
        (folder / ".fairlead").symlink_to("home")
        patch.chdir(folder)
        for name in ("REST", "GRPC", "MANAGEMENT"):
            patch.setenv(f"FAIRLEAD_{name}_PORT", "0")
        patch.setenv("FAIRLEAD_WORKERS", "1")
        patch.setenv("FAIRLEAD_DEFAULT_MODEL", "digits")
        for digit in (7, 7, 3):
            publish_digit(live.store, "digits", digit)
        live.store.promote(live.id(1), why="first")
        live.store.promote(live.id(2), why="to be tried", label="challenger")
        labels = live.answer(20)
        rows = "".join(f"{label.prediction_id},{label.label}\n" for label in labels)
        (folder / "labels.csv").write_text(f"prediction_id,label\n{rows}")
        _write_inputs(folder, picture)
        _write_certificates(folder)
        keys = KeyFile(folder / "keyed" / "keys.json")
        (folder / "keyed").mkdir()
        _, text = keys.create("ann", frozenset({Scope.ADMIN}), lives_s=None)
        other, _ = keys.create("shop", frozenset({Scope.PREDICT}), lives_s=None)
        return cls(folder=folder, keyed=folder / "keyed", key=text, key_id=other.id, issuer=issuer)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Of a command that is started."""
        secrets = {"KEY": self.key, "API_KEY": self.key, "SECRET": "s" * 32}
        return {**os.environ, "FAIRLEAD_CONSOLE": "off", **more, **secrets}

    def real(self, line: str) -> str:
        """A command of the documents with names that exist here."""
        line = line.replace("MODEL", "digits").replace("s3://BUCKET/FOLDER", str(self.folder / "store"))
        line = line.replace("https://issuer.example/.well-known/jwks.json", f"{self.issuer}/issuer.json")
        line = line.replace("4k2m9x1q", self.key_id).replace(" /models", f" {self.folder}/models")
        line = line.replace("[[[[0.0], ...]]]", _IMAGE).replace("[[...]]", _IMAGE).replace("[...]", _IMAGE)
        line = re.sub(r" scored\b", f" scored-{next(self.jobs)}", line)
        picture = base64.b64encode((self.folder / "digit.png").read_bytes()).decode()
        return line.replace("<base64 of the file>", picture)

    def shell(self, line: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a line to its end."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, line: str) -> None:
        """Begin to serve by a command of the documents."""
        log = self.folder / f"server-{len(self.running)}.log"
        words = re.sub(r"\bfairlead serve", f"exec {sys.executable} -m fairlead.cli.main serve", line)
        home = self.keyed if "--host" in line else self.folder / "home"
        log_predictions = "on" if line == "fairlead serve" else "off"
        with log.open("wb") as writer:
            process = subprocess.Popen(
                ["sh", "-c", words],
                cwd=self.folder,
                env=self.environment({"FAIRLEAD_HOME": str(home), "FAIRLEAD_PREDICTION_LOG": log_predictions})
                | {"API_KEY": ""},
                stdout=writer,
                stderr=writer,
            )
        self.running[line] = Server(process=process, port=0, grpc_port=0, log=log)


def _write_inputs(folder: Path, picture: bytes) -> None:
    """A picture, rows, a folder of pictures, plain models."""
    for path in ("digit.png", "pictures/1.png", ".fairlead/samples/digits-1.png"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(picture)
    images = np.zeros((3, 784), np.float32)
    parquet.write_table(pa.table({"image": images.tolist()}), folder / "rows.parquet")
    (folder / ".fairlead" / "logs").mkdir()
    (folder / ".fairlead" / "logs" / "access.jsonl").write_text('{"request_id": "01a223b2-efc7-73d4"}\n')
    (folder / "pods.yaml").write_text("kind: Pod\n")
    (folder / "models" / "half" / "1").mkdir(parents=True)
    write_digit_model(folder / "models" / "half" / "1", 7)
    (folder / "models" / "models.config").write_text(
        f"model_config_list {{ config {{ name: 'half' base_path: '{folder}/models/half' model_platform: 'onnx' }} }}"
    )
    key = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    (folder / "issuer.json").write_text(json.dumps({"keys": [{**key, "kid": "first", "use": "sig"}]}))


def _write_certificates(folder: Path) -> None:
    """Those of the page on TLS."""
    authority = Authority(folder)
    pairs = {"tls": authority.issue("localhost"), "ann": authority.issue("ann", is_client=True)}
    for name, pair in pairs.items():
        pair.certificate.replace(folder / f"{name}.crt")
        pair.key.replace(folder / f"{name}.key")
    for name in ("ca.crt", "clients.crt"):
        (folder / name).write_bytes(authority.path.read_bytes())
