"""Lets workers that have nothing to do take over part of a look, so that one camera's look may use the cores that no other camera needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Help = Callable[[Callable[[], None]], bool]
"""Has an idle worker call this soon, perhaps after it is no longer needed; False: none is idle."""


class Beside:
    """Calls that are independent of one another, by this thread and by whoever helps. The answers do not depend on who that is. Any thread."""

    def __init__(self, help_with: Help = lambda work: False) -> None:
        self._help = help_with

    def map(self, call: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """The answers in order. Raises what the first failing call raised, after all have come to their end."""
        if len(items) < 2:
            return [call(item) for item in items]
        answers: list[Future[Answer]] = [Future() for _ in items]
        waiting = deque(zip(items, answers, strict=True))

        def work() -> None:
            while True:
                try:
                    item, answer = waiting.popleft()
                except IndexError:
                    return
                try:
                    answer.set_result(call(item))
                except BaseException as error:  # noqa: BLE001 - raised again by whoever reads the answer
                    answer.set_exception(error)

        for _ in range(len(items) - 1):
            if not self._help(work):
                break
        work()
        failed = [error for answer in answers if (error := answer.exception()) is not None]
        if failed:
            raise failed[0]
        return [answer.result() for answer in answers]


ALONE = Beside()
"""Nobody helps."""
