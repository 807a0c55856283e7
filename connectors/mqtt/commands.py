"""What the broker may ask for, where ``commands: true``."""

from __future__ import annotations

from streamproc.config.duration import parse_duration
from streamproc.contracts import ProcessorControl

PAUSE_S = 3600.0
"""How long ``pause`` without a duration is."""


class CommandError(Exception):
    """The payload makes no sense; says what would."""


async def obey(control: ProcessorControl, name: str, what: str, payload: str) -> bytes | None:
    """Carry a command out; a JPEG where it asked for a picture. Raises CommandError, and what ``control`` raises.

    ``what``: set (ON, OFF), mode (schedule, home, away, pause, or ``pause 30m``), min_confidence (0..100), profile, snapshot.
    """
    words = payload.strip()
    match what:
        case "set":
            await _switch(control, name, words.upper())
        case "mode":
            mode, _, duration = words.partition(" ")
            await control.override(name, _mode(mode), _seconds(mode, duration))
        case "min_confidence":
            await control.configure(name, {"labels": {"min_confidence": _number(words)}})
        case "profile":
            await control.configure(name, {"labels": {"profile": words}})
        case "snapshot":
            return await control.still(name)
        case _:
            raise CommandError(f"there is no command {what!r}; use set, mode, min_confidence, profile or snapshot")
    return None


async def _switch(control: ProcessorControl, name: str, wanted: str) -> None:
    if wanted == "ON":
        await control.start(name)
    elif wanted == "OFF":
        await control.stop(name)
    else:
        raise CommandError("send ON or OFF")


def _mode(mode: str) -> str | None:
    if mode not in ("schedule", "home", "away", "pause"):
        raise CommandError("send schedule, home, away, pause, or pause with a duration, such as: pause 30m")
    return None if mode == "schedule" else mode


def _seconds(mode: str, duration: str) -> float | None:
    if mode != "pause":
        return None
    try:
        return parse_duration(duration) if duration else PAUSE_S
    except ValueError as error:
        raise CommandError(str(error)) from None


def _number(words: str) -> float:
    try:
        value = float(words)
    except ValueError:
        raise CommandError(f"{words!r} is no number; send one from 0 to 100") from None
    if not 0 <= value <= 100:
        raise CommandError("send a number from 0 to 100")
    return value
