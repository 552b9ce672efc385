"""Which published versions may be deleted, and their deletion: never what serves or may be rolled back to."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence

from fairlead.controller.backup import holding_model
from fairlead.errors import Code, FairleadError
from fairlead.store import files
from fairlead.store.release import Release, earlier_stables
from fairlead.store.store import Store, names_in

__all__ = ["deletable_versions", "delete_versions"]

_DELETED = ".deleted-"


def deletable_versions(
    versions: Collection[int],
    history: Sequence[Release],
    *,
    keep: int,
    rollback_targets: int,
    in_use: Collection[int] = (),
) -> tuple[int, ...]:
    """The versions that nobody needs any more, oldest first.

    Kept are those that the release in force names (stable, candidate, labels), the nearest versions that a rollback
    would return to, everything newer than the stable version, and the newest. Before the first release all are kept.

    Args:
        versions: the published ones.
        history: every release, oldest first; the last is in force.
        keep: how many of the newest to keep, whatever they are.
        rollback_targets: how many of the earlier stable versions to keep, at least 1.
        in_use: others that are needed, such as the candidate of a rollout that is about to begin.

    Raises:
        FairleadError: INVALID_ARGUMENT for fewer than one rollback target or a negative `keep`.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> history = [Release(revision=i, stable=v, who="", why="", at=at) for i, v in enumerate([1, 2, 4, 6], 1)]
    >>> deletable_versions(range(1, 8), history, keep=2, rollback_targets=1)
    (1, 2, 3, 5)
    """
    if rollback_targets < 1 or keep < 0:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"keeping {keep} versions and {rollback_targets} rollback targets is too few: 0 and 1",
        )
    if not history:
        return ()
    release = history[-1]
    newest = sorted(versions)[-keep:] if keep else []
    needed = {*release.versions, *earlier_stables(history)[:rollback_targets], *newest, *in_use}
    return tuple(version for version in sorted(versions) if version < release.stable and version not in needed)


def delete_versions(
    store: Store, model: str, *, keep: int, rollback_targets: int, in_use: Collection[int] = ()
) -> tuple[int, ...]:
    """Delete what `deletable_versions` names, with the model's writers kept out, and return it.

    What a graph is made of is in use as long as the graph is there.

    A version is renamed first, so that no reader sees half of one; a server that has it loaded keeps it until it lets
    go. Killed in between, the next call removes what is left.

    Raises:
        FairleadError: ABORTED while a writer is at work, FAILED_PRECONDITION when the store cannot be written, and as
            `deletable_versions`.
    """
    with files.storage_errors(f"deleting versions of {model}"), holding_model(store, model) as base:
        _clear(store, model)
        doomed = deletable_versions(
            store.versions(model),
            store.history(model),
            keep=keep,
            rollback_targets=rollback_targets,
            in_use={*in_use, *store.members(model)},
        )
        for version in doomed:
            (base / str(version)).rename(base / f"{_DELETED}{version}")
        files.sync_directory(base)
        _clear(store, model)
    return doomed


def _clear(store: Store, model: str) -> None:
    base = store.base(model)
    for name in names_in(base):
        if name.startswith(_DELETED):
            shutil.rmtree(base / name)
