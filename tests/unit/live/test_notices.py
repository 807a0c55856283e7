"""Who hears what becomes of processors."""

import asyncio

from streamproc.live.notices import Notices


async def test_events_from_a_worker_are_told_in_the_loop_and_nobody_hears_any_before_it_runs() -> None:
    notices, heard = Notices(), []
    notices.committed.append(lambda events: heard.append(asyncio.get_running_loop()))
    notices.tell_committed([])
    notices.bind(asyncio.get_running_loop())
    await asyncio.to_thread(notices.tell_committed, [])
    await asyncio.sleep(0)
    assert heard == [asyncio.get_running_loop()]


def test_a_listener_that_goes_while_it_is_told_keeps_nobody_from_hearing() -> None:
    notices, heard = Notices(), []

    def once(name: str) -> None:
        notices.states.remove(once)

    notices.states += [once, heard.append]
    notices.tell_state("door")
    assert heard == ["door"]
