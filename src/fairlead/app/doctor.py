"""What breaks deployments, looked at before it breaks: each finding with the next command to run."""

from __future__ import annotations

import enum
import os
import platform
import re
import shutil
import socket
import struct
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from fairlead.app.releases import now, open_store
from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.store import Store

__all__ = ["Finding", "Health", "examine"]

_MIB = 2**20
_PROCESS_BYTES = 110 * _MIB  # a serving process with no model in it, measured, and some air
_DISK_WARN_BYTES = 1024 * _MIB
_DISK_FAIL_BYTES = 200 * _MIB
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine, from the ELF specification
_INSTALL = "pip install --upgrade 'fairlead[{extra}]'"


class Health(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        health: how it is.
        message: what was found, with the figures.
        hint: the next command to run; empty when there is nothing to do.
    """

    name: str
    health: Health
    message: str
    hint: str = ""


def examine(settings: Settings, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Look at everything, in the order of a start: machine, install, port, store, models, memory, clock, disk."""
    store = open_store(settings)
    manifests = _manifests(store)
    yield _architecture(platform.machine(), _onnxruntime_binary())
    yield from _packages(metadata.requires("fairlead") or [], _installed_version)
    yield _port(settings.host, settings.rest_port)
    yield _port_variable(settings.rest_port, environ)
    yield _writable(store)
    yield from _digests(store)
    yield _memory(manifests, _memory_bytes())
    yield _clock(store, manifests)
    yield _disk(store)


def _ok(name: str, message: str) -> Finding:
    return Finding(name=name, health=Health.OK, message=message)


# -- the machine and the install -----------------------------------------------------------------------------------


def _architecture(machine: str, binary: Path | None) -> Finding:
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
    return _ok(name, f"{machine}, and so is ONNX Runtime")


def _onnxruntime_binary() -> Path | None:
    spec = find_spec("onnxruntime")
    folders = spec.submodule_search_locations if spec else None
    return next(iter(Path(folders[0]).glob("capi/onnxruntime_pybind11_state*.so")), None) if folders else None


def _elf_machine(path: Path) -> str | None:
    with path.open("rb") as reader:
        head = reader.read(20)
    if head[:4] != b"\x7fELF":
        return None
    number = struct.unpack_from("<H", head, 18)[0]
    return _ELF_MACHINES.get(number, f"ELF machine {number}")


def _installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages(requirements: Sequence[str], installed: Callable[[str], str | None]) -> Iterator[Finding]:
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
        return _ok(name, f"not installed; when you need it: {_INSTALL.format(extra=extra)}")
    faults = [
        f"{r.name} is {found[r.name] or 'missing'}, {r.specifier} is needed"
        for r in wanted
        if not (version := found[r.name]) or not r.specifier.contains(version, prereleases=True)
    ]
    if not faults:
        return _ok(name, f"{len(wanted)} packages, all present and new enough")
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


# -- the port ------------------------------------------------------------------------------------------------------


def _port(host: str, port: int) -> Finding:
    name = f"port {port}"
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            owner = "a Fairlead server" if _is_fairlead(port) else "another process"
            return Finding(
                name=name,
                health=Health.FAILED,
                message=f"{host}:{port} cannot be had: {error.strerror}; {owner} answers there",
                hint=f"ss -ltnp 'sport = :{port}' shows whose it is, or take another: --rest-port {port + 1}",
            )
    return _ok(name, f"{host}:{port} is free")


def _is_fairlead(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/alive", timeout=1) as answer:
            return b"alive" in answer.read(100)
    except OSError:
        return False


def _port_variable(port: int, environ: Mapping[str, str]) -> Finding:
    """Platforms that route to $PORT find nobody there when the server listens elsewhere."""
    wanted = environ.get("PORT")
    if wanted is None or wanted == str(port):
        return _ok("PORT", "not set by a platform" if wanted is None else f"agrees with the REST port, {port}")
    return Finding(
        name="PORT",
        health=Health.WARNING,
        message=f"the platform sets PORT={wanted} but the REST port is {port}",
        hint=f"fairlead serve --host 0.0.0.0 --rest-port {wanted}",
    )


# -- the store and its models --------------------------------------------------------------------------------------


def _manifests(store: Store) -> list[Manifest]:
    """The manifests that can be read; `_digests` reports the others."""
    found = []
    for model in store.models():
        for version in store.versions(model):
            try:
                found.append(store.manifest(ServableId(model, version)))
            except FairleadError:
                continue
    return found


def _writable(store: Store) -> Finding:
    name = "store"
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.exists())
    try:
        store.check()
    except FairleadError as error:
        if store.root.exists():
            return Finding(name=name, health=Health.FAILED, message=error.message, hint=error.hint)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            name=name,
            health=Health.WARNING,
            message=f"{place} cannot be written ({error.strerror}): it can be served from but not published into",
            hint=f"chown -R {os.getuid()} {place}, or mount it with write access",
        )
    state = f"{len(store.models())} models" if store.root.exists() else "not there yet, the first publish makes it"
    return _ok(name, f"{store.root}: {state}, writable")


