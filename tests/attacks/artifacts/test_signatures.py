"""A server that asks for signatures serves nothing without a good one, and what served before goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.cli.main import main
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.files import digest_file
from fairlead.store.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .conftest import Target, attacked
from .keys import make_keys
from .kinds import write_good

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two pairs of keys: those that are trusted, and an attacker's."""
    directory = tmp_path_factory.mktemp("keys")
    make_keys(directory, "ours")
    make_keys(directory, "theirs")
    return directory


@pytest.fixture(scope="module")
def target(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server that trusts one key."""
    with attacked(tmp_path_factory.mktemp("signed"), "--trusted-keys", str(keys / "ours.pub")) as target:
        yield target


@pytest.fixture(scope="module")
def signing(target: Target, keys: Path) -> WritableStore:
    """The server's store, which signs what is published; the first version of m is up."""
    store = WritableStore(
        target.store.root, now=target.store._now, who="tester", signing_key=SigningKey(keys / "ours.pem")
    )
    store.promote(publish_digit(store, "m", 7).manifest.id, why="")
    target.wait_up("m", 1)
    return store


def unsigned(directory: Path, keys: Path) -> None:
    """No signature at all."""
    (directory / SIGNATURE_FILE).unlink()


def signed_by_another(directory: Path, keys: Path) -> None:
    """The attacker's own signature."""
    SigningKey(keys / "theirs.pem").sign(directory, directory / SIGNATURE_FILE)


def signed_for_another(directory: Path, keys: Path) -> None:
    """The signature of the version that serves."""
    shutil.copy(directory.parent / "1" / SIGNATURE_FILE, directory)


def changed_with_its_manifest(directory: Path, keys: Path) -> None:
    """Another model, whose digests the attacker has put into the manifest."""
    write_good(directory, digit=0)
    manifest = Manifest.decode((directory / "manifest.json").read_bytes())
    digests = {name: digest_file(directory / name) for name in manifest.files}
    (directory / "manifest.json").write_bytes(replace(manifest, files=digests).encode())


def renamed(directory: Path, keys: Path) -> None:
    """Two classes change their names, and the manifest is sealed anew."""
    path = directory / "manifest.json"
    path.write_bytes(replace(Manifest.decode(path.read_bytes()), labels=tuple("0723456189")).encode())


def no_signature(directory: Path, keys: Path) -> None:
    """A file of that name."""
    (directory / SIGNATURE_FILE).write_text('{"mediaType": "x"}')


ALL_FILES = "golden.npz, manifest.json, model.onnx"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (unsigned, "it is not signed: there is no model.sig"),
        (signed_by_another, "its signature is by none of the 1 trusted keys"),
        (signed_for_another, f"it was changed after it was signed: {ALL_FILES}"),
        (changed_with_its_manifest, f"it was changed after it was signed: {ALL_FILES}"),
        (renamed, "it was changed after it was signed: manifest.json"),
        (no_signature, "its signature cannot be read"),
    ],
)
def test_what_is_not_signed_well_is_not_served(
    target: Target, signing: WritableStore, keys: Path, spoil: Callable[[Path, Path], None], reason: str
) -> None:
    """Its status and the log say why, and the version before answers."""
    version = publish_digit(signing, "m", 4)
    spoil(version.directory, keys)
    signing.promote(version.manifest.id, why="an attack")

    assert reason in target.refusal("m", version.manifest.version)
    assert target.digit("m") == 7


def test_a_signature_that_comes_later_is_seen(target: Target, keys: Path) -> None:
    """The server tries again by itself."""
    id_ = publish_digit(target.store, "later", 4).manifest.id
    assert "it is not signed" in target.refusal("later", 1)
    assert main(["sign", str(id_), "--key", str(keys / "ours.pem"), "--store", str(target.store.root)]) == 0
    target.wait_up("later", 1)

    assert target.digit("later") == 4


