"""Plain trees: which directories are versions, and when they are whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.plain import QuietVersions, plain_versions, runtime_of
from fairlead.store.store import Store


def write(base: Path, name: str, file: str = "model.onnx") -> Path:
    """A directory `name` with an empty model file in it."""
    directory = base / name
    (directory / file).parent.mkdir(parents=True)
    (directory / file).touch()
    return directory


@dataclass
class Clock:
    """Two clocks that the test moves on; the wall shows real time, since the files do."""

    now: float = 0.0
    wall: float = 0.0

    def pass_(self, seconds: float) -> None:
        """Move both."""
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock() -> Clock:
    """The monotonic clock at 0, the wall long before any file of the test, so that none looks old."""
    return Clock()


@pytest.fixture
def quiet(clock: Clock) -> QuietVersions:
    """Versions are whole after two seconds."""
    return QuietVersions(2.0, monotonic=lambda: clock.now, wall=lambda: clock.wall)


def test_versions_are_directories_with_a_number_and_a_model(tmp_path: Path) -> None:
    """Leading zeros are none of the number; files, other names and directories without a model are nothing."""
    write(tmp_path, "00000123")
    write(tmp_path, "7", "saved_model.pb")
    write(tmp_path, "0", "saved_model.pbtxt")
    for name in ("1.5", "-3", "v4", "٣", ".9", str(2**63), "tmp"):
        write(tmp_path, name)
    (tmp_path / "5").touch()
    (tmp_path / "6" / "variables").mkdir(parents=True)

    assert plain_versions(tmp_path) == {123: tmp_path / "00000123", 7: tmp_path / "7", 0: tmp_path / "0"}


def test_of_two_names_for_one_number_one_counts(tmp_path: Path) -> None:
    """And always the same."""
    write(tmp_path, "3")
    write(tmp_path, "003")

    assert plain_versions(tmp_path) == {3: tmp_path / "003"}


def test_a_base_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is not the same as one without versions."""
    with pytest.raises(FileNotFoundError):
        plain_versions(tmp_path / "nope")


def test_the_runtime_is_found_from_the_files(tmp_path: Path) -> None:
    """What TensorFlow and Triton call them."""
    assert runtime_of(write(tmp_path, "1", "saved_model.pb")) == "tensorflow"
    assert runtime_of(write(tmp_path, "2", "saved_model.pbtxt")) == "tensorflow"
    assert runtime_of(write(tmp_path, "3", "model.onnx")) == "onnx"
    assert runtime_of(tmp_path) is None


def test_a_store_of_plain_models_is_a_store(tmp_path: Path) -> None:
    """It has models, though no published version."""
    write(tmp_path / "half", "1")
    store = Store(tmp_path)
    store.check()

    assert store.models() == ("half",)
    assert store.versions("half") == ()
    with pytest.raises(FairleadError, match="no version of 'half' in") as caught:
        store.manifest(ServableId("half", 1))
    assert caught.value.code is Code.NOT_FOUND


def test_a_version_is_taken_when_its_files_have_rested(tmp_path: Path, quiet: QuietVersions, clock: Clock) -> None:
    """And not before."""
    write(tmp_path, "1")

    assert quiet.read(tmp_path) == {}
    clock.pass_(1.9)
    assert quiet.read(tmp_path) == {}
    clock.pass_(0.2)
    assert quiet.read(tmp_path) == {1: tmp_path / "1"}


def test_each_change_starts_the_wait_anew(tmp_path: Path, quiet: QuietVersions, clock: Clock) -> None:
    """A file that grows, one that is added in a folder, one that goes, one that is touched."""
    directory = write(tmp_path, "1", "saved_model.pb")

    def grow() -> None:
        (directory / "saved_model.pb").write_bytes(b"more")

    def add() -> None:
        (directory / "variables").mkdir()
        (directory / "variables" / "variables.index").touch()

    def remove() -> None:
        (directory / "variables" / "variables.index").unlink()

    def touch() -> None:
        os.utime(directory / "saved_model.pb", (1, 1))

    quiet.read(tmp_path)
    for change in (grow, add, remove, touch):
        clock.pass_(1.9)
        change()
        assert quiet.read(tmp_path) == {}
    clock.pass_(1.9)
    assert quiet.read(tmp_path) == {}
    clock.pass_(0.2)
    assert quiet.read(tmp_path) == {1: directory}


def test_files_that_are_old_already_need_no_wait(tmp_path: Path, clock: Clock, quiet: QuietVersions) -> None:
    """A server that starts over a tree of yesterday serves it at once."""
    directory = write(tmp_path, "1")
    clock.wall = directory.stat().st_ctime + 2.1

    assert quiet.read(tmp_path) == {1: directory}


def test_old_times_that_a_copy_brought_along_prove_nothing(tmp_path: Path, quiet: QuietVersions, clock: Clock) -> None:
    """`cp -p` and rsync set the time of modification; that of the change is the kernel's."""
    directory = write(tmp_path, "1")
    clock.wall = directory.stat().st_ctime + 1.0
    os.utime(directory / "model.onnx", (1, 1))
    os.utime(directory, (1, 1))

    assert quiet.read(tmp_path) == {}


def test_a_whole_version_stays_so_until_it_goes(tmp_path: Path, quiet: QuietVersions, clock: Clock) -> None:
    """A change within it does nothing; when it comes back it is new."""
    directory = write(tmp_path, "1")
    quiet.read(tmp_path)
    clock.pass_(3)
    assert quiet.read(tmp_path) == {1: directory}
    (directory / "more").touch()
    assert quiet.read(tmp_path) == {1: directory}
    away = directory.rename(tmp_path / "away")
    assert quiet.read(tmp_path) == {}
    away.rename(directory)

    assert quiet.read(tmp_path) == {}
    clock.pass_(3)
    assert quiet.read(tmp_path) == {1: directory}


def test_two_trees_do_not_disturb_each_other(tmp_path: Path, quiet: QuietVersions, clock: Clock) -> None:
    """Each has its own versions of the same number."""
    one, two = write(tmp_path / "one", "1"), write(tmp_path / "two", "1")
    quiet.read(one.parent)
    quiet.read(two.parent)
    clock.pass_(3)

    assert (quiet.read(one.parent), quiet.read(two.parent)) == ({1: one}, {1: two})
    assert quiet.read(one.parent) == {1: one}
