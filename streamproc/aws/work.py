"""Blocking core calls off the event loop: few at a time, and not without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from streamproc.aws_protocol.faults import AwsFault

P = ParamSpec("P")
R = TypeVar("R")
MOST_WAITING = 64


class Workers:
    """Threads for pictures. What does not fit in the queue is told to slow down, as the service does."""

    def __init__(self, threads: int = 2, most_waiting: int = MOST_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws-picture")
        self._most = threads + most_waiting
        self._open = 0

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``call`` in one of the threads."""
        if self._open >= self._most:
            raise AwsFault("ThrottlingException", "Slow down; sudden increase in rate of requests.")
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))
        finally:
            self._open -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