def _digests(store: Store) -> Iterator[Finding]:
    for model in store.models():
        try:
            release = store.release(model)
        except FairleadError as error:
            yield Finding(name=model, health=Health.FAILED, message=error.message, hint=f"fairlead rollback {model}")
            continue
        wanted = release.versions if release else frozenset()
        for version in sorted({*store.versions(model), *wanted}):
            yield _digest(store, ServableId(model, version), is_wanted=version in wanted)


def _digest(store: Store, id_: ServableId, *, is_wanted: bool) -> Finding:
    try:
        version = store.open(id_)
    except FairleadError as error:
        return Finding(
            name=str(id_),
            health=Health.FAILED if is_wanted else Health.WARNING,
            message=error.message,
            hint=f"fairlead rollback {id_.model}"
            if is_wanted
            else f"remove it: rm -r {store.root / id_.model / str(id_.version)}",
        )
    return _ok(
        str(id_), f"{len(version.manifest.files)} files, every byte as published{' and released' if is_wanted else ''}"
    )


# -- memory, clock, disk -------------------------------------------------------------------------------------------


def _memory_bytes() -> int:
    """What this process may use: the machine's memory, cut by the cgroup's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            return min(total, int(path.read_text()))
        except (OSError, ValueError):  # not this cgroup version, or "max"
            continue
    return total


def _memory(manifests: Sequence[Manifest], available: int) -> Finding:
    """The newest version of each model, and the largest twice: a swap loads the new one beside the old."""
    newest = {manifest.model: manifest for manifest in sorted(manifests, key=lambda manifest: manifest.version)}
    costs = [manifest.cost.peak_memory_bytes for manifest in newest.values() if manifest.cost]
    needed = _PROCESS_BYTES + sum(costs) + max(costs, default=0)
    figures = f"{needed // _MIB} MiB needed for {len(costs)} models and a swap, {available // _MIB} MiB there"
    if needed <= available:
        return _ok("memory", figures)
    return Finding(
        name="memory",
        health=Health.FAILED,
        message=figures,
        hint="give the process more memory, or serve fewer models: --models NAME",
    )


def _clock(store: Store, manifests: Sequence[Manifest]) -> Finding:
    stamps = [manifest.created_at for manifest in manifests]
    for model in store.models():
        try:
            stamps += [release.at for release in store.history(model)]
        except FairleadError:
            continue  # `_digests` reports a release that cannot be read
    ahead = max(((stamp - now()).total_seconds() for stamp in stamps), default=0.0)
    if ahead <= 1:
        return _ok("clock", f"{now():%Y-%m-%d %H:%M:%S} UTC, behind no version and no release")
    return Finding(
        name="clock",
        health=Health.FAILED,
        message=f"the clock is {ahead:.0f} s behind the newest version or release in the store",
        hint="timedatectl set-ntp true",
    )


def _disk(store: Store) -> Finding:
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    message = f"{free // _MIB:,} MiB free at {place}"
    if free >= _DISK_WARN_BYTES:
        return _ok("disk", message)
    health = Health.WARNING if free >= _DISK_FAIL_BYTES else Health.FAILED
    return Finding(name="disk", health=health, message=message, hint=f"du -sh {store.root}/*/* | sort -h")
