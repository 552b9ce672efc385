"""An answer in the making runs at once, waits as a task would, and is told when nobody wants it any more."""

import asyncio

import pytest

from fairlead.transport.answering import Answering


async def test_what_need_not_wait_ends_at_once() -> None:
    """A coroutine without waits is over when `begin` returns, and `then` is not called."""
    said: list[str] = []

    async def speak() -> None:
        said.append("spoken")

    assert Answering(speak(), lambda: said.append("then")).begin()
    assert said == ["spoken"]


async def test_it_goes_on_when_what_it_waits_for_is_done() -> None:
    """It runs to its first wait, goes on after each, and tells its end."""
    said: list[object] = []
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    over = asyncio.Event()

    async def speak() -> None:
        said.append(await first)
        said.append(await second)

    assert not Answering(speak(), over.set).begin()
    first.set_result("one")
    await asyncio.sleep(0)
    assert said == ["one"]
    assert not over.is_set()
    second.set_result("two")
    await asyncio.sleep(0)
    assert said == ["one", "two"]
    assert over.is_set()


async def test_it_hears_that_it_is_cancelled() -> None:
    """The coroutine gets a CancelledError where it waits, may tidy up, and has ended then."""
    tidied, over = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tidied.set()

    answering = Answering(wait(), over.set)
    answering.begin()
    answering.cancel()
    await asyncio.sleep(0)
    assert tidied.is_set()
    assert over.is_set()
    answering.cancel()  # once more, when it is over, changes nothing


async def test_it_waits_for_tasks_and_threads() -> None:
    """Whatever asyncio gives to wait for will do."""
    over = asyncio.Event()
    said: list[str] = []

    async def hurry() -> str:
        async with asyncio.timeout(20):  # which needs a task around it
            return await asyncio.to_thread(str, 1)

    async def speak() -> None:
        said.append(await asyncio.to_thread(str, 0))
        said.append(await asyncio.create_task(hurry()))

    Answering(speak(), over.set).begin()
    async with asyncio.timeout(20):
        await over.wait()
    assert said == ["0", "1"]


async def test_a_bug_is_not_hidden() -> None:
    """What the coroutine raises reaches whoever runs it."""

    async def break_() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Answering(break_(), lambda: None).begin()
