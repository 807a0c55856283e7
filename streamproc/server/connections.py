"""Connections of strangers to the HTTP port: how many, and for how long one may be open without a request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

HEADERS_S = 10.0
"""From the first byte of a request to the end of its headers."""
IDLE_S = 60.0
"""Kept open between requests."""
SWEEP_S = 1.0
MOST, MOST_OF_ONE = 1000, 256
"""Connections in all, and of one address."""
RESERVE = 256
"""Descriptors that connections leave to cameras, models and the disk."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    in_all: int
    per_address: int

    @classmethod
    def within(cls, descriptors: int) -> ConnectionLimits:
        """At most half of what is left after the reserve."""
        most = max(16, min(MOST, (descriptors - RESERVE) // 2))
        return cls(most, min(MOST_OF_ONE, max(8, most // 2)))


class Gate:
    """Makes the protocol of each connection, around aiohttp's; belongs to the event loop."""

    def __init__(self, make: Callable[[], asyncio.Protocol], limits: ConnectionLimits) -> None:
        self._make = make
        self._limits = limits
        self._open: dict[asyncio.Protocol, _Connection] = {}
        self._addresses: Counter[str] = Counter()
        self._sweeper: asyncio.TimerHandle | None = None
        self._refused = 0

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self._make(), self)

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        connection = self._open.get(request.protocol)
        if connection is None:
            return await handler(request)
        connection.in_request += 1
        try:
            return await handler(request)
        finally:
            connection.in_request -= 1
            connection.rests()

    def admit(self, connection: _Connection) -> bool:
        full = len(self._open) >= self._limits.in_all
        if full or self._addresses[connection.address] >= self._limits.per_address:
            self._refused += 1
            if self._refused == 1 or self._refused % 1000 == 0:
                log.warning(
                    "connections_refused", address=connection.address, open=len(self._open), refused=self._refused
                )
            return False
        self._open[connection.inner] = connection
        self._addresses[connection.address] += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        return True

    def left(self, connection: _Connection) -> None:
        if self._open.pop(connection.inner, None) is not None:
            self._addresses[connection.address] -= 1
            if not self._addresses[connection.address]:
                del self._addresses[connection.address]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open.values()):
            if connection.overdue(now):
                connection.abort()
        self._sweeper = loop.call_later(SWEEP_S, self._sweep) if self._open else None


class _Connection(asyncio.Protocol):
    """One connection: counts, and passes everything on to aiohttp's protocol."""

    def __init__(self, inner: asyncio.Protocol, gate: Gate) -> None:
        self.inner = inner
        self.address = ""
        self.in_request = 0
        self._gate = gate
        self._transport: Any = None
        self._admitted = False
        self._rests_since = 0.0
        self._began: float | None = None
        """When the first byte of the request came that has not reached a handler yet."""

    def rests(self) -> None:
        self._rests_since, self._began = asyncio.get_running_loop().time(), None

    def overdue(self, now: float) -> bool:
        if self.in_request:
            return False
        if self._began is not None and now - self._began > HEADERS_S:
            return True
        return now - self._rests_since > IDLE_S

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else "local"
        self._admitted = self._gate.admit(self)
        if not self._admitted:
            transport.abort()
            return
        self.rests()
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._gate.left(self)
            self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._admitted:
            if self._began is None and not self.in_request:
                self._began = asyncio.get_running_loop().time()
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


class GatedRunner(web.AppRunner):
    """An application's runner whose listeners make connections through a ``Gate``."""

    limits = ConnectionLimits(MOST, MOST_OF_ONE)
    _gate: Gate | None = None

    async def setup(self) -> None:
        def make() -> asyncio.Protocol:
            server = super(GatedRunner, self).server
            assert server is not None
            return server()

        gate = Gate(make, self.limits)
        self.app.middlewares.insert(0, gate.middleware)
        await super().setup()
        self._gate = gate

    @property
    def server(self) -> Any:
        """What listeners call for each connection."""
        return self._gate or super().server
