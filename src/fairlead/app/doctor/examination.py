"""Everything that the doctor looks at."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from fairlead.app.doctor.autoscalers import autoscalers
from fairlead.app.doctor.doors import access, certificate, signing
from fairlead.app.doctor.finding import Finding, Health
from fairlead.app.doctor.install import architecture, installed_version, onnxruntime_binary, packages, request_path
from fairlead.app.doctor.machine import clock, disk, memory
from fairlead.app.doctor.models import digests, readable_manifests, writable
from fairlead.app.doctor.port import port, port_variable
from fairlead.app.releases import now, open_store
from fairlead.config import Settings, available_memory_bytes
from fairlead.store.store import Store

__all__ = ["examine"]


def examine(
    settings: Settings, environ: Mapping[str, str] = os.environ, *, manifests: Iterable[Path] = ()
) -> Iterator[Finding]:
    """Look at everything, in the order of a start: machine, install, ports, store, models, memory, clock, disk.

    Args:
        settings: of the server that is to start.
        environ: the environment.
        manifests: files of Kubernetes manifests, whose autoscalers are looked at last.
    """
    store = _open_store(settings)
    known = readable_manifests(store)
    yield architecture(platform.machine(), onnxruntime_binary())
    yield request_path()
    yield from packages(metadata.requires("fairlead") or [], installed_version)
    yield port(settings.host, settings.rest_port, "--rest-port")
    yield port(settings.host, settings.grpc_port, "--grpc-port")
    yield port(settings.management_host, settings.management_port, "--management-port")
    yield from access(settings, environ)
    yield from certificate(settings)
    yield from signing(settings)
    yield port_variable(settings.rest_port, environ)
    yield writable(store)
    yield from digests(store)
    yield memory(known, settings.worker_count, available_memory_bytes())
    yield clock(store, known, now())
    yield disk(store)
    for path in manifests:
        yield from autoscalers(path)


def _open_store(settings: Settings) -> Store:
    """The store, which asks for signatures unless its keys cannot be used: that is a finding of its own."""
    keys = [finding for finding in signing(settings) if finding.health is Health.FAILED]
    return open_store(replace(settings, trusted_keys=()) if keys else settings)
