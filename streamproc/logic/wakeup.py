"""What a camera's packets tell while nobody decodes them: that something began to move.

An encoder spends bits on what changes. While nothing happens, a picture's size follows from its kind (I, P, B), its quantizer and its place in
the group of pictures (GOP); a rise above that which lasts over a few packets is something entering. Under a constant bit rate the size itself
says little, because the encoder answers a richer picture with a coarser quantizer: there the rise is against the sizes that this quantizer
has had. A one-sided CUSUM (Page 1954) over the logarithms sees it without decoding anything.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import log2
from statistics import median
from typing import Any

from streamproc.core.media import Weight

VERSION = 1
"""Of the snapshot."""
_KEY, _UNKNOWN = "K", "P"


@dataclass(frozen=True, slots=True)
class WakePolicy:
    """When packets count as a change. Deviations are in robust standard deviations of the quiet stream.

    Drift and threshold are those of ``benchmarks.camera_wakes``: the smallest at which the recorded rooms of one half of its clips do not
    wake by themselves more often than once in two minutes; the other half is held out.
    """

    drift: float = 0.6
    """Taken off each packet's deviation: what noise may do for ever."""
    threshold: float = 10.0
    """Sum of deviations that wakes."""
    most: float = 4.0
    """One packet adds no more than this, so that a single fat packet wakes nobody."""
    least_spread: float = 0.06
    """In log2 of the size; steadier streams are taken to be as loose as this."""
    base_bytes: int = 300
    """Added to every size: packets of a few dozen bytes double by chance."""
    gain: float = 0.04
    """Weight of the newest packet in its level, so that a level follows the scene's light within a minute."""
    trusted: int = 4
    """Packets before a level counts."""
    learning_s: Fraction = Fraction(3)
    """Media time, and at least one whole GOP, before anything is believed."""
    steady: float = 0.5
    """A quiet stream whose P pictures swing by more (log2) hides what is smaller than that."""
    finer: float = 5 / 6
    """Log2 of the size per step of the quantizer, where it gets finer than any seen: noise that begins to be coded grows that fast."""
    coarser: float = 1 / 6
    """The same where it gets coarser: half the bytes for six steps (the step doubles every six, ITU-T H.264 8.5.8)."""
    doubted: float = 2.0
    """A stream known by a snapshot whose first GOP deviates so much in the mean is another one."""
    raised: float = 1.5
    """A wake that finds nothing raises the threshold by this factor..."""
    highest: float = 4.0
    """...up to this..."""
    forgiven_s: float = 180.0
    """...and half of the rise is gone after so much media time."""


@dataclass(slots=True)
class _Level:
    """Log2 of the size that pictures of one kind and quantizer have."""

    count: int
    value: float


