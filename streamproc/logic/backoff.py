"""How long to wait before trying again: exponential with full jitter, and a memory of health."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class BackoffRule:
    """The n-th wait is drawn evenly from ``low`` x to 1 x ``first_s * factor**n``, at most ``cap_s``."""

    first_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 20.0
    low: float = 0.5
    """Lower end of the jitter as a share of the wait; 1.0: no jitter."""
    healthy_s: float = 30.0
    """Health for so long makes the next failure a first one."""

    def wait(self, failures: int, random: Random) -> float:
        """Seconds to wait after that many failures in a row (1 or more)."""
        longest = min(self.cap_s, self.first_s * self.factor ** min(max(failures, 1) - 1, 60))
        return longest * random.uniform(self.low, 1.0)


class Backoff:
    """Counts failures in a row; a spell of health of ``rule.healthy_s`` starts the count anew."""

    def __init__(self, rule: BackoffRule, random: Random) -> None:
        self.rule = rule
        self.failures = 0
        self._random = random
        self._healthy_since: float | None = None

    def succeeded(self, now: float) -> None:
        """Note that the work succeeds, at ``now`` (seconds on any steady clock)."""
        if self._healthy_since is None:
            self._healthy_since = now

    def failed(self, now: float) -> float:
        """Note a failure; returns the seconds to wait before the next try."""
        if self._healthy_since is not None and now - self._healthy_since >= self.rule.healthy_s:
            self.failures = 0
        self._healthy_since = None
        self.failures += 1
        return self.rule.wait(self.failures, self._random)
