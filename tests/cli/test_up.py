"""From an empty folder to a served prediction, as a new user would go."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.store.store import Store

from .conftest import Server, ports_of

COMMAND = (sys.executable, "-m", "fairlead.cli.main")
# Nothing answers there: a download fails at once, so these tests train on the bundled digits with or without a network.
NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The empty folder that the user stands in; the tests below go on from each other's work in it."""
    return tmp_path_factory.mktemp("user")


def environment(**more: str) -> dict[str, str]:
    """The user's environment, without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
    return {**kept, **NO_NETWORK, **more}


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command in the user's folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def up(folder: Path, *recipe: str) -> tuple[Server, str]:
    """`fairlead up`, once it has welcomed the user, and everything it said."""
    log = folder / "up.log"
    with log.open("wb") as writer:
        process = subprocess.Popen(
            [*COMMAND, "up", *recipe, "--rest-port", "0", "--grpc-port", "0", "--management-port", "0"],
            cwd=folder,
            env=environment(),
            stdout=writer,
            stderr=writer,
        )
    deadline = time.monotonic() + 400
    while "Ctrl-C drains and stops." not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    said = log.read_text()
    port, grpc_port, _ = ports_of(process, log)
    return Server(process=process, port=port, grpc_port=grpc_port, log=log), said


@pytest.fixture
def running(folder: Path) -> Iterator[tuple[Server, str]]:
    """`fairlead up` in the folder; ended afterwards."""
    server, said = up(folder)
    yield server, said
    server.stop()


@pytest.mark.slow
class TestUp:
    """In order: the first `up` trains, the later commands find what it left."""

    def test_the_first_up_trains_gates_publishes_and_serves(self, running: tuple[Server, str], folder: Path) -> None:
        """The data it used is named, the gate's table is shown, and its three commands work as printed."""
        server, said = running

        assert "there is no champion of digits yet: training one" in said
        assert "using the digits that scikit-learn bundles" in said
        assert "epoch 5/5" in said
        assert "\r" not in said
        assert "passed: 15 passed" in said
        lines = [
            line.strip().partition("   ")[2].strip() for line in said.splitlines() if line.startswith("  a picture")
        ]
        lines += ["python3 -c" + line.partition("python3 -c")[2] for line in said.splitlines() if "python3 -c" in line]
        lines += ["curl" + line.partition("curl")[2] for line in said.splitlines() if "its status" in line]
        answers = [
            subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True, timeout=30, check=True).stdout
            for line in lines
        ]
        assert [json.loads(answer).get("label") for answer in answers[:2]] == [json.loads(answers[0])["label"]] * 2
        assert f"  a browser   http://127.0.0.1:{server.port}/ is a page to try it on\n" in said
        assert json.loads(answers[0])["proba"] > 0.5
        assert json.loads(answers[2])["model_version_status"][0]["state"] == "AVAILABLE"
        assert server.stop() == 0

    def test_the_second_up_serves_what_is_there(self, running: tuple[Server, str]) -> None:
        """Nothing is trained again."""
        _, said = running

        assert "training" not in said
        assert "digits version 1 is served" in said

    def test_another_example_joins_it(self, folder: Path) -> None:
        """The one that has no champion is trained, both are served, and what is printed to try the texts works."""
        server, said = up(folder, "digits", "messages")

        assert "there is no champion of messages yet: training one" in said
        assert "there is no champion of digits" not in said
        commands = [line.partition("   ")[2].strip() for line in said.splitlines() if line.startswith("  a text")]
        commands += [line.partition("from Python ")[2] for line in said.splitlines() if "from Python" in line][1:]
        for command in commands:
            answer = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=30, check=True).stdout
            assert json.loads(answer)["label"] in ("ham", "spam")
        assert len(commands) == 2
        status, models = server.call("GET", "/models")
        assert (status, [model["name"] for model in models["models"]]) == (200, ["digits", "messages"])
        assert server.stop() == 0

    @pytest.mark.parametrize(
        ("spoil", "check", "detail"),
        [
            ("empty", "training rows", "no training rows"),
            ("one class", "training classes", "'0'"),
            ("shuffled", "accuracy", "points below"),
        ],
    )
    def test_a_spoilt_retrain_is_refused_and_the_champion_stays(
        self, folder: Path, tmp_path: Path, spoil: str, check: str, detail: str
    ) -> None:
        """On real idx files: exit status 3, the check that failed with its figure, and the release as it was."""
        images, labels = bundled()
        train = np.arange(len(labels)) % 3 != 0
        held_out = ~train
        chosen = {"empty": train & False, "one class": train & (labels == 7), "shuffled": train}[spoil]
        write_idx(tmp_path, "t10k", images[held_out], labels[held_out])
        spoilt = np.random.default_rng(0).permutation(labels[chosen]) if spoil == "shuffled" else labels[chosen]
        write_idx(tmp_path, "train", images[chosen], spoilt)

        done = run(folder, "train", "digits", FAIRLEAD_DATA_DIR=str(tmp_path))

        assert done.returncode == 3, done.stderr
        row = next(line for line in done.stdout.splitlines() if line.startswith(f"{check} "))
        assert " failed " in row
        assert detail in " ".join(done.stdout.split())
        assert "nothing was published; version 1 goes on serving" in done.stderr
        assert stable(folder) == [1]

    def test_a_good_retrain_waits_for_its_promotion(self, folder: Path) -> None:
        """It becomes the challenger; promote and rollback go there and back."""
        done = run(folder, "train", "digits", "--seed", "1", "--json")

        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)
        assert (outcome["version"], outcome["stable"]) == (2, 1)
        assert "next: fairlead promote digits 2" in done.stderr
        assert run(folder, "promote", "digits", "2").stdout == "stable: digits@2 (release 2)\n"
        assert run(folder, "rollback", "digits").stdout == "stable: digits@1, no longer 2 (release 3)\n"
        assert stable(folder) == [1, 2, 1]

    @pytest.mark.parametrize(
        ("damage", "message"),
        [("truncated", "train-images-idx3-ubyte"), ("checksum", "damaged"), ("magic", "t10k-labels-idx1-ubyte")],
    )
    def test_damaged_idx_files_are_named(self, folder: Path, tmp_path: Path, damage: str, message: str) -> None:
        """The file, what was expected and what was found; status 1 and nothing trained."""
        images, labels = bundled()
        write_idx(tmp_path, "train", images, labels)
        write_idx(tmp_path, "t10k", images[:500], labels[:500])
        path = tmp_path / ("t10k-labels-idx1-ubyte.gz" if damage == "magic" else "train-images-idx3-ubyte.gz")
        whole = gzip.decompress(path.read_bytes())
        packed = path.read_bytes()
        path.write_bytes(
            {
                "truncated": gzip.compress(whole[:-100]),
                "checksum": packed[:-8] + b"\0\0\0\0" + packed[-4:],
                "magic": gzip.compress(b"\0\0\x08\x09" + whole[4:]),
            }[damage]
        )

        done = run(folder, "train", "digits", FAIRLEAD_DATA_DIR=str(tmp_path))

        assert done.returncode == 1, done.stdout
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert stable(folder)[-1] == 1


def bundled() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """scikit-learn's digits as pictures of 28 x 28, bright ink on a dark ground."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pictures = np.zeros((len(pixels), 28, 28), np.uint8)
    pictures[:, 2:26, 2:26] = (pixels.reshape(-1, 8, 8) * 15.9).astype(np.uint8).repeat(3, axis=1).repeat(3, axis=2)
    _, first = np.unique(pictures.reshape(len(pictures), -1), axis=0, return_index=True)
    return pictures[first], labels[first].astype(np.int64)


def write_idx(folder: Path, part: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """The two gzipped idx files of one part of MNIST."""
    head = struct.pack(">IIII", 2051, len(images), 28, 28)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes(), 1))
    head = struct.pack(">II", 2049, len(labels))
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.astype(np.uint8).tobytes(), 1))


def stable(folder: Path) -> list[int]:
    """The version that was stable in each release, oldest first."""
    return [release.stable for release in Store(folder / ".fairlead" / "store").history("digits")]
