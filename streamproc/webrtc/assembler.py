"""From RTP packets to whole encoded pictures, with as little delay as the network allows. Pure: time comes in as an argument.

Takes the place of aiortc's jitter buffer, which hands a picture out only when the next one begins, and waits behind a lost
packet until 512 others have come.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

PATIENCE_S = 0.3
"""How long a missing packet may take to be sent again."""
MAX_WAITING = 1024
"""Packets in hand behind a missing one."""
RESYNC_S = 2.0
"""After a loss pictures are held back until a keyframe, but not for longer: some senders do not answer to being asked."""
RESTART = 3000
"""A jump of the sequence number by more packets is another stream."""


class RtpPacket(Protocol):
    """The part of aiortc's that is looked at."""

    sequence_number: int
    timestamp: int
    marker: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A picture of which every packet came."""

    data: bytes
    timestamp: int
    """Unwrapped, 90 kHz."""
    payload_type: int


@dataclass(slots=True)
class _Piece:
    data: bytes
    timestamp: int
    marker: bool
    payload_type: int


class Assembler:
    """One stream."""

    def __init__(self) -> None:
        self._pieces: dict[int, _Piece] = {}
        self._next: int | None = None
        self._newest = 0
        self._picture: list[_Piece] = []
        self._hole_since: float | None = None
        self._clock: int | None = None
        self.losses = 0
        """How often a picture was given up."""

    def add(self, packet: RtpPacket, data: bytes, payload_type: int, now: float) -> list[Whole]:
        """Pictures that are complete now. ``losses`` grows when something before them will never come."""
        number = self._extended(packet.sequence_number)
        if self._next is None or abs(number - self._newest) > RESTART:
            self._restart(number)
        assert self._next is not None
        if number >= self._next:
            self._newest = max(self._newest, number)
            self._pieces[number] = _Piece(data, packet.timestamp, bool(packet.marker), payload_type)
        whole = self._drain()
        if self._pieces:
            self._hole_since = now if self._hole_since is None else self._hole_since
            if now - self._hole_since > PATIENCE_S or len(self._pieces) > MAX_WAITING:
                self._give_up()
                whole += self._drain()
                self._hole_since = now if self._pieces else None
        else:
            self._hole_since = None
        return whole

    def _restart(self, number: int) -> None:
        self.losses += self._next is not None
        self._pieces.clear()
        self._picture.clear()
        self._next = self._newest = number

    def _extended(self, number: int) -> int:
        """The sequence number without its wrap at 16 bits."""
        if self._next is None:
            return number
        step = (number - self._newest) & 0xFFFF
        return self._newest + (step if step < 0x8000 else step - 0x10000)

    def _drain(self) -> list[Whole]:
        whole: list[Whole] = []
        assert self._next is not None
        while (piece := self._pieces.pop(self._next, None)) is not None:
            self._next += 1
            self._hole_since = None
            if self._picture and piece.timestamp != self._picture[0].timestamp:
                whole.append(self._finished())
            if piece.data or self._picture:
                self._picture.append(piece)
                if piece.marker:
                    whole.append(self._finished())
        return whole

    def _finished(self) -> Whole:
        pieces, self._picture = self._picture, []
        stamp = pieces[0].timestamp
        if self._clock is None:
            self._clock = stamp
        else:
            step = (stamp - self._clock) & 0xFFFFFFFF
            self._clock += step if step < 0x80000000 else step - 0x100000000
        return Whole(b"".join(piece.data for piece in pieces), self._clock, pieces[0].payload_type)

    def _give_up(self) -> None:
        """Leave the picture with the hole, and go on where the next one that is in hand begins."""
        self.losses += 1
        self._picture.clear()
        numbers = sorted(self._pieces)
        for before, number in itertools.pairwise(numbers):
            begins = self._pieces[before].marker or self._pieces[before].timestamp != self._pieces[number].timestamp
            if number == before + 1 and begins:
                self._next = number
                break
        else:
            last = numbers[-1]
            # Its own picture may have begun in the hole.
            self._next = last + 1
        for number in numbers:
            if self._next is not None and number < self._next:
                del self._pieces[number]


class Gatekeeper:
    """Lets pictures through from a keyframe on, again after every loss; says when one is to be asked for."""

    ASK_S = 0.5

    def __init__(self) -> None:
        self._closed_since: float | None = None
        self._open = False
        self._asked = -1e9
        self._losses = 0

    def passes(self, keyframe: bool, losses: int, now: float) -> bool:
        """Whether the picture may be decoded."""
        if losses != self._losses:
            self._losses, self._closed_since = losses, now
        if keyframe:
            self._open, self._closed_since = True, None
            return True
        if self._closed_since is not None and now - self._closed_since > RESYNC_S:
            self._closed_since = None
        return self._open and self._closed_since is None

    def asks(self, losses: int, now: float) -> bool:
        """Whether to ask for a keyframe now."""
        waiting = not self._open or self._closed_since is not None or losses != self._losses
        if not waiting or now - self._asked < self.ASK_S:
            return False
        self._asked = now
        return True
