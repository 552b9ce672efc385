"""Signatures of versions, made and checked by OpenSSF's model-signing in a process of its own.

A process of its own because the library takes 60 MB and a third of a second, and is needed for a moment at each load:
`python -m fairlead.store.signing`. What it signs is every file of the version, its manifest among them.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.store import files

__all__ = ["SIGNATURE_FILE", "SigningKey", "TrustedKeys"]

SIGNATURE_FILE: Final = "model.sig"
"""As the library's own command calls it."""

_OTHERS = 0o077
_TIMEOUT_S = 600
_UNSIGNED = frozenset({SIGNATURE_FILE, ".git", ".gitignore", ".gitattributes", ".github"})
"""What a signature may leave out: itself, and what the library's own command always does."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key on an elliptic curve, in a PEM file that only its owner reads."""

    path: Path

    def sign(self, directory: Path, target: Path) -> None:
        """Write the signature of all files in `directory` to `target`.

        Raises:
            FairleadError: FAILED_PRECONDITION when others may read the key, it is none, or the library is missing.
        """
        self.check()
        _run({"sign": str(directory), "key": str(self.path), "target": str(target)})

    def check(self) -> None:
        """Raise unless the key is there, for its owner alone, and the library as well.

        Raises:
            FairleadError: NOT_FOUND or FAILED_PRECONDITION.
        """
        _require_library()
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except OSError as error:
            raise FairleadError(
                Code.NOT_FOUND, f"the signing key {self.path} cannot be read: {error.strerror}"
            ) from error
        if mode & _OTHERS:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the signing key {self.path} has the mode {mode:o}: others may read it",
                hint=f"chmod 600 {self.path}",
            )


class TrustedKeys:
    """The public keys one of which must have signed a version before anything is made of it.

    Args:
        places: PEM files, or directories of them; read anew each time.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places

    def check(self, directory: Path) -> None:
        """Raise unless the version in `directory` was signed with one of the keys and not changed since.

        Raises:
            FairleadError: FAILED_PRECONDITION with the reason.
        """
        if problem := self.problems([directory])[directory]:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{directory} is not served: {problem}",
                hint="fairlead sign MODEL@VERSION --key FILE",
            )

    def problems(self, directories: Sequence[Path]) -> Mapping[Path, str]:
        """What is wrong with the signature of each version; empty where nothing is.

        Raises:
            FairleadError: FAILED_PRECONDITION when there is no key to check with, or the library is missing.
        """
        keys = [str(path) for path in self.keys()]
        found = {directory: _signature_problem(directory) for directory in directories}
        asked = [directory for directory, problem in found.items() if not problem]
        if asked:
            answer = _run({"verify": [str(directory) for directory in asked], "keys": keys})
            found |= dict(zip(asked, answer["problems"], strict=True))
        return found

    def keys(self) -> tuple[Path, ...]:
        """The files with the keys.

        Raises:
            FairleadError: FAILED_PRECONDITION when there is none, one holds something else, or the library is missing.
        """
        _require_library()
        paths: list[Path] = []
        for place in self._places:
            paths += [path for path in sorted(place.iterdir()) if path.is_file()] if place.is_dir() else [place]
        for path in paths:
            _check_public(path)
        if not paths:
            told = ", ".join(map(str, self._places))
            raise FairleadError(Code.FAILED_PRECONDITION, f"versions must be signed, and there is no key in {told}")
        return tuple(paths)


def _check_public(path: Path) -> None:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"the trusted key {path} cannot be read: {error.strerror}"
        ) from error
    if b"PRIVATE KEY" in text:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{path} is a private key: whoever only checks signatures must not have it",
            hint=f"openssl ec -in {path} -pubout",
        )
    if b"-----BEGIN PUBLIC KEY-----" not in text:
        raise FairleadError(Code.FAILED_PRECONDITION, f"the trusted key {path} is no public key in PEM")


def _signature_problem(directory: Path) -> str:
    """What can be said of a signature without the library."""
    try:
        files.read_file(directory / SIGNATURE_FILE)
    except FileNotFoundError:
        return f"it is not signed: there is no {SIGNATURE_FILE}"
    except OSError as error:
        return f"its {SIGNATURE_FILE} cannot be read: {error.strerror}"
    except FairleadError as error:
        return error.message
    return ""


def _require_library() -> None:
    if importlib.util.find_spec("model_signing") is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "signatures need the library model-signing, which is not installed",
            hint="pip install 'fairlead[signing]'",
        )


def _run(order: Mapping[str, Any]) -> dict[str, Any]:
    """What a process with the library answers."""
    command = [sys.executable, "-m", "fairlead.store.signing"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=json.dumps(order), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FairleadError(Code.DEADLINE_EXCEEDED, f"a signature took more than {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FairleadError(Code.FAILED_PRECONDITION, f"the process for signatures failed: {last}")
    return dict(json.loads(done.stdout.splitlines()[-1]))  # the library prints warnings before


def _sign(directory: Path, key: Path, target: Path) -> None:
    from model_signing import hashing, signing  # noqa: PLC0415 - only this process has it

    files_of_version = hashing.Config().set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)
    config = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(files_of_version)
    config.sign(directory, target)


def _problem(directory: Path, keys: Sequence[Path]) -> str:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - comes with the library
    from model_signing import verifying  # noqa: PLC0415 - as above

    signature = directory / SIGNATURE_FILE
    reason = f"its signature is by none of the {len(keys)} trusted keys"
    for key in keys:
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=key).verify(directory, signature)
        except InvalidSignature:
            reason = f"its signature is not the one that {key.name} made"
        except Exception as error:  # noqa: BLE001 - a damaged signature raises many kinds
            if "Key mismatch" not in str(error):
                reason = _worded(error)
        else:
            left_out = _left_out(signature) - _UNSIGNED
            return f"its signature leaves out {', '.join(sorted(left_out))}" if left_out else ""
    return reason


def _worded(error: Exception) -> str:
    """Why a signature by a trusted key does not hold; the library shows its own objects."""
    if not str(error).startswith("Signature mismatch"):
        return f"its signature cannot be read: {type(error).__name__}: {str(error)[:200]}"
    changed = re.findall(r"Hash mismatch for \\?'([^'\\]*)", str(error))
    return f"it was changed after it was signed: {', '.join(changed) or 'it has other files'}"


def _left_out(signature: Path) -> set[str]:
    """What a signature that holds says that it does not cover."""
    statement = json.loads(base64.b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]))
    return set(statement["predicate"]["serialization"].get("ignore_paths", ()))


def _answer(order: Mapping[str, Any]) -> dict[str, Any]:
    if "sign" in order:
        _sign(Path(order["sign"]), Path(order["key"]), Path(order["target"]))
        return {}
    keys = [Path(key) for key in order["keys"]]
    return {"problems": [_problem(Path(directory), keys) for directory in order["verify"]]}


if __name__ == "__main__":
    print(json.dumps(_answer(json.load(sys.stdin))))  # noqa: T201 - the answer to the parent process
