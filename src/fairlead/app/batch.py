"""A batch: a version of the store, and the job that it scores here, on a Ray cluster, or all of it there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from fairlead.app.cluster import CLIENT, Package, connected, run_task
from fairlead.app.models import open_loader
from fairlead.app.releases import open_store
from fairlead.batch.executor import Threads
from fairlead.batch.job import Job, check_input
from fairlead.batch.output import Counts
from fairlead.config import LOCAL, Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.servable import Servable
from fairlead.store.store import Store

__all__ = ["batch"]

OnPart = Callable[[ServableId, Counts], None]
_RETRIES = 3
_PATIENCE_S = 600.0  # nobody waits for a row: a graph's members may take their time


def batch(
    settings: Settings, model: str, version: int | None, job: Job, on_part: OnPart, *, engine: str = LOCAL
) -> tuple[ServableId, Counts]:
    """Score `job` with a version, None for the one that serves; who it was, and how many rows there were.

    Args:
        settings: where the store is.
        model: which.
        version: which of its.
        job: what is to be scored.
        on_part: told who scores, and how far it is, after each part.
        engine: `local`, or see `connected`; with `ray://` all paths are those of the cluster.

    Raises:
        FairleadError: the reason.
    """
    if engine.startswith(CLIENT):
        return _whole_there(settings, model, version, job, on_part, engine=engine)
    check_input(job.input)
    store = open_store(settings)
    id_ = ServableId(model, _serving(store, model) if version is None else version)
    if engine == LOCAL:
        return id_, _score_here(settings, id_, job, on_part)
    return id_, _score_on_nodes(store, id_, job, on_part, engine)


def _serving(store: Store, model: str) -> int:
    release = store.release(model)
    if release is None and not store.versions(model):
        raise store.no_model(model)
    if release is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"no version of {model!r} serves",
            hint=f"name one: --version {store.versions(model)[-1]}",
        )
    return release.stable


def _score_here(settings: Settings, id_: ServableId, job: Job, on_part: OnPart) -> Counts:
    loaded = open_loader(settings, patience_s=_PATIENCE_S).load(id_)
    try:
        servable, manifest = loaded.answering("")
        threads = Threads(servable, len(os.sched_getaffinity(0)))
        return job.run(manifest, threads, lambda counts: on_part(id_, counts))
    finally:
        loaded.close()


def _score_on_nodes(store: Store, id_: ServableId, job: Job, on_part: OnPart, engine: str) -> Counts:
    package = Package.of(store, id_)
    with connected(engine):
        from fairlead.batch.ray_executor import RayExecutor  # noqa: PLC0415 - an extra

        executor = RayExecutor(partial(_load, package))
        return job.run(store.manifest(id_), executor, lambda counts: on_part(id_, counts))


def _load(package: Package) -> Servable:
    """The model, in an actor of the cluster; proven there as it is here."""
    with package.unpacked() as root:
        servable, _ = open_loader(Settings(store=root), patience_s=_PATIENCE_S).load(package.id).answering("")
    return servable


def _whole_there(
    settings: Settings, model: str, version: int | None, job: Job, on_part: OnPart, *, engine: str
) -> tuple[ServableId, Counts]:
    """All of it in a task of the cluster: who comes by `ray://` is outside, and may have none of the files."""
    job = replace(job, input=job.input.absolute(), output=job.output.absolute())
    texts = settings.texts()  # of which no password goes: only what is needed there
    told = {name: texts[name] for name in ("trusted_keys",) if name in texts}
    told["store"] = settings.bucket_url or str(settings.store_path.absolute())
    with connected(engine) as ray:
        found: tuple[ServableId, Counts] = run_task(
            ray, _task, told, model, version, job, on_word=lambda word: on_part(*word), cpus=0, retries=_RETRIES
        )
    return found


def _task(
    told: dict[str, str], model: str, version: int | None, job: Job, tell: Callable[[Any], None]
) -> tuple[ServableId, Counts]:
    settings = Settings.read({}, **told)
    return batch(settings, model, version, job, lambda id_, counts: tell((id_, counts)), engine="ray")
