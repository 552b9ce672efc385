"""Compiles the modules that every request runs through, as `pip` builds a wheel.

mypyc makes C of the typed Python that stands there. An editable install and a source tree run the same modules as they
are, so that an edit takes effect at once; `FAIRLEAD_PURE=1` makes a wheel without a compiler.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_OPTIONS = ("--config-file=", "--ignore-missing-imports", "--python-version=3.11", "--always-true=COMPILING")


class CompileHook(BuildHookInterface[Any]):
    """Puts a compiled module beside each Python module that `modules` of its table in `pyproject.toml` names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless nobody would use it."""
        if self.target_name != "wheel" or version == "editable" or os.environ.get("FAIRLEAD_PURE"):
            return
        self._built = tempfile.TemporaryDirectory()
        built = Path(self._built.name)
        with _inside(Path(self.root, "src")):
            _compile(self.config["modules"], built)
        build_data["pure_python"], build_data["infer_tag"] = False, True
        for module in built.joinpath("lib").rglob("*.so"):
            build_data["force_include"][str(module)] = str(module.relative_to(built / "lib"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """Throw the compiler's files away."""
        if hasattr(self, "_built"):
            self._built.cleanup()


def _compile(files: Sequence[str], built: Path) -> None:
    from mypyc.build import mypycify  # noqa: PLC0415 - neither is there where nothing is compiled
    from setuptools import Distribution  # noqa: PLC0415

    modules = mypycify(
        [*_OPTIONS, *files], opt_level="3", debug_level="0", group_name="fairlead", target_dir=str(built / "c")
    )
    distribution = Distribution({"name": "fairlead", "ext_modules": modules})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(built / "lib"), str(built / "o")
    distribution.run_command("build_ext")


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Modules are named from where they are found."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
