"""``replay --explain``: the answer of ``explain`` about an instant of a clip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from streamproc.cli.explain import show
from streamproc.config.duration import parse_duration
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError

if TYPE_CHECKING:
    from streamproc.live.replay import Stored
    from streamproc.perception.provider import ModelProvider

__all__ = ["Asked", "of_clip", "second_of", "show", "window_of"]

_MINUTES = re.compile(r"(?:(\d+):)?(\d+(?:\.\d+)?)s?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a clip."""

    clip: Stored
    config: ProcessorConfig
    name: str
    second: float
    """Media time."""
    window: timedelta


def second_of(text: str) -> float:
    """``12.5`` or ``1:02.5`` in seconds. Raises InputError."""
    match = _MINUTES.fullmatch(text.strip())
    if match is None:
        raise InputError(f"--explain: {text!r} is no time of a clip; write seconds such as 12.5, or 1:02.5")
    return 60 * int(match[1] or 0) + float(match[2])


def window_of(text: str) -> timedelta:
    """Raises InputError."""
    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        raise InputError(f"--window: {error}") from None


def of_clip(asked: Asked, provider: ModelProvider) -> dict[str, Any]:
    """Replay the clip with a trace, and explain the window about the asked second."""
    from streamproc.live.replay import recorded_at, replay
    from streamproc.live.tracing import TraceMemory

    memory = TraceMemory()
    for _ in replay(asked.clip, asked.config, provider, asked.name, memory.take):
        pass
    at = recorded_at(asked.clip) + timedelta(seconds=asked.second)
    return memory.explain(asked.name, asked.config, at - asked.window / 2, at + asked.window / 2)
