"""The machine's architecture, and whether the installed packages are whole."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from fairlead.app.doctor.finding import Finding, Health, ok

__all__ = ["architecture", "installed_version", "onnxruntime_binary", "packages", "request_path"]

_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine, from the ELF specification
_INSTALL = "pip install --upgrade 'fairlead[{extra}]'"


def architecture(machine: str, binary: Path | None) -> Finding:
    """Whether the machine is one that is served on, and ONNX Runtime's library was built for it."""
    name = "architecture"
    if machine not in _ELF_MACHINES.values():
        return Finding(
            name=name,
            health=Health.FAILED,
            message=f"this is a {machine} machine; ONNX Runtime is published for x86_64 and aarch64",
            hint="run it on one of those",
        )
    built_for = _elf_machine(binary) if binary else None
    if binary and built_for != machine:
        return Finding(
            name=name,
            health=Health.FAILED,
            message=f"{binary.name} is built for {built_for or 'another system'} and this machine is {machine}",
            hint="pip install --force-reinstall onnxruntime, on this machine or in an image of its platform",
        )
    return ok(name, f"{machine}, and so is ONNX Runtime")


def onnxruntime_binary() -> Path | None:
    """ONNX Runtime's library, found without loading it."""
    spec = find_spec("onnxruntime")
    folders = spec.submodule_search_locations if spec else None
    return next(iter(Path(folders[0]).glob("capi/onnxruntime_pybind11_state*.so")), None) if folders else None


def request_path(module: str = "fairlead.transport.reader") -> Finding:
    """Whether what every request runs through is compiled, as it is in a wheel; either way it does the same."""
    spec = find_spec(module)
    is_compiled = spec is not None and not str(spec.origin).endswith(".py")
    said = "compiled" if is_compiled else "interpreted, at half the speed; a wheel has it compiled: pip install ."
    return ok("request path", said)


def _elf_machine(path: Path) -> str | None:
    with path.open("rb") as reader:
        head = reader.read(20)
    if head[:4] != b"\x7fELF" or len(head) < 20:  # noqa: PLR2004 - as far as e_machine
        return None
    number = struct.unpack_from("<H", head, 18)[0]
    return _ELF_MACHINES.get(number, f"ELF machine {number}")


def installed_version(package: str) -> str | None:
    """The package's version; None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def packages(requirements: Sequence[str], installed: Callable[[str], str | None]) -> Iterator[Finding]:
    """The base install must be whole; an extra may be absent, but not in part."""
    parsed = [Requirement(text) for text in requirements]
    extras = sorted({extra for requirement in parsed if (extra := _extra_of(requirement)) and extra != "all"})
    for extra in ("", *extras):
        wanted = [r for r in parsed if _extra_of(r) == extra and _applies(r, extra)]
        yield _package_set(extra, wanted, installed)


def _package_set(extra: str, wanted: Sequence[Requirement], installed: Callable[[str], str | None]) -> Finding:
    name = f"extra {extra}" if extra else "packages"
    found = {requirement.name: installed(requirement.name) for requirement in wanted}
    if extra and not any(found.values()):
        return ok(name, f"not installed; when you need it: {_INSTALL.format(extra=extra)}")
    faults = [
        f"{r.name} is {found[r.name] or 'missing'}, {r.specifier} is needed"
        for r in wanted
        if not (version := found[r.name]) or not r.specifier.contains(version, prereleases=True)
    ]
    if not faults:
        return ok(name, f"{len(wanted)} packages, all present and new enough")
    return Finding(
        name=name,
        health=Health.WARNING if extra else Health.FAILED,
        message="; ".join(faults),
        hint=_INSTALL.format(extra=extra) if extra else "pip install --upgrade fairlead",
    )


def _extra_of(requirement: Requirement) -> str:
    found = re.search(r"extra == ['\"]([^'\"]+)['\"]", str(requirement.marker or ""))
    return found.group(1) if found else ""


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
