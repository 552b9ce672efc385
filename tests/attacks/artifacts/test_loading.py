"""What a hostile model may not do to a server: it is refused with the reason, and the one before goes on serving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.files import write_file
from fairlead.testing import DIGIT_SIGNATURE, publish_digit

from .conftest import Target
from .kinds import CANARY, FILES, MODELS, SECRET, write_external, write_good

Write = Callable[[Path], None]


def publish(target: Target, model: str, directory: Path, runtime: str = "onnx") -> ServableId:
    """Publish what is in the directory as the next version, and make it stable: its digests are right."""

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model=model,
            version=version,
            runtime=runtime,
            signature=DIGIT_SIGNATURE,
            labels=(),
            files=files,
            created_at=datetime.now(UTC),
        )

    id_ = target.store.publish(model, {path.name: path for path in directory.iterdir()}, describe).manifest.id
    target.store.promote(id_, why="an attack")
    return id_


def check_no_trace(target: Target, before: int, *places: Path) -> None:
    """No code was run, nothing was written outside of the store, and the worker's memory has hardly grown."""
    assert not [path for place in places for path in place.rglob(CANARY)]
    assert [path.name for path in target.outside.iterdir()] == [SECRET]
    assert target.peak_bytes() < before + 64 * 2**20


@pytest.mark.parametrize(("name", "write", "reason"), MODELS, ids=[row[0] for row in MODELS])
def test_a_published_version(target: Target, tmp_path: Path, name: str, write: Write, reason: str) -> None:
    """Is refused whatever its digests say."""
    model = f"published-{name}"
    target.store.promote(publish_digit(target.store, model, 7).manifest.id, why="")
    target.wait_up(model, 1)
    write_good(tmp_path / "made")
    write(tmp_path / "made")
    before = target.peak_bytes()
    publish(target, model, tmp_path / "made")

    assert reason in target.refusal(model, 2)
    assert target.digit(model) == 7
    check_no_trace(target, before, tmp_path)


@pytest.mark.parametrize(("name", "write", "reason"), FILES, ids=[row[0] for row in FILES])
def test_a_plain_version(target: Target, tmp_path: Path, name: str, write: Write, reason: str) -> None:
    """Is refused too, where there is neither manifest nor release: by what is in its directory."""
    base = target.store.root / f"plain-{name}"
    write_good(base / "1", digit=5)
    target.wait_up(base.name, 1)
    (base / SECRET).write_bytes(bytes(40))
    made = tmp_path / "2"
    write_good(made)
    (tmp_path / SECRET).hardlink_to(base / SECRET)
    write(made)
    before = target.peak_bytes()
    made.rename(base / "2")

    assert reason in target.refusal(base.name, 2)
    assert target.digit(base.name) == 5
    check_no_trace(target, before, tmp_path, base)


@pytest.mark.parametrize("runtime", ["python", "pickle", "os"])
def test_a_model_in_python(target: Target, tmp_path: Path, runtime: str) -> None:
    """Is none: there is no runtime that runs a version's own code, whatever a manifest calls it."""
    model = f"runtime-{runtime}"
    target.store.promote(publish_digit(target.store, model, 7).manifest.id, why="")
    target.wait_up(model, 1)
    write_good(tmp_path)
    (tmp_path / "model.py").write_text(f"open({str(tmp_path / CANARY)!r}, 'w')")
    publish(target, model, tmp_path, runtime)

    assert f"needs the runtime {runtime!r}; this process has onnx, tensorflow" in target.refusal(model, 2)
    assert target.digit(model) == 7
    assert not (tmp_path / CANARY).exists()


def test_a_version_that_is_a_link(target: Target, tmp_path: Path) -> None:
    """Its files are those of another place, which nobody allowed."""
    base = target.store.root / "linked"
    write_good(base / "1", digit=5)
    target.wait_up("linked", 1)
    write_good(tmp_path / "elsewhere")
    (base / "2").symlink_to(tmp_path / "elsewhere")

    assert "2 is refused: it is a link that leads out of its model" in target.refusal("linked", 2)
    assert target.digit("linked") == 5


def test_a_flipped_byte(target: Target) -> None:
    """Of any file of a version is found before the file is read for anything else."""
    directory = publish_beside_good(target, "flipped")
    path = directory / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    force_stable(target, "flipped")

    assert "has the SHA-256" in target.refusal("flipped", 2)
    assert target.digit("flipped") == 7


def test_a_flipped_byte_of_the_manifest(target: Target) -> None:
    """A class with another's name would be wrong answers that look right."""
    path = publish_beside_good(target, "sealed") / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"7"', b'"1"', 1))
    force_stable(target, "sealed")

    assert "manifest.json is not a manifest: ValueError: it was changed" in target.refusal("sealed", 2)
    assert target.digit("sealed") == 7


def test_a_file_that_is_not_listed(target: Target) -> None:
    """Is nobody's, and the version with it."""
    directory = publish_beside_good(target, "more")
    (directory / "extra.txt").write_text("x")
    force_stable(target, "more")

    assert "holds ['extra.txt', 'golden.npz', 'model.onnx'] but its manifest lists" in target.refusal("more", 2)
    assert target.digit("more") == 7


def publish_beside_good(target: Target, model: str) -> Path:
    """The directory of a good second version, beside the first, which serves."""
    target.store.promote(publish_digit(target.store, model, 7).manifest.id, why="")
    target.wait_up(model, 1)
    return publish_digit(target.store, model, 4).directory


def force_stable(target: Target, model: str) -> None:
    """Release the second version behind the store's back, which would refuse it."""
    release = target.store.root / model / "release.json"
    write_file(release, release.read_bytes().replace(b'"stable": 1', b'"stable": 2'))


def test_values_beside_the_model_are_served(target: Target, tmp_path: Path) -> None:
    """External data as exporters write it is no attack: a file of the version, under its digest."""
    write_good(tmp_path, digit=4)
    write_external(tmp_path, "weights.bin")
    scores = [0.01] * 4 + [0.91] + [0.01] * 5
    (tmp_path / "weights.bin").write_bytes(np.array(scores, "<f4").tobytes())
    publish(target, "external", tmp_path)
    target.wait_up("external", 1)

    assert target.digit("external") == 4
