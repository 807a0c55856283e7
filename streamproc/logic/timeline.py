"""From a stream's own timestamps to media time: seconds since the session's first frame, that never jump and never end.

Timestamps of real feeds wrap, restart, run backwards, go missing and drift. Two clocks put them right: a file's by its own steps
alone, a live feed's also by the arrival of its packets. Pure: time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

JUMP = Fraction(10)
"""A step forward of more seconds is a broken clock, not a pause (FFmpeg's dts_delta_threshold)."""
BACKWARD = Fraction(1)
"""A step backward of up to so many seconds is reordering."""
STEP = Fraction(1, 25)
"""Assumed frame duration where nothing tells it."""
TICKS = 90_000


def ticks(seconds: float) -> Fraction:
    """A float of seconds as a fraction of modest size (90 kHz ticks)."""
    return Fraction(round(seconds * TICKS), TICKS)


class Timeline:
    """Media time of a feed that is read from storage."""

    def __init__(self, start: Fraction = Fraction(0), jump: Fraction | None = None) -> None:
        """``start``: media time of the first packet. ``jump``: steps forward beyond it are mended (None: they are pauses)."""
        self._start = start
        self.jump = jump
        self._shift: Fraction | None = None
        self._clock: Fraction | None = None
        self._step = STEP
        self._latest = start
        self._last_when: Fraction | None = None
        self._standing = Fraction(0)
        """Seconds by which media time went on while the stream's timestamps stood."""
        self.jumps = 0
        """How often the clock was mended."""
        self.stood = 0
        """Packets whose timestamps repeated those of the packet before; they were placed by the nominal rate."""

    def place(
        self, pts: Fraction | None, dts: Fraction | None, duration: Fraction | None = None, *, keyframe: bool = False
    ) -> Fraction:
        """Media time at which the packet is to be seen. All in seconds; packets come in decode order.

        ``keyframe``: a step back of the decode clock is then no reordering, however small, but a new beginning.
        """
        if duration is not None and 0 < duration < JUMP:
            self._step = duration
        when = pts if pts is not None else dts
        clock = dts if dts is not None else pts
        if when is None or clock is None:
            when = clock = self._next()
        if self._shift is None:
            self._shift = self._start - when
        elif self._clock is not None:
            step = clock - self._clock
            if step < (0 if keyframe else -BACKWARD) or (self.jump is not None and step > self.jump):
                self._shift += self._clock + self._step - clock
                self.jumps += 1
            else:
                self._shift += self._stood(when, step)
        self._clock, self._last_when = clock, when
        self._latest = max(self._latest, when + self._shift)
        return when + self._shift

    def _stood(self, when: Fraction, step: Fraction) -> Fraction:
        """What is added to the shift where timestamps stand, and taken back when they move on."""
        if step == 0 and when == self._last_when:
            self.stood += 1
            self._standing += self._step
            return self._step
        back = min(self._standing, max(Fraction(0), step - self._step))
        self._standing -= back
        return -back

    def restart(self, at: Fraction) -> None:
        """The feed begins anew (a loop): its next packet is at media time ``at``."""
        self._start, self._shift, self._clock = at, None, None

    @property
    def clock(self) -> Fraction | None:
        """Media time at which the last packet is due at the decoder; None before the first."""
        return None if self._clock is None or self._shift is None else self._clock + self._shift

    @property
    def end(self) -> Fraction:
        """Media time at which the last seen frame ends."""
        return self._latest + self._step

    def snapshot(self) -> dict[str, Any]:
        """JSON-ready state."""
        values = {"start": self._start, "shift": self._shift, "clock": self._clock, "step": self._step}
        values |= {"latest": self._latest, "when": self._last_when, "standing": self._standing}
        return {name: None if value is None else str(value) for name, value in values.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self._start, self._step = Fraction(state["start"]), Fraction(state["step"])
        self._latest = Fraction(state["latest"])
        self._shift = None if state["shift"] is None else Fraction(state["shift"])
        self._clock = None if state["clock"] is None else Fraction(state["clock"])
        self._last_when = None if state.get("when") is None else Fraction(state["when"])
        self._standing = Fraction(state.get("standing") or 0)

    def _next(self) -> Fraction:
        if self._clock is None:
            return Fraction(0) if self._shift is None else self._start - self._shift
        return self._clock + self._step


class LiveTimeline:
    """Media time of a feed that arrives at its own pace; gaps are bridged by the clock of arrival."""

    MAX_DRIFT = Fraction(1, 2)
    """Seconds that media time may differ from arrival before it is steered back."""
    STEER = Fraction(1, 1000)
    """Seconds of steering per second: more than any camera's crystal is wrong, less than anybody sees."""

    def __init__(self, start: Fraction = Fraction(0)) -> None:
        self._media = start
        self._shift: Fraction | None = None
        self._origin: Fraction | None = None
        self._clock: Fraction | None = None
        self._arrival: Fraction | None = None
        self._step = STEP
        self.jumps = 0

    def place(self, pts: Fraction | None, dts: Fraction | None, arrival: float) -> Fraction:
        """Media time of a packet that arrived at ``arrival`` (seconds of a monotonic clock)."""
        came = ticks(arrival)
        if self._origin is None:
            self._origin = came - self._media
        expected = came - self._origin
        when = pts if pts is not None else dts
        clock = dts if dts is not None else pts
        if when is None and self._clock is not None:
            when = clock = self._clock + self._step
        if when is None or clock is None:
            self._media = max(self._media, expected)
        else:
            self._media = self._placed(when, clock, expected, came)
        self._arrival = came
        return self._media

    def gap(self) -> None:
        """The connection was lost: whatever comes next is placed by its arrival."""
        self._shift = self._clock = None

    def _placed(self, when: Fraction, clock: Fraction, expected: Fraction, came: Fraction) -> Fraction:
        if self._shift is None:
            self._shift = max(expected, self._media) - when
        elif self._broken(when, clock, expected):
            self._shift = max(expected, self._media) - when
            self.jumps += 1
        else:
            self._steer(when, expected, came)
        if self._clock is not None and 0 < clock - self._clock < BACKWARD:
            self._step = clock - self._clock
        self._clock = clock
        return when + self._shift

    def _broken(self, when: Fraction, clock: Fraction, expected: Fraction) -> bool:
        assert self._shift is not None
        backward = self._clock is not None and clock - self._clock < -BACKWARD
        return backward or abs(when + self._shift - expected) > JUMP

    def _steer(self, when: Fraction, expected: Fraction, came: Fraction) -> None:
        assert self._shift is not None and self._arrival is not None
        error = expected - (when + self._shift)
        if abs(error) > self.MAX_DRIFT:
            room = ticks(float((came - self._arrival) * self.STEER))
            self._shift += max(-room, min(room, error))
