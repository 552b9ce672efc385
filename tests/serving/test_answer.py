"""An answer is a future whose waiter goes on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import numpy as np
import pytest

from fairlead.serving.answer import Answer

OUTPUTS = {"y": np.zeros(1)}
WHO = ContextVar("WHO", default="nobody")


def in_the_loop(call: Callable[[], object]) -> Awaitable[None]:
    """Done once `call` was made by the loop itself, in no task."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[None] = loop.create_future()

    def make() -> None:
        call()
        made.set_result(None)

    loop.call_soon(make)
    return made


async def test_a_task_that_waits_goes_on_at_once_and_in_its_own_context() -> None:
    """Before the call that gives the outputs returns."""
    answer = Answer(asyncio.get_running_loop())
    seen: list[object] = []

    async def wait() -> None:
        WHO.set("the waiter")
        seen.append((await answer, WHO.get()))

    def give() -> None:
        answer.set_result(OUTPUTS)
        seen.append("given")

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await in_the_loop(give)
    await task
    assert seen == [(OUTPUTS, "the waiter"), "given"]


async def test_what_is_there_already_is_not_waited_for() -> None:
    """Outputs and errors alike; callbacks that come late are called too."""
    answer, broken = Answer(asyncio.get_running_loop()), Answer(asyncio.get_running_loop())
    answer.set_result(OUTPUTS)
    broken.set_exception(ZeroDivisionError())
    assert await answer is OUTPUTS
    with pytest.raises(ZeroDivisionError):
        await broken
    late: list[object] = []
    answer.add_done_callback(late.append)
    await asyncio.sleep(0)
    assert late == [answer]


async def test_an_error_is_raised_where_it_is_waited_for() -> None:
    """In the loop's next turn: it may come from within the step of a task."""
    answer = Answer(asyncio.get_running_loop())
    task = asyncio.create_task(asyncio.wait_for(answer, 20))
    await asyncio.sleep(0)
    answer.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await task


async def test_a_task_that_is_cancelled_cancels_what_it_waits_for() -> None:
    """Nobody wants it then; once it is there it is too late."""
    answer = Answer(asyncio.get_running_loop())

    async def wait() -> None:
        await answer

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.cancelled()
    assert not answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        answer.result()


async def test_before_its_time_it_has_no_result() -> None:
    """As with any future."""
    answer = Answer(asyncio.get_running_loop())
    assert not answer.done()
    assert answer.get_loop() is asyncio.get_running_loop()
    with pytest.raises(asyncio.InvalidStateError):
        answer.result()


async def test_a_waiter_that_breaks_takes_no_other_along() -> None:
    """The loop is told, and the rest go on."""
    loop = asyncio.get_running_loop()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    answer, seen = Answer(loop), list[object]()
    broken = ZeroDivisionError()

    def breaks(_: object) -> None:
        raise broken

    answer.add_done_callback(breaks)
    answer.add_done_callback(seen.append)
    answer.set_result(OUTPUTS)
    assert (told, seen) == ([broken], [answer])
