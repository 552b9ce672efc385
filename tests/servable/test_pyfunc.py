"""A model in a process of its own may do what it likes: what asks it gets an answer or a declared error, in time."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests import mlflow_models as does
from tests.mlflow_models import signature, write_obedient

from fairlead.errors import Code, FairleadError
from fairlead.servable.pyfunc import program
from fairlead.servable.pyfunc.layout import LAYOUT_FILE, Layout
from fairlead.servable.pyfunc.place import Place
from fairlead.servable.pyfunc.process import Conditions
from fairlead.servable.pyfunc.servable import PyfuncServable
from fairlead.servable.servable import NoAnswerError
from fairlead.servable.signature import Array, Signature, TensorSpec

CONDITIONS = Conditions(run_s=60.0, memory_bytes=2**32)
SPECS = (TensorSpec(name="x", dtype="float32", shape=(-1, 2)),)
SIGNATURE = Signature(inputs=SPECS, outputs=(replace(SPECS[0], name="output"),))


def version(folder: Path) -> Path:
    """A version with the obedient model in it."""
    write_obedient(folder / "model", signature())
    (folder / "1").mkdir()
    Layout(form="array", signature=SIGNATURE).lay_down(folder / "model", folder / "1")
    return folder / "1"


@pytest.fixture(scope="module")
def servable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PyfuncServable]:
    """It, up."""
    made = PyfuncServable(version(tmp_path_factory.mktemp("pyfunc")), CONDITIONS)
    yield made
    made.close()


def rows(word: int) -> dict[str, Array]:
    """Rows that ask for something."""
    return {"x": np.array([[word, 1], [2, 3]], np.float32)}


def answered(servable: PyfuncServable) -> Array:
    """What it says of plain rows, once its process is there."""
    deadline = time.monotonic() + 120
    while True:
        with suppress(NoAnswerError):
            return servable.predict(rows(0))["output"]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children() -> list[psutil.Process]:
    """The processes of models that this one has."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that ends meanwhile
            found += [child] if program.__file__ in child.cmdline() else []
    return found


def test_it_answers(servable: PyfuncServable) -> None:
    """In the dtype and shape of its signature; what it prints is nobody's answer."""
    np.testing.assert_array_equal(servable.predict(rows(0))["output"], [[0, 2], [4, 6]])
    np.testing.assert_array_equal(servable.predict(rows(does.CHAT))["output"], [[20, 2], [4, 6]])
    assert servable.predict(rows(0), []) == {}
    assert servable.peak_bytes > 0


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        (does.NAN, Code.INTERNAL, "the model's 'output' holds numbers that are not finite"),
        (does.SHAPE, Code.INTERNAL, r"answered 'output' float32\[1, 2\] for 2 rows, and its signature says"),
        (does.KIND, Code.INTERNAL, "TypeError: 'output' holds complex64, which are neither numbers nor texts"),
        (does.REFUSE, Code.INVALID_ARGUMENT, "the model refused the input: ValueError: rows like these are not taken"),
        (does.FAIL, Code.INTERNAL, "the model failed: RuntimeError: a bug"),
        (does.EAT, Code.INTERNAL, "MemoryError"),
    ],
)
def test_what_is_no_answer_is_an_error(servable: PyfuncServable, word: int, code: Code, said: str) -> None:
    """For the rows that it was asked with; its process is as it was."""
    before = children()
    with pytest.raises(FairleadError, match=said) as caught:
        servable.predict(rows(word))

    assert caught.value.code is code
    assert not isinstance(caught.value, NoAnswerError)
    np.testing.assert_array_equal(servable.predict(rows(0))["output"], [[0, 2], [4, 6]])
    assert children() == before


def test_a_process_that_ends_is_started_anew(servable: PyfuncServable) -> None:
    """Who asked it is told why there is no answer, and nobody to blame; the next ones are answered."""
    before = children()
    with pytest.raises(NoAnswerError, match="process ended: killed by SIGABRT, the last words") as caught:
        servable.predict(rows(does.CRASH))

    assert caught.value.code is Code.INTERNAL
    np.testing.assert_array_equal(answered(servable), [[0, 2], [4, 6]])
    assert children() != before
    assert len(children()) == 1


def test_a_process_that_hangs_is_ended(tmp_path: Path) -> None:
    """At the deadline of a run; then it is as with one that ended by itself."""
    others = children()
    with closing(PyfuncServable(version(tmp_path), replace(CONDITIONS, run_s=2.0))) as servable:
        (hanging,) = [child for child in children() if child not in others]
        with pytest.raises(NoAnswerError, match="the model's process did not answer in time") as caught:
            servable.predict(rows(does.HANG))

        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert not hanging.is_running()
        np.testing.assert_array_equal(answered(servable), [[0, 2], [4, 6]])