def test_plain_versions_are_signed_as_the_library_does(target: Target, keys: Path) -> None:
    """With the command of model-signing, whose signature lies in the directory."""
    base = target.store.root / "plain"
    write_good(base / "1", digit=5)
    assert "it is not signed" in target.refusal("plain", 1)
    directory, signature, key = (str(path) for path in (base / "1", base / "1" / SIGNATURE_FILE, keys / "ours.pem"))
    command = [sys.executable, "-m", "model_signing", "sign", "key", directory]
    command += ["--signature", signature, "--private_key", key]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    target.wait_up("plain", 1)

    assert target.digit("plain") == 5


def test_the_commands_say_what_is_signed(store: WritableStore, keys: Path, capsys: Capture) -> None:
    """`fairlead versions` of all, `fairlead verify` of one, and `fairlead promote` before anything is released."""
    first, second = (str(publish_digit(store, "m", digit).manifest.id) for digit in (1, 2))
    trusted = ("--store", str(store.root), "--trusted-keys", str(keys / "ours.pub"))
    store.sign(ServableId("m", 1), SigningKey(keys / "ours.pem"))

    assert main(["versions", "m", *trusted]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "refused: it is not signed: there is no model.sig" in listed[1]
    assert "refused" not in listed[2]
    assert main(["verify", first, *trusted]) == 0
    assert capsys.readouterr().out == "m@1: 2 files, every byte as published, and signed with a trusted key\n"
    assert main(["verify", second, *trusted]) == 1
    assert "it is not signed" in capsys.readouterr().err
    assert main(["verify", second, "--store", str(store.root)]) == 0
    assert capsys.readouterr().out == "m@2: 2 files, every byte as published\n"
    assert main(["promote", "m", "2", *trusted]) == 1
    assert store.release("m") is None


def test_what_is_published_can_be_signed_at_once(store: WritableStore, keys: Path) -> None:
    """It appears with its signature, and a store that asks for one takes it."""
    signing = WritableStore(store.root, now=store._now, who="tester", signing_key=SigningKey(keys / "ours.pem"))
    version = publish_digit(signing, "m", 3)
    strict = WritableStore(store.root, now=store._now, who="tester", trusted=TrustedKeys([keys / "ours.pub"]))

    assert sorted(path.name for path in version.directory.iterdir()) == [
        "golden.npz", "manifest.json", "model.onnx", SIGNATURE_FILE,
    ]  # fmt: skip
    assert strict.promote(version.manifest.id, why="").stable == 1
    unsigned = publish_digit(store, "m", 4).manifest.id
    with pytest.raises(FairleadError, match="it is not signed"):
        strict.promote(unsigned, why="")


def test_a_private_key_that_others_may_read_is_not_used(store: WritableStore, tmp_path: Path) -> None:
    """It is nobody's secret any more, and nothing is signed."""
    private, _ = make_keys(tmp_path, "open")
    private.chmod(0o640)
    id_ = publish_digit(store, "m", 3).manifest.id
    with pytest.raises(FairleadError, match="has the mode 640: others may read it") as caught:
        store.sign(id_, SigningKey(private))

    assert caught.value.hint == f"chmod 600 {private}"
    assert not (store.root / "m" / "1" / SIGNATURE_FILE).exists()
    assert not [path for path in (store.root / "m").iterdir() if path.name.startswith(".incoming")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("-----BEGIN PRIVATE KEY-----", "is a private key: whoever only checks signatures must not have it"),
        ("nonsense", "is no public key in PEM"),
        (None, "there is no key in"),
    ],
)
def test_keys_that_cannot_be_trusted_are_told_at_the_start(
    tmp_path: Path, capsys: Capture, content: str | None, reason: str
) -> None:
    """Rather than with each version that is not served."""
    (tmp_path / "keys").mkdir()
    if content is not None:
        (tmp_path / "keys" / "a.pub").write_text(content)

    ports = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")
    assert main(["serve", *ports, "--store", str(tmp_path), "--trusted-keys", str(tmp_path / "keys")]) == 1
    assert reason in capsys.readouterr().err


def test_without_the_library_it_is_named(store: WritableStore, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every extra is."""
    id_ = publish_digit(store, "m", 3).manifest.id
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FairleadError) as caught:
        store.sign(id_, SigningKey(keys / "ours.pem"))

    assert (caught.value.code, caught.value.hint) == (Code.FAILED_PRECONDITION, "pip install 'fairlead[signing]'")
