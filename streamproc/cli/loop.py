"""The event loop of the foreground verbs: uvloop where there is one."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def on_signals(callback: Any, *signals: signal.Signals) -> None:
    """Call ``callback`` in the running loop when one of the signals comes."""
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, callback)
