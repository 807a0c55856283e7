"""A log line for what lasts: said when it begins, when its reason becomes another, and at its end with how often it was met."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog

log = structlog.get_logger(__name__)

MOST_REASONS = 5
"""So many reasons of one state are said: texts of servers may differ in each answer."""
_NUMBERS = re.compile(r"\d+(\.\d+)?")


class Trouble:
    """One thing that fails again and again while something else is broken. Reasons that differ in their numbers only are the same one.

    ``event``: the line of its beginning, a warning with ``reason``; ``over``: that of its end, with ``after_s`` and ``times``.
    ``words``: what both lines say beside.
    """

    def __init__(self, event: str, over: str, **words: Any) -> None:
        self._event, self._over, self._words = event, over, words
        self._said: set[str] = set()
        self._times = 0
        self._since = 0.0

    def met(self, reason: object, *, bug: BaseException | None = None, **more: Any) -> None:
        """Note a failure. ``bug``: an error with its traceback, where nobody expected it; ``more``: what this line says beside."""
        if not self._times:
            self._since = time.monotonic()
        self._times += 1
        kind = _NUMBERS.sub("#", str(reason))
        if kind in self._said or len(self._said) >= MOST_REASONS:
            return
        self._said.add(kind)
        say = log.warning if bug is None else log.error
        say(self._event, **self._words, **more, reason=str(reason), **({} if bug is None else {"exc_info": bug}))

    def over(self) -> None:
        """Note that the work succeeds; says so where it had failed."""
        if self._times:
            after = round(time.monotonic() - self._since, 1)
            log.warning(self._over, **self._words, after_s=after, times=self._times)
            self.forget()

    def forget(self) -> None:
        """Drop a trouble that is of no interest any more: its end is not said."""
        self._said.clear()
        self._times = 0
