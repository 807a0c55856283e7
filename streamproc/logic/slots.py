"""Which slot of a cluster a processor belongs to: Kafka's own way of choosing a partition by key."""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def slot_of(name: str, slots: int) -> int:
    """The slot of a name among ``slots``: the partition that Kafka's default partitioner gives the key ``name`` in UTF-8."""
    return (murmur2(name.encode()) & 0x7FFFFFFF) % slots


def murmur2(data: bytes) -> int:
    """The 32-bit hash of Kafka's clients, unsigned."""
    value = (_SEED ^ len(data)) & _MASK
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        value = (value * _M & _MASK) ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return value ^ value >> 15
