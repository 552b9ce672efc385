"""Memory, clock and disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime

from fairlead.app.doctor.finding import Finding, Health, ok
from fairlead.errors import FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.store.store import Store

__all__ = ["clock", "disk", "memory"]

_MIB = 2**20
_PARENT_BYTES = 32 * _MIB  # measured, and some air
_WORKER_BYTES = 90 * _MIB  # the same, with no model in it
_DISK_WARN_BYTES = 1024 * _MIB
_DISK_FAIL_BYTES = 200 * _MIB


def memory(manifests: Sequence[Manifest], workers: int, available: int) -> Finding:
    """In each worker the newest version of each model, the largest twice: a swap loads the new one beside the old."""
    newest = {manifest.model: manifest for manifest in sorted(manifests, key=lambda manifest: manifest.version)}
    costs = [manifest.cost.peak_memory_bytes for manifest in newest.values() if manifest.cost]
    needed = _PARENT_BYTES + workers * (_WORKER_BYTES + sum(costs) + max(costs, default=0))
    figures = (
        f"{needed // _MIB} MiB needed for {workers} workers, {len(costs)} models and a swap, "
        f"{available // _MIB} MiB there"
    )
    if needed <= available:
        return ok("memory", figures)
    return Finding(
        name="memory",
        health=Health.FAILED,
        message=figures,
        hint="give the process more memory, or serve with fewer workers (--workers 1) or models (--models NAME)",
    )


def clock(store: Store, manifests: Sequence[Manifest], now: datetime) -> Finding:
    """A clock behind what it stamped itself would put releases and logs in the wrong order."""
    stamps = [manifest.created_at for manifest in manifests]
    for model in store.models():
        try:
            stamps += [release.at for release in store.history(model)]
        except FairleadError:
            continue  # `_digests` reports a release that cannot be read
    ahead = max(((stamp - now).total_seconds() for stamp in stamps), default=0.0)
    if ahead <= 1:
        return ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, behind no version and no release")
    return Finding(
        name="clock",
        health=Health.FAILED,
        message=f"the clock is {ahead:.0f} s behind the newest version or release in the store",
        hint="timedatectl set-ntp true",
    )


def disk(store: Store) -> Finding:
    """Room for the next versions."""
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    message = f"{free // _MIB:,} MiB free at {place}"
    if free >= _DISK_WARN_BYTES:
        return ok("disk", message)
    health = Health.WARNING if free >= _DISK_FAIL_BYTES else Health.FAILED
    return Finding(name="disk", health=health, message=message, hint=f"du -sh {store.root}/*/* | sort -h")