@dataclass
class PacketWatch:
    """Follows one feed's packets. Deterministic, no clock."""

    policy: WakePolicy = field(default_factory=WakePolicy)
    frozen: bool = False
    """Something is in view: packets are watched, but not taken for the quiet stream's."""
    score: float = 0.0
    """The CUSUM's sum."""
    interval: Fraction | None = None
    """Longest of the last intervals between keyframes, seconds."""
    key_at: Fraction | None = None
    """Media time of the newest keyframe."""
    _levels: dict[tuple[str, int], _Level] = field(default_factory=dict)
    _places: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By place in the GOP: packets seen and how far their mean lies off their level."""
    _residuals: dict[str, deque[float]] = field(default_factory=dict)
    _spreads: dict[str, float] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _place: int = -1
    _began: Fraction | None = None
    _gops: int = 0
    _intervals: deque[Fraction] = field(default_factory=lambda: deque(maxlen=4))
    _known: bool = False
    """By a snapshot, and not refuted by what came since."""
    _doubt: float = 0.0
    """Sum of the first GOP's deviations."""
    _raise: float = 1.0
    _raised_at: Fraction | None = None

    @property
    def learned(self) -> bool:
        """Whether the quiet stream is known."""
        if self.key_at is None or self._began is None:
            return False
        return self._known or (self._gops >= 1 and self.key_at - self._began >= self.policy.learning_s)

    @property
    def informed(self) -> bool:
        """Whether a snapshot says anything: the stream was learnt, or is known by an earlier one."""
        return self._known or self.learned

    @property
    def risen(self) -> bool:
        """Packets are above the quiet stream's by more than chance."""
        return self.score > self.threshold

    @property
    def stirring(self) -> bool:
        """Packets have begun to rise: something may have come that is not sure yet."""
        return self.score > self.threshold / 2

    @property
    def threshold(self) -> float:
        """The present one: higher for a while after wakes that found nothing."""
        return self.policy.threshold * self._factor(self.key_at)

    def blind(self, asleep: bool = False) -> str | None:
        """Why packets tell too little here to do without keyframes; None: they do, or it is not known yet.

        ``asleep``: more is borne before a camera that sleeps is woken for it.
        """
        if not self.learned:
            return None
        if self.spread > self.policy.steady * (1.5 if asleep else 1.0):
            return "packet sizes swing by themselves"
        if self._factor(self.key_at) > self.policy.highest / self.policy.raised:
            return "packet sizes rose again and again for nothing"
        return None

    @property
    def spread(self) -> float:
        """Robust standard deviation of log2 of the size around what was expected, of the kind of pictures that is steadiest."""
        found = [spread for kind, spread in self._spreads.items() if kind != _KEY]
        return max(min(found, default=self.policy.steady / 2), self.policy.least_spread)

    def relax(self) -> None:
        """What follows is quiet again: forget the rise."""
        self.score = 0.0

    def found_nothing(self) -> None:
        """A rise was nothing: the next one must be higher, for a while."""
        self._raise = min(self._factor(self.key_at) * self.policy.raised, self.policy.highest)
        self._raised_at = self.key_at
        self.relax()

    def update(self, weight: Weight, keyframe: bool, media: Fraction) -> bool:
        """Take the next packet in decoding order. True: something changed."""
        if keyframe:
            self._begin(media)
        if self._place < 0:
            return False
        self._place += 1
        kind = _KEY if keyframe else weight.kind or _UNKNOWN
        qp = 0 if weight.qp is None else round(weight.qp)
        value = log2(weight.size + self.policy.base_bytes)
        level = self._expected(kind, qp)
        if level is not None:
            self._compare(kind, value - level, keyframe)
        if not self.frozen:
            self._learn(kind, qp, value)
        return self.learned and self.risen

    def snapshot(self) -> dict[str, Any]:
        """The quiet stream's character, JSON-ready."""
        return {
            "version": VERSION,
            "levels": [[kind, qp, level.count, round(level.value, 4)] for (kind, qp), level in self._levels.items()],
            "spreads": {kind: round(spread, 4) for kind, spread in self._spreads.items()},
            "interval": None if self.interval is None else str(self.interval),
            "raise": round(self._factor(self.key_at), 3),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know a stream by a snapshot. One of another version is passed over; a stream that has changed is learnt anew by and by."""
        if state.get("version") != VERSION:
            return
        trusted = self.policy.trusted
        for kind, qp, count, value in state["levels"]:
            # Half forgotten: the light is not what it was.
            self._levels[str(kind), int(qp)] = _Level(min(int(count), 2 * trusted), float(value))
        self._spreads = {str(kind): float(spread) for kind, spread in state["spreads"].items()}
        self.interval = None if state["interval"] is None else Fraction(state["interval"])
        self._raise = float(state["raise"])
        self._known = True

    # -- inside

    def _factor(self, media: Fraction | None) -> float:
        """By what the threshold is raised at this media time."""
        if self._raised_at is None or media is None:
            return self._raise
        left: float = 0.5 ** (float(media - self._raised_at) / self.policy.forgiven_s)
        return 1 + (self._raise - 1) * left

    def _expected(self, kind: str, qp: int) -> float | None:
        """Log2 of the size of a quiet picture; None: no picture of this kind is known."""
        level = self._levels.get((kind, qp))
        if level is not None and level.count >= self.policy.trusted:
            return level.value
        known = [
            (abs(other - qp), other, level)
            for (each, other), level in self._levels.items()
            if each == kind and level.count >= self.policy.trusted
        ]
        if not known:
            return None
        _, nearest, level = min(known, key=lambda item: item[:2])
        return level.value + (nearest - qp) * (self.policy.coarser if qp > nearest else self.policy.finer)

    def _compare(self, kind: str, residual: float, keyframe: bool) -> None:
        """Add a picture's residual to the sum, and to what is known of residuals."""
        seen, offset = self._places.get(self._place, (0, 0.0))
        spread = max(self._spreads.get(kind, self.policy.steady / 2), self.policy.least_spread)
        own = residual - offset * seen / (seen + 2)  # few packets say little about a place
        self._doubt += max(-self.policy.most, min(self.policy.most, own / spread)) if not self._gops else 0.0
        if not keyframe:
            self.score = max(0.0, self.score + min(own / spread, self.policy.most) - self.policy.drift)
        if self.frozen:
            return
        bounded = max(-3 * spread, min(3 * spread, residual))
        count = min(seen + 1, 12)
        if len(self._places) < 2000:
            self._places[self._place] = count, offset + (bounded - offset) / count
        found = self._residuals.setdefault(kind, deque(maxlen=64))
        found.append(abs(own))
        self._counts[kind] += 1
        if self._counts[kind] % 8 == 0 and (self._gops or not self._known):  # a median costs more than all else here
            self._spreads[kind] = median(found) * 1.4826

    def _forget(self) -> None:
        """The stream is not the one that was known: another encoder, or another scene."""
        self._known, self.score = False, 0.0
        self._places.clear()
        self._levels.clear()
        self._spreads.clear()
        self._began = None

    def _learn(self, kind: str, qp: int, value: float) -> None:
        level = self._levels.setdefault((kind, qp), _Level(0, value))
        level.count += 1
        change = value - level.value
        if level.count > self.policy.trusted:
            most = 3 * max(self._spreads.get(kind, self.policy.steady / 2), self.policy.least_spread)
            change = max(-most, min(most, change))
        level.value += max(1 / level.count, self.policy.gain) * change

    def _begin(self, media: Fraction) -> None:
        """A keyframe: the GOP before it is complete."""
        if self.key_at is not None and media > self.key_at:
            self._intervals.append(media - self.key_at)
            self.interval = max(self._intervals)
            self._gops += 1
            if self._known and self._gops == 1 and abs(self._doubt) > self.policy.doubted * self._place:
                self._forget()
        if self._began is None:
            self._began = media
        self.key_at, self._place = media, 0


@dataclass
class WakeRecord:
    """How a camera's wakes turned out: whether its packets showed what its pictures did."""

    misses: int = 2
    """So often pictures showed what packets had not, within the last wakes, and packets are not trusted..."""
    mistrust_s: Fraction = Fraction(600)
    """...for so much media time; then the camera has another try."""
    false: int = 0
    """Wakes after which nothing moved."""
    _recent: deque[Fraction | None] = field(default_factory=lambda: deque(maxlen=4))
    """Of the last wakes: media time of a miss; None: packets showed it too."""

    def found(self, at: Fraction, missed: bool) -> None:
        """A wake found something that moves; ``missed``: only a picture showed it."""
        self._recent.append(at if missed else None)

    def mistrusted(self, now: Fraction) -> bool:
        return sum(missed is not None and now - missed < self.mistrust_s for missed in self._recent) >= self.misses

    def forget(self) -> None:
        """Media time begins anew."""
        self._recent.clear()
