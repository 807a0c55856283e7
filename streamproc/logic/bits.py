"""Reading of the bit fields of H.264 and H.265 headers (ITU-T H.264 7.2 and 9.1, H.265 7.2 and 9.2)."""

from __future__ import annotations


class BrokenHeader(ValueError):
    """A header ends too early or holds a value that the standard does not allow."""


def unescaped(unit: bytes) -> bytes:
    """A NAL unit's payload without its emulation prevention bytes (H.264 7.3.1, H.265 7.3.1.1)."""
    if b"\0\0\3" not in unit:
        return unit
    kept, begin = [], 0
    found = unit.find(b"\0\0\3")
    while found >= 0:
        kept.append(unit[begin : found + 2])
        begin = found + 3
        found = unit.find(b"\0\0\3", begin)
    return b"".join([*kept, unit[begin:]])


class BitReader:
    """Fields of ``data`` one after the other, most significant bit first. Every read raises BrokenHeader beyond the end."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def u(self, bits: int) -> int:
        """Unsigned integer of ``bits`` bits; 0 bits are 0."""
        self._left -= bits
        if self._left < 0:
            raise BrokenHeader("the header ends too early")
        return (self._value >> self._left) & ((1 << bits) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self, most: int = 0xFFFFFFFE) -> int:
        """Unsigned exp-Golomb code (H.264 9.1); BrokenHeader above ``most``."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 32 or not rest:
            raise BrokenHeader("no exp-Golomb code")
        value = self.u(2 * zeros + 1) - 1
        if value > most:
            raise BrokenHeader(f"{value} is more than {most}")
        return value

    def se(self) -> int:
        """Signed exp-Golomb code (H.264 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def skip_ue(self, count: int) -> None:
        """Pass over ``count`` exp-Golomb codes, signed or unsigned."""
        for _ in range(count):
            self.ue()
