"""`deploy/container`: what can be said of the images without building them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from tools import wheels

from .rule_files import DEPLOY, load

ROOT = DEPLOY.parent
RECIPE = (DEPLOY / "container" / "Dockerfile").read_text()
INSTALL = (DEPLOY / "container" / "install.sh").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    """What a lock file pins: packages and their versions."""
    return set(PIN.findall((ROOT / "requirements" / name).read_text()))


def test_every_target_is_there_and_nothing_is_root() -> None:
    """Four that can be built, all of them on a root file system with a user of its own."""
    names = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\w[\w-]*)$", RECIPE, re.MULTILINE)}
    assert {"serve", "controller", "train", "tensorboard"} <= names.keys()
    for target in ("serve", "train", "tensorboard"):
        assert names[target] == "runtime"
    assert names["controller"] == "train"
    assert set(names.values()) - names.keys() == {"debian:bookworm-slim", "scratch"}
    assert re.search(r"AS runtime\n(.*\n)*?USER fairlead\n", RECIPE)
    assert "HEALTHCHECK" in RECIPE.partition("AS serve\n")[2]
    assert "org.opencontainers.image.licenses" in RECIPE


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_pinned_by_hash(name: str) -> None:
    """Each version has its digests, and the file names no place to get it from."""
    text = (ROOT / "requirements" / name).read_text()
    assert len(PIN.findall(text)) == len(re.findall(r"==\S+[^\n]*\\\n +--hash=sha256:", text))
    assert "://" not in text
    assert "--index-url" not in text


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "dev.txt"])
def test_images_have_the_versions_that_are_tested(name: str) -> None:
    """Whatever is installed into one is what these tests run with."""
    assert pins(name) <= pins("dev.txt")


@pytest.mark.parametrize(("machine", "build", "other"), [("x86_64", "-cpu", ""), ("aarch64", "", "-cpu")])
def test_each_processor_has_pins_of_its_own(machine: str, build: str, other: str) -> None:
    """Those that `python -m tools.wheels` looks for: with digests, and none that are for another processor."""
    found = wheels.pins((ROOT / "requirements" / "image-train.txt").read_text(), machine)
    (version,) = (version for name, version in pins("image-train.txt") if name == f"tensorflow{build}")
    assert found[f"tensorflow{build}=={version}"]
    assert not [pin for pin in found if pin.startswith(f"tensorflow{other}==")]
    assert all(found.values())


def test_what_is_installed_is_checked_by_hash() -> None:
    """By every pip of the recipe, but for the wheel that was made before."""
    installs = [line for line in (RECIPE + INSTALL).splitlines() if re.search(r"\bpip\b.* install|\$pip ", line)]
    assert len(installs) >= 3
    unchecked = [line.strip() for line in installs if "--require-hashes" not in line and "pip=" not in line]
    assert unchecked == ["$pip /wheel/*.whl"]


def test_the_image_is_built_from_what_is_sent() -> None:
    """What `.dockerignore` lets through is what pyproject.toml, the recipe and the build need."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {path.split("/")[0] for path in (*wheel["packages"], *wheel["force-include"])}

    others = {"LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "requirements"}
    assert sent == needed | others | {"deploy/container/install.sh"}
    assert all((ROOT / path).exists() for path in sent)


def test_images_are_built_by_the_names_that_run_them() -> None:
    """The page's commands make what compose and Kubernetes start, each from the target that compose builds it from."""
    page = (ROOT / "docs" / "images.md").read_text()
    made = {name: target for target, name in re.findall(r"--target (\S+) -t (\S+) \.$", page, re.MULTILINE)}
    services = load(DEPLOY / "compose" / "compose.yaml")["services"].values()
    composed = {
        service["image"]: service["build"]["target"] for service in services if "target" in service.get("build", {})
    }
    base = [path.read_text() for path in (DEPLOY / "kubernetes" / "base").glob("*.yaml")]

    assert made == composed
    assert {name for text in base for name in re.findall(r"image: (\S+)", text)} == made.keys() - {
        name for name, target in made.items() if target == "tensorboard"
    }


def test_tensorboard_begins_as_compose_begins_it() -> None:
    """By itself the image takes the flags that the command has."""
    service = load(DEPLOY / "compose" / "compose.yaml")["services"]["tensorboard"]
    said = re.findall(r'^CMD (\["tensorboard".*\])$', RECIPE, re.MULTILINE)

    assert [json.loads(command) for command in said] == [service["command"]]


def test_make_builds_the_images_that_the_page_does() -> None:
    """Each target under its name, by the builder that one names, in this project's version."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    page = (ROOT / "docs" / "images.md").read_text()
    made = ["make", "--dry-run", "--no-print-directory", "image", "BUILDER=podman"]
    said = subprocess.run(made, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert re.findall(r"--target (\S+) -t (\S+) \.$", said, re.MULTILINE) == re.findall(
        r"--target (\S+) -t (\S+) \.$", page, re.MULTILINE
    )
    assert (
        said.count(
            f"podman build -f deploy/container/Dockerfile --build-arg VERSION={PYPROJECT['project']['version']} "
        )
        == 3
    )


def test_the_bill_of_materials_has_what_is_installed() -> None:
    """Every distribution of the Python that runs it, once, by the name that scanners know it by."""
    script = DEPLOY / "container" / "sbom.py"
    done = subprocess.run([sys.executable, "-"], input=script.read_text(), capture_output=True, text=True, check=True)
    bill = json.loads(done.stdout)
    purls = [component["purl"] for component in bill["components"]]

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert len(set(purls)) == len(purls)
    assert f"pkg:pypi/numpy@{metadata.version('numpy')}" in purls
    assert f"pkg:pypi/prometheus-client@{metadata.version('prometheus-client')}" in purls
    assert len([purl for purl in purls if purl.startswith("pkg:pypi/")]) > 50
