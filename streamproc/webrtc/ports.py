"""Which UDP addresses and ports a peer connection listens on; aioice has no setting for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any

import structlog
from aioice import ice, stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority

from streamproc.config.webrtc import WebrtcSettings

log = structlog.get_logger(__name__)
RECEIVE_BUFFER = 1 << 20
SERVERS_S = 2.0
"""STUN and TURN servers answer within so long, or are done without: whoever publishes or watches is waiting."""


class Ports:
    """Hands out sockets within the config's range; a port is free again when its socket is closed."""

    def __init__(self, settings: WebrtcSettings) -> None:
        self._settings = settings
        self._turn = 0

    def apply(self, connection: Any) -> None:
        """Make an ``aioice.Connection`` that has not gathered yet keep to the config."""
        gather_elsewhere = connection.get_component_candidates

        async def gather(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
            own = list(self._settings.addresses) or list(addresses)
            # aioice leaves the loopback address out: where there is no other, it is what there is.
            hosts = [await self._host(connection, component, address) for address in own or ["127.0.0.1"]]
            found = [host for host in hosts if host is not None]
            return found + await self._by_servers(connection, gather_elsewhere, component)

        connection.get_component_candidates = gather

    async def _by_servers(self, connection: Any, gather: Any, component: int) -> list[Candidate]:
        """What STUN and TURN servers add, asked side by side. With STUN, aioice asks from the sockets that it opened itself."""
        server, connection.stun_server = connection.stun_server, None
        asked: list[Awaitable[list[Candidate]]] = []
        if server:
            asked += [
                _mapped(protocol, server)
                for protocol in connection._protocols
                if ":" not in protocol.local_candidate.host
            ]
        if connection.turn_server:
            asked.append(gather(component, [], SERVERS_S))
        try:
            return [candidate for found in await asyncio.gather(*asked) for candidate in found]
        finally:
            connection.stun_server = server

    async def _host(self, connection: Any, component: int, address: str) -> Candidate | None:
        bound = self._bind(address)
        if bound is None:
            log.warning("no_udp_port", address=address, ports=self._settings.udp_ports)
            return None
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: ice.StunProtocol(connection), sock=bound)
        host, port = bound.getsockname()[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        connection._protocols.append(protocol)
        return protocol.local_candidate

    def _bind(self, address: str) -> socket.socket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in self._candidates():
            bound = socket.socket(family, socket.SOCK_DGRAM)
            try:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                bound.bind((address, port))
                bound.setblocking(False)
                return bound
            except OSError:
                bound.close()
        return None

    def _candidates(self) -> list[int]:
        """Ports to try, beginning elsewhere each time so that a port just left is not taken again at once."""
        if self._settings.udp_ports is None:
            return [0]
        first, last = self._settings.udp_ports
        count = last - first + 1
        self._turn = (self._turn + 1) % count
        return [first + (self._turn + step) % count for step in range(count)]


async def _mapped(protocol: Any, server: Any) -> list[Candidate]:
    """The address that a STUN server sees this socket as; nothing where it does not answer."""
    try:
        candidate, _ = await asyncio.wait_for(ice.server_reflexive_candidate(protocol, server), SERVERS_S)
    except (TimeoutError, OSError, stun.TransactionError) as error:
        log.warning("stun_server_silent", server=f"{server[0]}:{server[1]}", reason=str(error) or "no answer")
        return []
    return [candidate]
