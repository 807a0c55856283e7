"""Fakes of what lies at the edge of a network: a STUN server that sees everybody at one made-up address, and a TURN server that checks
who asks and gives out an address, but relays nothing. Real ones are not at hand where the tests run."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from aioice import stun

SEEN_AS = ("203.0.113.7", 40_007)
RELAYED_AS = ("203.0.113.9", 40_009)
"""From the block for documentation (RFC 5737)."""
REALM = "edge.example"


class StunResponder(asyncio.DatagramProtocol):
    """RFC 8489 and the allocation of RFC 8656. ``port`` is known after ``start``."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self.asked = 0
        """Binding requests."""
        self.allocated = 0
        """Allocations that came with the right user and password."""
        self.port = 0
        self._user = user
        self._key = hashlib.md5(f"{user}:{REALM}:{password}".encode()).digest()  # the RFC's own derivation
        self._transport: Any = None

    async def start(self) -> StunResponder:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("0.0.0.0", 0))
        return self

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            request = stun.parse_message(data)
        except ValueError:
            return
        if request.message_class != stun.Class.REQUEST:
            return
        if request.message_method == stun.Method.BINDING:
            self.asked += 1
            self._answer(request, addr, {"XOR-MAPPED-ADDRESS": SEEN_AS})
        elif request.attributes.get("USERNAME") != self._user or not request.check_message_integrity(self._key):
            refusal = {"ERROR-CODE": (401, "Unauthorized"), "REALM": REALM, "NONCE": b"once"}
            self._answer(request, addr, refusal, stun.Class.ERROR)
        else:
            self.allocated += request.message_method == stun.Method.ALLOCATE
            given = {"XOR-RELAYED-ADDRESS": RELAYED_AS, "XOR-MAPPED-ADDRESS": SEEN_AS, "LIFETIME": 600}
            self._answer(request, addr, given, key=self._key)

    def _answer(
        self,
        request: Any,
        addr: Any,
        attributes: dict[str, Any],
        kind: Any = stun.Class.RESPONSE,
        key: bytes | None = None,
    ) -> None:
        answer = stun.Message(request.message_method, kind, request.transaction_id)
        answer.attributes.update(attributes)
        if key is not None:
            answer.add_message_integrity(key)
        self._transport.sendto(bytes(answer), addr)
