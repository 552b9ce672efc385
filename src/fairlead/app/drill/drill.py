"""What `fairlead drill` runs: the steps of an incident in order, each timed and judged."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fairlead.app.control import now_us, open_database, open_journal
from fairlead.app.drill.bad_version import check_can_spoil, publish_bad
from fairlead.app.drill.incident import CANARY, HURRY, Incident
from fairlead.app.drill.recovery import AFTER, COPY, back_up_copy, copy_live, damage_and_restore
from fairlead.app.drill.report import Book, Report, Step
from fairlead.app.drill.scene import WORKERS, Scene
from fairlead.app.drill.traffic import LABELLED, RATE, Row, Traffic, ask, rows_like_golden
from fairlead.app.releases import now, open_store, open_writable_store
from fairlead.config import Settings
from fairlead.controller.rollout_record import Status
from fairlead.controller.rollouts import Rollouts
from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store, Version

__all__ = ["STEPS", "drill"]

STEPS = (*COPY, "bad version", "served", *CANARY, *HURRY, AFTER[0], "requests", *AFTER[1:], "answers again", "cleared")
"""The names of the steps, in order."""

_MOST_S = 130.0  # and then what runs is stopped, within three minutes in all
_SEED = 20
_ASKED_AGAIN = 20
_ANSWER_TIMEOUT_S = 10.0


def drill(live: Settings, model: str | None, *, on_step: Callable[[Step], None], keeps_scratch: bool = False) -> Report:
    """Practise an incident on a scratch copy of the live set-up. It waits for no person, and ends within 3 minutes.

    A backup of the live store, registry and database is restored in a scratch directory, whose settings are its own.
    There a bad version is tried by a canary under synthetic traffic, then promoted by hand and rolled back, and a
    backup of the copy is put back over damage. The live set-up is read as any backup reads it, and not changed. What
    was started is stopped by its process id at the end, whatever happened; call this from the main thread, since
    SIGTERM ends it as Ctrl-C does.

    Args:
        live: where the live set-up is.
        model: which to practise with; None for the only one that has a release.
        on_step: told of each step once it is over.
        keeps_scratch: leave the scratch directory there.

    Raises:
        FairleadError: before anything is made: NOT_FOUND for the model, INVALID_ARGUMENT when it is not named and there
            are several, FAILED_PRECONDITION when it has no release, no bad version can be made of it, or a library is
            missing, DATA_LOSS when the version that serves is damaged. What fails later is a step that did not hold.
    """
    good = _find_champion(open_store(live), model)
    check_can_spoil(good.manifest)
    began_s = time.monotonic()
    book = Book(STEPS, on_step)
    scene = Scene(Path(tempfile.mkdtemp(prefix="fairlead-drill-")), good.manifest.model, ends_at_s=began_s + _MOST_S)
    bad: ServableId | None = None
    with _ended_by_sigterm():
        try:
            copy_live(live, scene, book)
            bad = _publish_bad(scene, good.manifest.id, book)
            _practise(scene, good.manifest.id, bad, book)
        except FairleadError:
            if not book.has_failed:  # it belongs to no step, and would be lost
                raise
        finally:
            _clear(scene, book, keeps_scratch=keeps_scratch)
    return Report(
        stable=good.manifest.id,
        bad=bad,
        steps=tuple(book.steps),
        untried=book.untried,
        seconds=time.monotonic() - began_s,
        scratch=str(scene.root) if keeps_scratch else "",
    )


def _find_champion(store: Store, model: str | None) -> Version:
    """The version that serves, every byte of it checked."""
    store.check()
    model = _only_released(store) if model is None else model
    release = store.release(model)
    if release is None:
        if not store.versions(model):
            raise store.no_model(model)
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{model} has no release, so that there is nothing to practise with",
            hint=f"fairlead promote {model} VERSION",
        )
    return store.open(ServableId(model, release.stable))


def _only_released(store: Store) -> str:
    """The model that serves where there is one, else the only one there."""
    models = store.models()
    found = [name for name in models if store.release(name)] or models
    if not found:
        raise FairleadError(Code.NOT_FOUND, f"the store {store.root} holds no model", hint="fairlead train digits")
    if len(found) > 1:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the store holds {', '.join(found)}: which of them is to be practised with?",
            hint=f"fairlead drill {found[0]}",
        )
    return found[0]


def _publish_bad(scene: Scene, id_: ServableId, book: Book) -> ServableId:
    store = open_writable_store(scene.settings)
    with book.step("bad version") as line:
        bad = publish_bad(store, store.open(id_), at=now())
        golden = len(next(iter(Golden.load(bad.directory / GOLDEN_FILE).outputs.values())))
        line.what = (
            f"{bad.manifest.id} is {id_} with its classes shifted by one: it loads, and all {golden} golden rows"
        )
        line.what += " get another class"
    return bad.manifest.id


def _practise(scene: Scene, good: ServableId, bad: ServableId, book: Book) -> None:
    with book.step("served") as line:
        rows = rows_like_golden(open_store(scene.settings).open(good), seed=_SEED)
        with _rollouts(scene) as rollouts:
            _calm(scene, rollouts)
        server = scene.start_server()
        line.what = (
            f"{WORKERS} workers answer at 127.0.0.1:{server.port} (pid {server.pid}), {RATE:g} requests a second, the "
            f"truth told of {LABELLED:.0%}"
        )
    with Traffic(server.port, good.model, rows) as traffic, _rollouts(scene) as rollouts:
        store = open_writable_store(scene.settings)
        incident = Incident(scene=scene, book=book, store=store, rollouts=rollouts, traffic=traffic, good=good, bad=bad)
        incident.canary()
        incident.hurry()
        made = back_up_copy(scene, book)
    with book.step("requests") as line:
        status = server.stop()
        line.held = status == 0 and not traffic.failures
        line.what = (
            f"{len(traffic.answers):,} answered, {len(traffic.failures)} failed, {traffic.labels:,} labels taken in; "
            f"the server drained with status {status}{''.join(f'; {why}' for why in traffic.failures[:1])}"
        )
        line.figures = {"answered": len(traffic.answers), "failures": traffic.failures, "labels": traffic.labels}
    damage_and_restore(scene, made, good, book)
    _answer_again(scene, good, rows, book)


@contextlib.contextmanager
def _rollouts(scene: Scene) -> Iterator[Rollouts]:
    """The copy's rollouts, for as long as the context lasts."""
    engine = open_database(scene.settings)
    try:
        yield Rollouts(
            engine, open_writable_store(scene.settings), open_journal(engine), now_us=now_us, who="controller"
        )
    finally:
        engine.dispose()


