"""A batch: a version of the store, loaded into this process, and the job that it scores."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.app.models import open_loader
from fairlead.app.releases import open_store
from fairlead.batch.job import Job, check_input
from fairlead.batch.output import Counts
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId

__all__ = ["batch"]


def batch(
    settings: Settings, model: str, version: int | None, job: Job, on_part: Callable[[ServableId, Counts], None]
) -> tuple[ServableId, Counts]:
    """Score `job` with a version, None for the one that serves; who it was, and how many rows there were.

    Args:
        settings: where the store is.
        model: which.
        version: which of its.
        job: what is to be scored.
        on_part: told who scores, and how far it is, after each part.

    Raises:
        FairleadError: the reason.
    """
    check_input(job.input)
    store = open_store(settings)
    if version is None:
        release = store.release(model)
        if release is None and not store.versions(model):
            raise store.no_model(model)
        if release is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"no version of {model!r} serves",
                hint=f"name one: --version {store.versions(model)[-1]}",
            )
        version = release.stable
    id_ = ServableId(model, version)
    loaded = open_loader(settings).load(id_)
    try:
        servable, manifest = loaded.answering("")
        return id_, job.run(servable, manifest, lambda counts: on_part(id_, counts))
    finally:
        loaded.close()
