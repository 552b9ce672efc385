"""`fairlead optimize` on a network that was trained on MNIST: what is published, and which check refuses what."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fairlead.app.judged_rows import rows_of_file
from fairlead.app.optimization import Candidate, Optimization
from fairlead.app.optimizing import optimize
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.gate.optimized import Margins
from fairlead.gate.verdict import Verdict
from fairlead.optimization.method import Method, Source
from fairlead.optimization.methods import METHODS
from fairlead.optimization.preparing import prepare
from fairlead.optimization.quantization import int8_static
from fairlead.servable.identity import ServableId
from fairlead.servable.npz import write_npz
from fairlead.store.store import Store
from fairlead.training.dataset import Dataset, Rows
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.trainer import answers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits(real_data: Path) -> Dataset:
    """MNIST."""
    sources = Sources(data_dir=real_data, cache_dir=real_data, say=lambda line: None)
    dataset: Dataset = find_recipe("digits").load(sources)
    return dataset


@pytest.fixture
def home(mnist_store: Path, tmp_path: Path) -> Path:
    """A home of its own with that network as its only version."""
    shutil.copytree(mnist_store, tmp_path / "store")
    return tmp_path


@pytest.fixture
def run(home: Path, real_data: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `fairlead optimize`."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
        return subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", "optimize", *arguments, "--home", str(home)],
            env={**kept, "FAIRLEAD_DATA_DIR": str(real_data), **variables},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_what_proves_as_good_and_faster_is_published_and_waits(
    run: Callable[..., subprocess.CompletedProcess[str]], home: Path
) -> None:
    """Static INT8 loses at most a tenth of a point on 10,000 images; dynamic INT8, which is slower, is refused."""
    done = run("digits@champion", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    by_method = {candidate["method"]: candidate for candidate in told["candidates"]}
    static, dynamic = by_method["int8-static"], by_method["int8-dynamic"]
    assert (told["best"], told["version"], told["rows"]) == ("int8-static", 2, 10_000)
    assert static["gate"]["verdict"] == "passed"
    assert static["accuracy"] >= told["baseline"]["accuracy"] - 0.001
    assert static["size_bytes"] < told["baseline"]["size_bytes"] / 3
    assert [check["name"] for check in dynamic["gate"]["checks"] if check["verdict"] == "failed"] == ["speed"]
    assert "FAIRLEAD_PROVIDERS names none" in by_method["float16"]["trouble"]
    store = Store(home / "store")
    made = store.open(ServableId("digits", 2)).manifest
    lineage = made.lineage["optimized"]
    assert (lineage["from_version"], lineage["method"], lineage["calibration"]["rows"]) == (1, "int8-static", 512)
    assert lineage["figures"]["accuracy"] == made.metrics["accuracy"] == static["accuracy"]
    assert made.transform == store.manifest(ServableId("digits", 1)).transform
    release = store.release("digits")
    assert release is not None
    assert (release.stable, release.candidate) == (1, None)


def test_nothing_is_published_when_nothing_passes(
    run: Callable[..., subprocess.CompletedProcess[str]], home: Path, digits: Dataset, tmp_path: Path
) -> None:
    """The command says by how much each missed, and leaves with 3; rows may come from a file."""
    rows = digits.held_out.take(np.arange(4000))
    write_npz(tmp_path / "rows.npz", {"image": rows.inputs, "truth": rows.labels})

    done = run("digits", "--data", str(tmp_path / "rows.npz"), "--margin", "1", "--at-least", "50")

    assert done.returncode == 3, done.stderr
    assert "int8-static: speed failed: rows a second, of the original's: " in done.stdout
    assert "nothing was published; digits@1 stays as it is" in done.stderr
    assert Store(home / "store").versions("digits") == (1,)


def test_rows_that_the_version_was_not_judged_on_are_refused(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """What a recipe holds out elsewhere may be what was learnt here."""
    (tmp_path / "examples" / "digits").mkdir(parents=True)
    (tmp_path / "examples" / "digits" / "recipe.py").write_text(
        "import numpy as np\n"
        "from fairlead.training.dataset import Dataset, Rows, Split\n"
        "rows = Rows(inputs=np.zeros((400, 28, 28, 1), np.float32), labels=np.arange(400) % 10)\n"
        "class Other:\n"
        "    name, labels, transform = 'digits', tuple('0123456789'), None\n"
        "    def load(self, sources): return Dataset(train=rows, held_out=rows, source='rows of zeros')\n"
        "    def split(self, dataset, seed): return Split(train=rows, validation=rows, held_out=rows)\n"
        "    def train(self, split, run): ...\n"
        "    def predict(self, model, inputs): ...\n"
        "    def export(self, model, path): ...\n"
        "recipe = Other()\n"
    )

    done = run("digits@1")

    assert done.returncode == 1
    assert "on 10.00% of these 400, which are others: rows of zeros" in done.stderr
    assert "FAIRLEAD_DATA_DIR" in done.stderr


def test_a_version_that_is_not_there_is_named(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """A label that nobody set means no version."""
    done = run("digits@nobody")

    assert done.returncode == 2
    assert "no version of 'digits' is meant by 'digits@nobody'" in done.stderr


def test_three_sabotaged_optimisations_are_each_refused_by_the_right_check(home: Path, digits: Dataset) -> None:
    """One that collapsed, one that is right two points less often, and one that is slower: none is published."""
    rows = digits.held_out
    write_npz(home / "rows.npz", {"image": rows.inputs, "truth": rows.labels})

    done = optimize(
        Settings.read({}, home=str(home)),
        "digits@1",
        lambda manifest: rows_of_file(home / "rows.npz", manifest),
        margins=Margins(),
        say=lambda line: None,
        methods=[
            Method(name="collapsed", make=_collapsed),
            Method(name="less-accurate", make=lambda source, target: _less_accurate(source, target, digits)),
            Method(name="slower", make=_slower),
            Method(name="broken", make=lambda source, target: _raise()),
        ],
    )

    assert done.version is None
    assert Store(home / "store").versions("digits") == (1,)
    by_method = {candidate.method: candidate for candidate in done.candidates}
    assert {"collapse", "silent classes"} <= _failed(by_method["collapsed"])
    assert "speed" not in _failed(by_method["collapsed"])
    assert 0.01 < done.baseline.accuracy - by_method["less-accurate"].accuracy < 0.03
    assert {"accuracy"} <= _failed(by_method["less-accurate"]) <= {"accuracy", "calibration"}
    assert _failed(by_method["slower"]) == {"speed"}
    assert by_method["broken"].trouble == "ValueError: no such operator"
    assert "collapsed: collapse failed: class '3' is 100.00% of the predictions" in "\n".join(done.refusals)
    _check_table(done)


def _check_table(done: Optimization) -> None:
    assert [row[0] for row in done.rows_of_table[1:]] == ["original", "collapsed", "less-accurate", "slower", "broken"]
    assert [row[-1] for row in done.rows_of_table[2:]] == ["failed", "failed", "failed", "not tried"]


def _failed(candidate: Candidate) -> set[str]:
    assert candidate.report is not None
    return {check.name for check in candidate.report.checks if check.verdict is Verdict.FAILED}


def _raise() -> None:
    raise ValueError("no such operator")


def _shift_bias(path: Path, label: int, by: float) -> None:
    """Add to the bias of one class in the last layer, which stays in floats."""
    model = onnx.load(path)
    (gemm,) = [node for node in model.graph.node if node.op_type == "Gemm"][-1:]
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == gemm.input[2]]
    values = numpy_helper.to_array(bias).copy()
    values[label] += by
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(model, path)


def _collapsed(source: Source, target: Path) -> None:
    int8_static(source, target)
    _shift_bias(target, 3, 1e4)


def _less_accurate(source: Source, target: Path, digits: Dataset) -> None:
    """Nines are held for something else, more and more of them, until two points are lost."""
    int8_static(source, target)
    kept, rows = target.read_bytes(), digits.held_out.take(np.arange(2000))
    wanted = _accuracy(target, rows) - 0.02
    low, high = 0.0, 64.0
    for _ in range(8):
        middle = (low + high) / 2
        target.write_bytes(kept)
        _shift_bias(target, 9, -middle)
        low, high = (middle, high) if _accuracy(target, rows) > wanted else (low, middle)


def _accuracy(path: Path, rows: Rows) -> float:
    return float((answers(path, rows).argmax(axis=1) == rows.labels).mean())


def _slower(source: Source, target: Path) -> None:
    """The answer goes through matrices that do not change it."""
    model = onnx.load(source.prepared)
    graph, last = model.graph, "probs"
    for node in graph.node:
        node.output[:] = ["before" if name == last else name for name in node.output]
    taken = "before"
    for at, matrix in enumerate([np.eye(10, 2000), np.eye(2000), np.eye(2000, 10)]):
        graph.initializer.append(numpy_helper.from_array(matrix.astype(np.float32), f"same{at}"))
        given = last if matrix.shape[1] == 10 else f"after{at}"
        graph.node.append(helper.make_node("MatMul", [taken, f"same{at}"], [given]))
        taken = given
    onnx.save(model, target)


def test_a_file_without_the_truth_is_refused(home: Path, tmp_path: Path) -> None:
    """It is said what it lacks."""
    write_npz(tmp_path / "rows.npz", {"image": np.zeros((4, 28, 28, 1), np.float32)})
    manifest = Store(home / "store").manifest(ServableId("digits", 1))

    with pytest.raises(FairleadError, match=r"is no \.npz with rows named image and truth") as caught:
        rows_of_file(tmp_path / "rows.npz", manifest)

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_halves_are_for_gpus_and_answer_nearly_the_same(home: Path, digits: Dataset, tmp_path: Path) -> None:
    """A CPU runs them too, slowly, which is enough to know that the file is sound."""
    (method,) = [method for method in METHODS if method.name == "float16"]
    original, made, rows = home / "store" / "digits" / "1" / "model.onnx", tmp_path / "half.onnx", digits.held_out
    prepare(original, tmp_path / "prepared.onnx")
    method.make(Source(model=original, prepared=tmp_path / "prepared.onnx", calibration={}), made)

    few = rows.take(np.arange(100))
    assert np.abs(answers(made, few) - answers(original, few)).max() < 0.01
    assert made.stat().st_size < 0.6 * original.stat().st_size
    assert method.missing(("cuda", "cpu")) == ""
    assert "FAIRLEAD_PROVIDERS" in method.missing(("cpu",))
