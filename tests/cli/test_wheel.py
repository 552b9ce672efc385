"""The built wheel with the base install alone: the data plane as it is shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .conftest import StartServer

ROOT = Path(__file__).parents[2]
LARGEST_INSTALL_MB = 250


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what `requirements/serve.txt` pins, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = made_before() or built(folder)
    run(sys.executable, "-m", "venv", str(folder / "venv"))
    pip = (str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "serve.txt"))
    run(*pip, "--no-deps", str(wheel))
    return folder / "venv"


def made_before() -> Path | None:
    """The wheel that `make test` has made of this tree; compiling it takes longer than most tests together."""
    wheel = next((ROOT / "build" / "wheel").glob("*.whl"), None)
    sources = [ROOT / "hatch_build.py", ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")]
    is_new = wheel is not None and wheel.stat().st_mtime > max(path.stat().st_mtime for path in sources)
    return wheel if is_new else None


def built(folder: Path) -> Path:
    """A wheel that is made now."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    return next(folder.glob("*.whl"))


def run(*command: str, cwd: Path | None = None) -> None:
    """A step that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def fairlead(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder of its own and without this checkout on its path."""
    return subprocess.run(
        [str(installed / "bin" / "fairlead"), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
class TestWheel:
    """One install, looked at from several sides."""

    def test_the_base_install_is_small(self, installed: Path) -> None:
        """It must fit a small machine's disk; pip itself is not counted."""
        site = next(installed.glob("lib/python3*/site-packages"))
        size = sum(
            path.lstat().st_size
            for package in site.iterdir()
            if not package.name.startswith(("pip", "setuptools"))
            for path in ([package] if package.is_file() else package.rglob("*"))
        )

        assert size < LARGEST_INSTALL_MB * 1e6

    def test_it_serves_rolls_back_and_examines(
        self, installed: Path, store: WritableStore, tmp_path: Path, start_server: StartServer
    ) -> None:
        """Everything that production needs at night works without the control plane's libraries, and so do callers."""
        for digit in (1, 2):
            publish_digit(store, "digits", digit)
            store.promote(ServableId("digits", digit), why="")
        server = start_server(store.root, executable=str(installed / "bin" / "python"))
        assert server.wait_ready()["models"] == {"digits": 2}

        program = (
            "import fairlead, sys\n"
            f"with fairlead.Client('http://127.0.0.1:{server.port}') as client:\n"
            "    print(client.predict('digits', [[[[0.0]] * 28] * 28]).labels)\n"
            "fairlead.Client('grpc://127.0.0.1:1')\n"
        )
        asked = subprocess.run(
            [str(installed / "bin" / "python"), "-c", program],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert asked.stdout == "('2',)\n", asked.stderr
        assert "grpcio is not installed (pip install 'fairlead[client]'" in asked.stderr

        rolled_back = fairlead(installed, tmp_path, "rollback", "digits", "--store", str(store.root))
        assert rolled_back.stdout == "stable: digits@1, no longer 2 (release 3)\n"
        examined = fairlead(
            installed,
            tmp_path,
            "doctor",
            "--store",
            str(store.root),
            "--rest-port",
            "0",
            "--grpc-port",
            "0",
            "--management-port",
            "0",
        )
        assert examined.returncode == 0, examined.stdout
        assert "ok    extra train: not installed" in examined.stdout
        assert "ok    request path: compiled" in examined.stdout
        assert server.stop() == 0

    def test_a_project_is_begun_without_an_extra(self, installed: Path, tmp_path: Path) -> None:
        """Its files come with the wheel; it installs what it needs itself."""
        done = fairlead(installed, tmp_path, "init", "churn")

        assert done.returncode == 0, done.stderr
        assert (tmp_path / "churn" / "churn" / "recipe.py").exists()
        assert (tmp_path / "churn" / ".github" / "workflows" / "ci.yml").exists()

    def test_training_says_what_to_install(self, installed: Path, tmp_path: Path) -> None:
        """The example comes with the wheel; what it needs is named in the command to run."""
        done = fairlead(installed, tmp_path, "train", "digits")

        assert done.returncode == 1
        assert "pip install 'fairlead[" in done.stderr
        assert "Traceback" not in done.stderr
