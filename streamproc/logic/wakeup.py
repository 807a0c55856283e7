"""What the sizes of a camera's packets tell: that something began to move, or that its encoder hides it.

An encoder spends bits on what changes. While nothing happens, each place in the group of pictures (GOP) has a size that it keeps;
a rise that lasts over a few packets is something entering. A one-sided CUSUM (Page 1954) over the sizes' logarithms sees it without
decoding anything. Two kinds of streams cannot be read so: those whose encoder holds the bit rate constant, and those whose rate
control swings by itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import log2, sqrt
from statistics import median


@dataclass(frozen=True, slots=True)
class WakePolicy:
    """When sizes count as a change. Deviations are in robust standard deviations of the quiet stream."""

    drift: float = 1.0
    """Taken off each packet's deviation: what noise may do for ever."""
    threshold: float = 8.0
    """Sum of deviations that wakes."""
    most: float = 5.0
    """One packet adds no more than this, so that a single fat packet wakes nobody."""
    least_spread: float = 0.03
    """In log2 of the size; steadier streams are taken to be as loose as this."""
    base_bytes: int = 300
    """Added to every size: packets of a few dozen bytes double by chance."""
    remembered: int = 5
    """GOPs whose sizes make the baseline (their median at each place)."""
    learning_gops: int = 6
    """Whole GOPs before anything is believed."""
    swing: float = 0.45
    """A quiet stream whose sizes swing by more (log2) cannot be read."""
    filled: float = 0.4
    """Share of the bytes between keyframes that an encoder with a constant rate fills up at least."""
    constant: float = 0.42
    """GOP totals that vary less than this share of what their packets' variation explains are held constant by the encoder..."""
    free: float = 0.6
    """...until they vary more than this."""
    smoothing: float = 0.3
    """Weight of the newest GOP in that share."""


@dataclass
class SizeWatch:
    """Follows one feed's packet sizes. Deterministic, no clock."""

    policy: WakePolicy = field(default_factory=WakePolicy)
    frozen: bool = False
    """Something is in view: sizes are watched, but not taken for the quiet stream's."""
    score: float = 0.0
    """The CUSUM's sum."""
    interval: Fraction | None = None
    """Longest of the last intervals between keyframes, seconds."""
    _place: int = -1
    _sizes: list[deque[float]] = field(default_factory=list)
    _base: list[float] = field(default_factory=list)
    _residuals: deque[float] = field(default_factory=lambda: deque(maxlen=120))
    _spread: float = 1.0
    _gops: int = 0
    key_at: Fraction | None = None
    """Media time of the newest keyframe."""
    _intervals: deque[Fraction] = field(default_factory=lambda: deque(maxlen=4))
    _total: float = 0.0
    _unexplained: float = 0.0
    _totals: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    _keys: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    _variances: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    _share: float | None = None
    """How much GOP totals vary, as a share of what independent packets of this variation would give; 1 and more: freely."""
    _constant: bool = False

    @property
    def learned(self) -> bool:
        return self._gops >= self.policy.learning_gops

    @property
    def risen(self) -> bool:
        """Sizes are above the quiet stream's by more than chance."""
        return self.score > self.policy.threshold

    @property
    def blind(self) -> str | None:
        """Why sizes tell nothing here; None: they do, or it is not known yet."""
        if not self.learned:
            return None
        if self._spread > self.policy.swing:
            return "packet sizes swing by themselves"
        return "constant bit rate" if self._constant else None

    @property
    def spread(self) -> float:
        """Robust standard deviation of log2 of the size around its place's baseline."""
        return max(self._spread, self.policy.least_spread)

    def relax(self) -> None:
        """What follows is quiet again: forget the rise."""
        self.score = 0.0

    def update(self, size: int, keyframe: bool, media: Fraction) -> bool:
        """Take the next packet in decoding order. True: something changed."""
        if keyframe:
            self._begin(media)
        if self._place < 0:
            return False
        place = min(self._place, 2000)
        self._place += 1
        value = log2(size + self.policy.base_bytes)
        known = place < len(self._base)
        base = self._base[place] if known else (median(self._base[1:]) if len(self._base) > 1 else value)
        self._total += size
        if keyframe:
            self._keys.append(size)
        self._unexplained += (size + self.policy.base_bytes - 2**base) ** 2 if known else 0.0
        stirred = self.learned and known and self._sum(value - base)
        if not self.frozen:
            self._learn(place, value, value - base if known else None)
        return stirred

    def _sum(self, residual: float) -> bool:
        step = min(residual / self.spread, self.policy.most) - self.policy.drift
        self.score = max(0.0, self.score + step)
        return self.risen

    def _learn(self, place: int, value: float, residual: float | None) -> None:
        while place >= len(self._sizes):  # several at once where it was frozen in a GOP longer than any before
            self._sizes.append(deque(maxlen=self.policy.remembered))
            self._base.append(value)
        self._sizes[place].append(value)
        self._base[place] = median(self._sizes[place])
        if residual is not None and self._gops:
            self._residuals.append(abs(residual))

    def _judge_rate(self) -> None:
        """Whether the encoder holds the bit rate constant: another GOP is known."""
        if len(self._totals) < self.policy.learning_gops - 2:
            return
        totals = list(self._totals)
        mean = sum(totals) / len(totals)
        steps = [abs(after - before) / sqrt(2) for before, after in pairwise(totals)]
        explained = max(sqrt(median(self._variances)), 1e-4 * mean)
        share = max(median(steps) * 1.4826, 1e-4 * mean) / explained
        self._share = share if self._share is None else self._share + self.policy.smoothing * (share - self._share)
        # Where keyframes make nearly all of the stream its total is steady because nothing happens, not because somebody fills it up.
        filled = 1 - median(self._keys) / max(median(totals), 1.0) > self.policy.filled
        self._constant = filled and self._share < (self.policy.free if self._constant else self.policy.constant)

    def _begin(self, media: Fraction) -> None:
        """A keyframe: the GOP before it is complete."""
        if self.key_at is not None and media > self.key_at:
            self._intervals.append(media - self.key_at)
            self.interval = max(self._intervals)
        if self._place > 0:
            self._gops += 1
            if self._gops > 1:
                self._totals.append(self._total)
                self._variances.append(self._unexplained)
                self._judge_rate()
            if len(self._residuals) >= 10:
                self._spread = median(self._residuals) * 1.4826
        self.key_at, self._place = media, 0
        self._total = self._unexplained = 0.0
