"""Observers: functions that are called with each thing that happens, while others come and go in other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Observer = TypeVar("Observer", bound=Callable[..., None])


class Observers(Generic[Observer]):
    """A thread-safe list of functions. Iterating is of those that were there when it began, and takes no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: tuple[Observer, ...] = ()

    def add(self, observer: Observer) -> None:
        """Call it from now on, in the thread in which things happen. It must be quick and must not raise."""
        with self._lock:
            self._all = (*self._all, observer)

    def remove(self, observer: Observer) -> None:
        """Do not call it any more; a call that is running goes to its end. Nothing where it is not there."""
        with self._lock:
            self._all = tuple(each for each in self._all if each != observer)

    def all(self) -> tuple[Observer, ...]:
        """The functions that are to be called now."""
        return self._all
