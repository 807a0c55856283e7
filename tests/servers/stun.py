"""A fake: a STUN responder (RFC 8489) that tells everybody the same made-up address, as if there were a NAT between."""

from __future__ import annotations

import asyncio
import struct
from ipaddress import IPv4Address
from typing import Any

SEEN_AS = ("203.0.113.7", 40_007)
"""From the block for documentation (RFC 5737)."""
_COOKIE = 0x2112A442
_BINDING, _SUCCESS, _XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020


class StunResponder(asyncio.DatagramProtocol):
    """``port`` is known after ``start``."""

    def __init__(self) -> None:
        self.asked = 0
        self.port = 0
        self._transport: Any = None

    async def start(self) -> StunResponder:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("0.0.0.0", 0))
        return self

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if len(data) < 20 or struct.unpack("!HHI", data[:8])[::2] != (_BINDING, _COOKIE):
            return
        self.asked += 1
        host, port = int(IPv4Address(SEEN_AS[0])) ^ _COOKIE, SEEN_AS[1] ^ (_COOKIE >> 16)
        mapped = struct.pack("!HHBBHI", _XOR_MAPPED_ADDRESS, 8, 0, 1, port, host)
        self._transport.sendto(struct.pack("!HHI", _SUCCESS, len(mapped), _COOKIE) + data[8:20] + mapped, addr)

    def close(self) -> None:
        self._transport.close()
