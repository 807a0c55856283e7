"""Blocking core calls off the event loop: few at a time, and not without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from streamproc.aws_protocol.faults import AwsFault
from streamproc.threads import Threads

P = ParamSpec("P")
R = TypeVar("R")
MOST_WAITING = 64


class Workers:
    """Threads for pictures. What does not fit in the queue is told to slow down, as the service does."""

    def __init__(self, threads: int = 2, most_waiting: int = MOST_WAITING) -> None:
        self._pool = Threads("pictures of requests", threads)
        self._most = threads + most_waiting
        self._open = 0

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``call`` in one of the threads."""
        if self._open >= self._most:
            raise AwsFault("ThrottlingException", "Slow down; sudden increase in rate of requests.")
        self._open += 1
        try:
            return await self._pool.run(call, *args, **kwargs)
        finally:
            self._open -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False)