def test_it_is_confined(servable: PyfuncServable) -> None:
    """Memory and files are bounded, it gains no rights, and it is nowhere near the server's secrets."""
    (child,) = children()
    limits = {name: child.rlimit(getattr(psutil, name))[0] for name in ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE")}
    status = Path(f"/proc/{child.pid}/status").read_text()

    assert answered(servable).shape == (2, 2)
    assert limits["RLIMIT_AS"] < 2 * CONDITIONS.memory_bytes
    assert limits["RLIMIT_FSIZE"] == 2**26
    assert limits["RLIMIT_CORE"] == 0
    assert "NoNewPrivs:\t1" in status
    assert not [name for name in child.environ() if name.startswith(("FAIRLEAD_", "MLFLOW_TRACKING", "AWS_"))]


def test_nothing_is_left_of_one_that_was_closed(servable: PyfuncServable) -> None:
    """No process, and no files; who asks all the same is told."""
    (child,) = children()
    place = Path(child.cmdline()[-1])
    assert place.is_dir()
    servable.close()

    deadline = time.monotonic() + 60
    while place.exists() or child.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(NoAnswerError):
        servable.predict(rows(0))


def damaged_path(path: Path) -> None:
    """A file that lies elsewhere."""
    path.write_text(path.read_text().replace('"MLmodel"', '"../MLmodel"'))


def no_paths(path: Path) -> None:
    """No files."""
    path.write_text("{}")


@pytest.mark.parametrize("damage", [damaged_path, no_paths, Path.unlink])
def test_a_layout_stays_in_its_directory(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Or it is refused, before there is a process."""
    made = version(tmp_path)
    damage(made / LAYOUT_FILE)

    with pytest.raises(FairleadError, match=r"pyfunc.json does not say how its model lies") as caught:
        PyfuncServable(made, CONDITIONS)
    assert caught.value.code is Code.DATA_LOSS


def test_a_model_that_does_not_load_is_refused(tmp_path: Path) -> None:
    """With what Python says."""
    made = version(tmp_path)
    names = {path: name for name, path in Layout.read(made).paths.items()}
    (made / names["code/obedient_model.py"]).write_text("import nothing_of_the_kind")

    with pytest.raises(
        FairleadError, match="does not load: ModuleNotFoundError: No module named 'nothing_of_the"
    ) as caught:
        PyfuncServable(made, CONDITIONS)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "FAIRLEAD_PYTHON_MODEL_INTERPRETER" in caught.value.hint


def test_another_interpreter_runs_it(tmp_path: Path) -> None:
    """One that has MLflow and what the model requires, and nothing of Fairlead's; a path to no program is refused."""
    made, interpreter = version(tmp_path), tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} -E "$@"\n')
    with pytest.raises(FairleadError, match="is no interpreter of Python"):
        PyfuncServable(made, replace(CONDITIONS, interpreter=interpreter))
    interpreter.chmod(0o755)
    others = children()

    with closing(PyfuncServable(made, replace(CONDITIONS, interpreter=interpreter))) as servable:
        (child,) = [child for child in children() if child not in others]
        assert "-E" in child.cmdline()
        np.testing.assert_array_equal(servable.predict(rows(0))["output"], [[0, 2], [4, 6]])


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(3, 2), np.float32(1), np.zeros((0, 3)), np.array(["ä", ""], object)]
)
def test_words_arrive_as_they_were_said(array: Array) -> None:
    """Numbers of any type and shape, and texts."""
    said = bytearray()
    program.send(said.extend, {"do": "run"}, {"x": array})
    head, tensors = program.receive(lambda size: bytearray(said.pop(0) for _ in range(size)))

    assert head["do"] == "run"
    np.testing.assert_array_equal(tensors["x"], array)
    assert tensors["x"].dtype == np.asarray(array).dtype


def test_what_a_killed_owner_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever makes the next place; not what somebody holds, nor what is not settled, nor what a link leads to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held = Place()
    left, fresh, link = (tmp_path / f"fairlead-model-{name}" for name in ("left", "fresh", "link"))
    elsewhere = tmp_path / "elsewhere"
    for path in (left, fresh, elsewhere):
        path.mkdir()
        (path / "model.pkl").touch()
    link.symlink_to(elsewhere)
    for path in (left, held.path, elsewhere):
        os.utime(path, (0, 0))
    os.utime(link, (0, 0), follow_symlinks=False)
    os.utime(fresh, (2**32, 2**32))
    with closing(Place()) as other:
        assert {*tmp_path.iterdir()} == {held.path, fresh, link, other.path, elsewhere}
    held.close()

    assert (elsewhere / "model.pkl").exists()
    assert not held.path.exists()
    assert not other.path.exists()
