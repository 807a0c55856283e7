"""Fragment numbers: 47 decimal digits that grow as numbers and as text. Pure.

Consumers compare them as text. In the service's own numbers, bits 28 to 71 hold the server timestamp in milliseconds and counting begins at 2^156.
"""

from __future__ import annotations

_BASE = 2**156
_LOW_BITS = 28
_TIME_MASK = 2**44 - 1


def next_number(server_ms: int, low: int, last: str) -> str:
    """A number for a fragment whose first byte came at ``server_ms``. ``low``: any 28 bits. ``last``: the stream's latest, or empty."""
    number = _BASE + (server_ms << _LOW_BITS) + (low & (2**_LOW_BITS - 1))
    return str(max(number, int(last) + 1 if last else 0))


def server_ms(number: str) -> int:
    """The server timestamp in a number of this form; 0 of a shorter one."""
    value = int(number)
    return (value >> _LOW_BITS) & _TIME_MASK if value >= _BASE else 0
