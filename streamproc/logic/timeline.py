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
LONGEST_PAUSE = Fraction(86_400 * 400)
"""Nobody keeps one recording open over a longer step forward; a clock that was set makes one of decades."""
SHORTEST_STEP = Fraction(1, 2000)
"""No camera sends frames closer to each other; timestamps that only creep on so far stand."""
BACKWARD = Fraction(1)
"""A step backward of up to so many seconds is reordering."""
STEP = Fraction(1, 25)
"""Assumed frame duration where nothing tells it."""
TICKS = 90_000
LEAST = Fraction(1, 1000)
"""Packets that are placed by their arrival and came in one piece are so far apart."""


def ticks(seconds: float) -> Fraction:
    """A float of seconds as a fraction of modest size (90 kHz ticks)."""
    return Fraction(round(seconds * TICKS), TICKS)


class Timeline:
    """Media time of a feed that is read from storage."""

    def __init__(self, start: Fraction = Fraction(0), jump: Fraction | None = None) -> None:
        """``start``: media time of the first packet. ``jump``: steps forward beyond it are corrected (None: all but absurd ones are pauses)."""
        self._start = start
        self.jump = jump or LONGEST_PAUSE
        self._shift: Fraction | None = None
        self._clock: Fraction | None = None
        self._step = STEP
        self._latest = start
        self._last_when: Fraction | None = None
        self._standing = Fraction(0)
        """Seconds by which media time went on while the stream's timestamps stood."""
        self.jumps = 0
        """How often the clock was corrected."""
        self.stood = 0
        """Packets whose timestamps repeated those of the packet before, or nearly; they were placed by the nominal rate."""

    def place(
        self,
        pts: Fraction | None,
        dts: Fraction | None,
        duration: Fraction | None = None,
        *,
        keyframe: bool = False,
        lead: Fraction = Fraction(0),
    ) -> Fraction:
        """Media time at which the packet is to be seen. All in seconds; packets come in decode order.

        ``keyframe``: a step back of the decode clock is then no reordering, however small, but a new beginning. ``lead``: a feed's first packet
        lies so long before the first picture that is shown; it counts where the feed begins only.
        """
        if duration is not None and SHORTEST_STEP <= duration < JUMP:
            self._step = duration
        when = pts if pts is not None else dts
        clock = dts if dts is not None else pts
        if when is None or clock is None:
            when = clock = self._next()
        elif abs(when - clock) > LONGEST_PAUSE:
            when = clock  # the clock was set anew: of reordered pictures the decode times say so later
        if self._shift is None:
            self._shift = self._start - lead - when
        elif self._clock is not None:
            step = clock - self._clock
            if step < (0 if keyframe else -BACKWARD) or step > self.jump:
                self._shift += self._clock + self._step - clock
                self.jumps += 1
            else:
                self._shift += self._stood(when, step)
        self._clock, self._last_when = clock, when
        self._latest = max(self._latest, when + self._shift)
        return when + self._shift

    def _stood(self, when: Fraction, step: Fraction) -> Fraction:
        """What is added to the shift where timestamps stand, and taken back when they move on."""
        assert self._last_when is not None
        if 0 <= step < SHORTEST_STEP and abs(when - self._last_when) < SHORTEST_STEP:
            self.stood += 1
            self._standing += self._step - step
            return self._step - step
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
    """Media time of a feed that arrives at its own pace; gaps are bridged by the clock of arrival.

    Media time is exact; what is only compared with arrival is reckoned in floats, which cost a tenth.
    """

    MAX_DRIFT = 0.5
    """Seconds that media time may differ from arrival before it is steered back."""
    STEER = 1e-3
    """Seconds of steering per second: more than any camera's crystal is wrong, less than anybody sees."""
    TRIAL = 2.0
    """Seconds of arrival over which a clock's pace is compared with that of arrival."""
    RATES = 2 / 3, 3 / 2
    """A clock that runs slower or faster than arrival by more is not believed: it stands, or counts in other units than it says."""

    def __init__(self, start: Fraction = Fraction(0)) -> None:
        self._media = start
        self._shift: Fraction | None = None
        self._origin: float | None = None
        """Arrival at media time 0."""
        self._clock: Fraction | None = None
        self._arrival = 0.0
        self._step = STEP
        self._trial: tuple[float, float] | None = None
        """Clock and arrival at which the present comparison began."""
        self._verdicts = 0
        """How often in a row comparisons spoke against ``believed``."""
        self.believed = True
        """False: packets are placed by their arrival."""
        self.jumps = 0

    def place(self, pts: Fraction | None, dts: Fraction | None, arrival: float) -> Fraction:
        """Media time of a packet that arrived at ``arrival`` (seconds of a monotonic clock)."""
        if self._origin is None:
            self._origin, self._arrival = arrival - float(self._media), arrival
        expected = arrival - self._origin
        when = pts if pts is not None else dts
        clock = dts if dts is not None else pts
        if when is None and self._clock is not None:
            when = clock = self._clock + self._step
        if when is None or clock is None:
            self._media = max(self._media, ticks(expected))
        else:
            step = float(clock - self._clock) if self._clock is not None else None
            self._judge(float(clock), step, arrival)
            if self.believed:
                self._media = self._placed(when, step, expected, arrival)
                if step is not None and self._clock is not None and 0 < step < 1:
                    self._step = clock - self._clock
            else:
                self._media, self._shift = max(self._media + LEAST, ticks(expected)), None
            self._clock = clock
        self._arrival = arrival
        return self._media

    def gap(self) -> None:
        """The connection was lost: whatever comes next is placed by its arrival."""
        self._shift = self._clock = self._trial = None

    def _judge(self, clock: float, step: float | None, arrival: float) -> None:
        """Compare the clock's pace with that of arrival, again and again. Silences, bursts and jumps say nothing about it."""
        silent = arrival - self._arrival > self.TRIAL / 2
        if self._trial is None or step is None or silent or not -BACKWARD <= step <= JUMP:
            self._trial, self._verdicts = (clock, arrival), 0
            return
        took = arrival - self._trial[1]
        if took < self.TRIAL:
            return
        ran = clock - self._trial[0]
        right = self.RATES[0] * took <= ran <= self.RATES[1] * took
        self._trial = clock, arrival
        self._verdicts = self._verdicts + 1 if right != self.believed else 0
        if self._verdicts >= 2:
            self.believed, self._verdicts = right, 0

    def _placed(self, when: Fraction, step: float | None, expected: float, arrival: float) -> Fraction:
        if self._shift is None:
            return self._anchored(when, expected)
        placed = when + self._shift
        error = expected - float(placed)
        if (step is not None and step < -BACKWARD) or abs(error) > JUMP:
            self.jumps += 1
            return self._anchored(when, expected)
        if abs(error) > self.MAX_DRIFT:
            room = (arrival - self._arrival) * self.STEER
            self._shift += ticks(max(-room, min(room, error)))
            return when + self._shift
        return placed

    def _anchored(self, when: Fraction, expected: float) -> Fraction:
        """The clock begins anew: this packet is where arrival says."""
        media = max(ticks(expected), self._media)
        self._shift = media - when
        return media
