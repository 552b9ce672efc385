"""A model from elsewhere is taken in after a first load that may break, or refused without a trace."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, save_model
from tests.cli.clients import wait_until

from fairlead.cli.main import main
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.testing import publish_digit

from .conftest import Target
from .kinds import CANARY, MODELS, SECRET, write_external, write_good

Write = Callable[[Path], None]
Capture = pytest.CaptureFixture[str]
IN_THE_FILE = [row for row in MODELS if row[0] not in ("library", "joblib", "array", "golden", "torch", "huge-input")]
"""The others are files beside the model, which an import leaves where they are."""
OPSETS = [helper.make_opsetid("", 18)]


def value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> object:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def write_greedy(directory: Path) -> None:
    """A model whose file is tiny and declares nothing, and that makes a hundred gigabytes of zeros when it runs."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    size = helper.make_tensor("size", TensorProto.INT64, [1], [25 * 10**9])
    graph = helper.make_graph(nodes, "greedy", [value("x", ["n"])], [value("y", ["n"])], [size])
    save_model(helper.make_model(graph, opset_imports=OPSETS, ir_version=9), str(directory / "model.onnx"))


def write_endless(directory: Path) -> None:
    """A model that adds for a million years."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("a", ["n"])],
        [value("go_on", [], TensorProto.BOOL), value("b", ["n"])],
    )
    times = helper.make_tensor("times", TensorProto.INT64, [], [10**15])
    loop = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)
    graph = helper.make_graph([loop], "endless", [value("x", ["n"])], [value("y", ["n"])], [times])
    save_model(helper.make_model(graph, opset_imports=OPSETS, ir_version=9), str(directory / "model.onnx"))


def write_zip(directory: Path) -> None:
    """An archive with paths that lead out of wherever it is unpacked."""
    with zipfile.ZipFile(directory / "model.onnx", "w") as archive:
        for name in (f"../{CANARY}", f"../../{CANARY}", f"/tmp/{CANARY}", "model.onnx"):
            archive.writestr(name, b"x")


def write_tar(directory: Path) -> None:
    """The same with a link that is written through, a hard link and a device."""
    with tarfile.open(directory / "model.onnx", "w:gz") as archive:
        for name, kind, link in (
            ("out", tarfile.SYMTYPE, ".."),
            (f"out/{CANARY}", tarfile.REGTYPE, ""),
            ("secret", tarfile.LNKTYPE, "/etc/passwd"),
            ("memory", tarfile.CHRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member, io.BytesIO())


@pytest.fixture(scope="module")
def serving(target: Target) -> Target:
    """The server, with a version of the model `imports` that is up."""
    target.store.promote(publish_digit(target.store, "imports", 7).manifest.id, why="")
    target.wait_up("imports", 1)
    return target


def order(target: Target, path: Path, *more: str, name: str = "imports") -> list[str]:
    """The command that imports the file."""
    home = str(target.outside.parent / "home")
    return ["import", str(path), "--name", name, "--store", str(target.store.root), "--home", home, *more]


def trace(target: Target) -> set[str]:
    """Everything that there is of the model, and of the import's workplace."""
    work = target.outside.parent / "home" / "work"
    return {str(path) for place in (target.store.base("imports"), work) for path in place.rglob("*")}


def check_refused(target: Target, directory: Path, reason: str, capsys: Capture, *more: str) -> None:
    """The import fails with the reason, leaves nothing, and the version before answers."""
    before = trace(target)

    assert main(order(target, directory / "model.onnx", *more)) in (1, 2)
    assert reason in capsys.readouterr().err
    assert trace(target) == before
    assert not list(directory.parent.rglob(CANARY))
    assert target.digit("imports") == 7


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        *IN_THE_FILE,
        ("zip", write_zip, "model.onnx is an archive, and nothing is unpacked here"),
        ("tar", write_tar, "model.onnx is an archive, and nothing is unpacked here"),
        ("pipe", lambda directory: os.mkfifo(directory / "model.onnx"), "is no regular file"),
        ("directory", lambda directory: (directory / "model.onnx").mkdir(), "is a directory"),
        ("greedy", write_greedy, "it needs more than 536,870,912 bytes of memory"),
        ("endless", write_endless, "it did not load and answer within 2 s"),
    ],
)
def test_a_hostile_file(serving: Target, tmp_path: Path, capsys: Capture, name: str, write: Write, reason: str) -> None:
    """Is refused with the reason; nothing is left of it."""
    (tmp_path / SECRET).write_bytes(bytes(40))
    made = tmp_path / "made"
    write_good(made)
    if name in ("pipe", "directory"):
        (made / "model.onnx").unlink()
    write(made)
    reason = "is no ONNX file" if name == "pickle" else reason

    check_refused(serving, made, reason, capsys, "--timeout-s", "2", "--memory-mb", "512")


