"""Threads for blocking calls: bounded, left behind when they hang, and no second attempt beside a first that hangs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from streamproc.core.errors import HeldUp
from streamproc.threads import FolderThreads, OneAtATime, RequestThreads, StillBusy, Threads


async def test_results_and_errors_come_back_and_threads_are_bounded() -> None:
    threads, names = Threads("test", 3), set[str]()

    def call(number: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        if number == 7:
            raise KeyError(number)
        return number * 2

    found = await asyncio.gather(*(threads.run(call, number) for number in range(20)), return_exceptions=True)
    assert [item for item in found if isinstance(item, int)] == [number * 2 for number in range(20) if number != 7]
    assert isinstance(found[7], KeyError) and 1 <= len(names) <= 3
    threads.shutdown()
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(call, 1)


async def test_who_gets_no_thread_in_time_is_told_so_and_never_begun() -> None:
    door, begun, threads = threading.Event(), list[int](), RequestThreads("test", 2, patience_s=0.1)

    def call(number: int) -> int:
        begun.append(number)
        door.wait(20)
        return number

    first = [asyncio.create_task(threads.run(call, number)) for number in range(2)]
    gone = asyncio.create_task(threads.run(call, 2))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(HeldUp, match="test: what was asked for before"):
        await threads.run(call, 3)
    door.set()
    assert await asyncio.gather(*first) == [0, 1], "a call that has begun is waited for"
    assert await threads.run(call, 4) == 4
    assert sorted(begun) == [0, 1, 4]
    threads.shutdown()


async def test_nothing_is_begun_beside_a_call_that_hangs_and_what_came_back_late_counts() -> None:
    door, calls, one = threading.Event(), list[str](), OneAtATime("output")

    def write(name: str) -> None:
        calls.append(name)
        door.wait(20)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await one.run("a", lambda: write("a"))
    for name in ("a", "b"):
        with pytest.raises(StillBusy, match="has not come back"):
            await one.run(name, lambda name=name: write(name))  # type: ignore[misc]
    door.set()
    async with asyncio.timeout(10):
        while True:
            try:
                await one.run("a", lambda: write("a"))
                break
            except StillBusy:
                await asyncio.sleep(0.01)
    assert calls == ["a"], "the late success was this very event"
    await one.run("b", lambda: write("b"))
    assert calls == ["a", "b"]
    one.close()


def test_a_process_ends_though_a_call_hangs() -> None:
    script = """
import asyncio, time
from streamproc.threads import Threads
async def main():
    asyncio.get_running_loop().set_default_executor(Threads("requests", 2))
    try:
        async with asyncio.timeout(0.2):
            await asyncio.to_thread(time.sleep, 3600)
    except TimeoutError:
        print("left")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "left" in done.stdout and "left_behind" in done.stdout, done.stderr


async def test_a_folder_that_hangs_keeps_its_own_threads_only_and_nobody_waits_long() -> None:
    door, folders = threading.Event(), FolderThreads(each=2, patience_s=0.2)
    with pytest.raises(StillBusy):
        await folders.run("/dead", door.wait, 20)
    with pytest.raises(StillBusy):
        await folders.run("/dead", door.wait, 20)
    began = threading.active_count()
    for _ in range(50):  # both threads hang: told at once, and nothing is kept for them
        with pytest.raises(StillBusy):
            await folders.run("/dead", door.wait, 20)
    assert threading.active_count() <= began
    assert await folders.run("/well", lambda: 3) == 3
    with pytest.raises(KeyError):
        await folders.run("/well", {}.__getitem__, "none")
    door.set()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await folders.run("/dead", lambda: 4) == 4
                return
            except StillBusy:
                await asyncio.sleep(0.05)
