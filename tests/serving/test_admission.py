"""Long queues are allowed until a bound is met; then little may wait until it is calm again."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from fairlead.errors import OverloadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.serving.admission import Admission
from fairlead.serving.answer import Answer
from fairlead.serving.handle import Handle
from fairlead.serving.lane import Lane, Waiting

X = TensorSpec(name="x", dtype="float32", shape=(-1, 1))
MANIFEST = Manifest(
    model="m",
    version=1,
    runtime="none",
    signature=Signature(inputs=(X,), outputs=(X,)),
    labels=(),
    files={},
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class World:
    """An admission whose clock stands, and a lane of ten milliseconds a row."""

    def __init__(self, *, max_queue_s: float = 2.0, pace_s: float = 0.01, max_rows: int = 4, threads: int = 1) -> None:
        self.now = 100.0
        self.admission = Admission(max_in_flight=8, max_queue_s=max_queue_s, clock=lambda: self.now)
        self.lane = Lane(Handle(Mock(), MANIFEST, Mock()), max_rows, threads, Mock())
        self.lane.pace_s = pace_s

    def admits(self, waiting_rows: int, tenant: str | None = None) -> bool:
        """Whether one more may wait behind so many rows."""
        self.lane.waiting_rows = waiting_rows
        try:
            self.admission.check_queue(self.lane, tenant)
        except OverloadError:
            return False
        return True


def test_a_long_queue_is_no_overload() -> None:
    """Until the bound is met, a queue may be as long as it says."""
    world = World()
    assert all(world.admits(rows) for rows in range(0, 201, 10))
    assert not world.admits(201)


def test_once_the_bound_was_met_little_may_wait() -> None:
    """A tenth of a second of work, until nobody was refused for a second."""
    world = World()
    assert not world.admits(201)
    assert (world.admits(10), world.admits(11)) == (True, False)
    world.now += 0.9
    assert not world.admits(11)  # which starts the second anew
    world.now += 0.9
    assert not world.admits(11)
    world.now += 1.1
    assert world.admits(200)


def test_a_full_server_is_an_overload_for_all() -> None:
    """When the server holds no more requests, every lane keeps its queue short."""
    world = World()
    world.admission.check_room(7)
    assert world.admits(100)
    with pytest.raises(OverloadError, match="8 requests are in flight"):
        world.admission.check_room(8)
    assert (world.admits(10), world.admits(11)) == (True, False)


def test_two_batches_may_always_wait() -> None:
    """Where a batch takes longer than the short queue, the next two are kept ready."""
    world = World(pace_s=0.1, max_rows=8)
    assert not world.admits(21)
    assert (world.admits(16), world.admits(17)) == (True, False)


def test_a_bound_below_the_short_queue_holds() -> None:
    """What the user sets is never exceeded."""
    world = World(max_queue_s=0.05)
    assert (world.admits(5), world.admits(6), world.admits(5), world.admits(6)) == (True, False, True, False)


def test_threads_share_the_work() -> None:
    """Two runs at once make the wait half as long."""
    world = World(threads=2)
    assert (world.admits(400), world.admits(401)) == (True, False)


def test_the_refusal_says_how_much_waits() -> None:
    """And what to do."""
    world = World()
    world.lane.waiting_rows = 250
    with pytest.raises(OverloadError, match=r"250 rows wait already, 2.5 s of work") as caught:
        world.admission.check_queue(world.lane)
    assert "FAIRLEAD_MAX_QUEUE_S" in caught.value.hint


def test_a_tenant_that_floods_leaves_room_for_another() -> None:
    """Where a bound is met, who holds less than the average is let in until it holds as much, up to twice the bound."""
    world = World()
    for _ in range(10):
        world.admission.hold("flood")
    assert not world.admits(201, "flood")
    assert [world.admits(11, tenant) for tenant in ("flood", "other", None)] == [False, True, False]
    assert [world.admits(rows, "other") for rows in (20, 21)] == [True, False]
    world.admission.check_room(15, "other")
    for in_flight, tenant in ((16, "other"), (8, "flood"), (8, None)):
        with pytest.raises(OverloadError):
            world.admission.check_room(in_flight, tenant)
    for _ in range(9):
        world.admission.hold("other")
    assert world.admits(11, "other")
    world.admission.hold("other")
    assert not world.admits(11, "other")
    assert world.admits(11, "third")
    for _ in range(10):
        world.admission.let_go("other")
    assert world.admits(11, "other")


def test_one_tenant_alone_has_what_all_would_have() -> None:
    """Its share is everything, and no more than that."""
    world = World()
    for _ in range(50):
        world.admission.hold("only")
    assert (world.admits(200, "only"), world.admits(201, "only")) == (True, False)
    assert (world.admits(10, "only"), world.admits(11, "only")) == (True, False)
    for _ in range(50):
        world.admission.let_go("only")
    assert not world.admits(11, "only")


@pytest.mark.parametrize(("runtime", "is_refused"), [("pyfunc", True), ("onnx", False)])
async def test_a_version_that_may_hang_leaves_room_for_others(runtime: str, is_refused: bool) -> None:
    """Half of what the server holds may wait for it, whatever its pace was before."""
    world = World(pace_s=1e-6)
    handle = Handle(Mock(), replace(MANIFEST, runtime=runtime), Mock())
    world.lane = Lane(handle, 4, 1, Mock())
    inputs = {"x": np.zeros((1, 1), np.float32)}
    told: dict[str, Any] = {
        "id": "",
        "outputs": None,
        "label": "",
        "rows": 1,
        "since": 0.0,
        "deadline": None,
        "answer": Answer(asyncio.get_running_loop()),
    }
    for _ in range(3):
        world.lane.put(Waiting(handle, inputs, **told))
    world.admission.check_queue(world.lane)
    world.lane.put(Waiting(handle, inputs, **told))

    with pytest.raises(OverloadError, match="4 requests wait for m") if is_refused else nullcontext():
        world.admission.check_queue(world.lane)