def test_a_crash_of_the_first_load(
    serving: Target, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is the end of that process alone, and said; the process knew no secret."""
    monkeypatch.setenv("API_KEY", "planted")
    write_endless(tmp_path)
    known: dict[str, str] = {}

    def crash() -> None:
        wait_until(lambda: bool(first_loads()))
        known.update(first_loads()[0].environ())
        first_loads()[0].send_signal(signal.SIGSEGV)

    thread = threading.Thread(target=crash)
    thread.start()
    check_refused(serving, tmp_path, "its process crashed with SIGSEGV", capsys)
    thread.join(10)

    assert "PATH" in known
    assert "planted" not in known.values()


def first_loads() -> list[psutil.Process]:
    """This process's children that load a model for the first time, once they are at it."""
    return [
        child
        for child in psutil.Process().children()
        if "fairlead.servable.first_load" in child.cmdline() and child.cpu_times().user > 0.5
    ]


def test_a_good_file(serving: Target, tmp_path: Path, capsys: Capture) -> None:
    """Is published with what it was asked and answered, keeps the labels of its kind, and waits to be promoted."""
    write_good(tmp_path, digit=4)
    write_external(tmp_path, "weights.bin")
    scores = np.array([0.01] * 4 + [0.91] + [0.01] * 5, "<f4")
    (tmp_path / "weights.bin").write_bytes(scores.tobytes())
    (tmp_path / GOLDEN_FILE).unlink()

    assert main(order(serving, tmp_path / "model.onnx")) == 0
    assert capsys.readouterr().err == "published imports@2; next: fairlead promote imports 2\n"
    version = serving.store.open(ServableId("imports", 2))
    assert sorted(version.manifest.files) == ["golden.npz", "model.onnx", "weights.bin"]
    assert version.manifest.labels == tuple("0123456789")
    assert version.manifest.gate["verdict"] == "inconclusive"
    assert version.manifest.cost is not None
    assert Golden.load(version.directory / GOLDEN_FILE).outputs["probs"].shape == (3, 10)
    assert serving.digit("imports") == 7
    serving.store.promote(version.manifest.id, why="it was tried")
    serving.wait_up("imports", 2)
    assert serving.digit("imports") == 4
    serving.store.rollback("imports", why="")
    serving.wait_up("imports", 1)


def test_the_first_of_a_name_serves(serving: Target, tmp_path: Path, capsys: Capture) -> None:
    """As the first that is trained does."""
    write_good(tmp_path, digit=3)

    assert main(order(serving, tmp_path / "model.onnx", "--labels", ",".join("abcdefghij"), name="fresh")) == 0
    assert capsys.readouterr().err == "published fresh@1; it is the first, and serves\n"
    serving.wait_up("fresh", 1)
    assert serving.digit("fresh") == 3


def test_what_callers_could_not_call_is_not_published(serving: Target, tmp_path: Path, capsys: Capture) -> None:
    """Another signature or other classes under the name of what serves: the gate says no."""
    write_good(tmp_path, digit=4)
    before = trace(serving)

    assert main(order(serving, tmp_path / "model.onnx", "--labels", ",".join("abcdefghij"))) == 3
    assert "the classes were" in capsys.readouterr().out
    assert trace(serving) == before


def test_a_model_is_asked_the_rows_that_are_given(serving: Target, tmp_path: Path, capsys: Capture) -> None:
    """Where no sample can be made of its signature, or another one says more."""
    write_good(tmp_path, digit=4)
    rows = tmp_path / "rows.npz"
    np.savez(rows, image=np.full((2, 28, 28, 1), 0.5))

    assert main(order(serving, tmp_path / "model.onnx", "--sample", str(rows), name="asked")) == 0
    golden = Golden.load(serving.store.root / "asked" / "1" / GOLDEN_FILE)
    assert golden.inputs["image"].shape == (2, 28, 28, 1)
    assert float(golden.inputs["image"].max()) == 0.5
    np.savez(rows, picture=np.zeros((2, 28, 28, 1)))
    assert main(order(serving, tmp_path / "model.onnx", "--sample", str(rows), name="asked")) == 1
    assert "is no sample with the inputs ['image']" in capsys.readouterr().err