def _calm(scene: Scene, rollouts: Rollouts) -> None:
    """In the copy nothing is tried: what was being tried when the live set-up was copied is let go."""
    why = "a drill begins with the stable version alone"
    if rollouts.is_running(scene.model):
        rollouts.end(scene.model, Status.ABORTED, who="drill", why=why)
    open_writable_store(scene.settings).try_candidate(scene.model, None, why=why)


def _answer_again(scene: Scene, good: ServableId, rows: tuple[Row, ...], book: Book) -> None:
    with book.step("answers again") as line:
        server = scene.start_server()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_ANSWER_TIMEOUT_S)
        said = [(ask(connection, good.model, row), row) for row in rows[:_ASKED_AGAIN]]
        connection.close()
        right = sum((one.version, one.label) == (good.version, row.truth) for one, row in said)
        line.held = right == len(said)
        line.what = f"a server over what was restored is ready; {right} of {len(said)} answers are those of {good}"


def _clear(scene: Scene, book: Book, *, keeps_scratch: bool) -> None:
    with book.step("cleared") as line:
        statuses = scene.stop_servers()
        if not keeps_scratch:
            shutil.rmtree(scene.root, ignore_errors=True)
        line.held = not any(statuses.values()) and scene.root.exists() == keeps_scratch
        ended = ", ".join(f"{pid} with status {status}" for pid, status in statuses.items()) or "none"
        line.what = f"servers stopped: {ended}; {scene.root} is {'kept' if keeps_scratch else 'removed'}"


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the drill as Ctrl-C does, so that what was started is stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
