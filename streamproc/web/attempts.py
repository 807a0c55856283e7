"""How often somebody may try a password. Pure: the time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ALLOWED = 5
WINDOW_S = 60.0
LONGEST_S = 3600.0
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Record:
    failures: int
    until: float
    """Nothing is tried before this instant."""
    last: float


class Attempts:
    """Failed sign-ins by address: after five in a row the sixth waits a minute, and each further failure doubles the wait up to an hour."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until the address may try again; 0 where it may now."""
        record = self._records.get(address)
        return 0.0 if record is None else max(0.0, record.until - now)

    def begin(self, address: str, now: float) -> None:
        """An attempt counts as failed from its beginning, so that many at the same time do not pass together."""
        record = self._records.pop(address, None)
        if record is None or now - max(record.last, record.until) > LONGEST_S:
            record = _Record(0, 0.0, now)
        elif record.failures < ALLOWED and now - record.last > WINDOW_S:
            record.failures = 0
        record.failures += 1
        record.last = now
        if record.failures >= ALLOWED:
            record.until = now + min(LONGEST_S, WINDOW_S * 2 ** (record.failures - ALLOWED))
        self._records[address] = record
        while len(self._records) > MOST_ADDRESSES:
            self._records.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the address's failures."""
        self._records.pop(address, None)
