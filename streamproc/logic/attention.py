"""How often a feed is worth analysing, by what could still be told of it.

The contract of labels is once per class and session. While a class has not been announced, every frame that is asked for counts. Once all have
been, a frame can only tell that they are still there, or have left; that needs no more than a frame a second (or a camera's keyframes, where
they come often enough), and every frame again as soon as one is not there for sure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class OpenNews:
    """What the present session could still tell of the classes that are asked for."""

    any_class: bool
    """There is a class that could be announced now."""
    kept: frozenset[str] = frozenset()
    """Classes whose absence would be told: it ends the visit, and makes a return news."""
    gone_after: Fraction | None = None
    """Out of view for so long means gone; None: nothing is ever told of absence."""


EVERYTHING = OpenNews(True)


PRESENCE = Fraction(1)
"""Seconds between frames that only have to show that somebody is still there."""
LOOKS_PER_ABSENCE = 2
"""At least so many frames lie within ``gone_after``."""
LONGEST = Fraction(10)
"""Seconds between pictures where nothing at all could be told of absence: a feed is not left alone for longer."""


def presence_interval(news: OpenNews, in_view: Collection[str]) -> Fraction | None:
    """Seconds between frames that are worth analysing; None: every frame that is asked for.

    ``in_view``: classes that the newest analysis found for sure.
    """
    if news.any_class or not news.kept <= set(in_view):
        return None
    return min(PRESENCE, farthest_apart(news))


def farthest_apart(news: OpenNews) -> Fraction:
    """Seconds that may lie between pictures that show presence, so that nobody is taken for gone who was there."""
    return LONGEST if news.gone_after is None else news.gone_after / LOOKS_PER_ABSENCE
