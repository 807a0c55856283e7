"""One WebRTC connection: aiortc's, kept within our limits."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import CODECS
from aiortc.exceptions import OperationError
from aiortc.sdp import candidate_from_sdp

from streamproc.config.webrtc import WebrtcSettings
from streamproc.webrtc.offer import MAX_CANDIDATES, Offer, OfferRefused
from streamproc.webrtc.ports import Ports

log = structlog.get_logger(__name__)
CONNECT_S = 30.0
"""A peer that is not connected after so long is dropped."""


def _take_more_profiles() -> None:
    """aiortc agrees to H.264 Baseline only; what comes in is decoded by FFmpeg, which takes the others as well."""
    known = CODECS["video"]
    pattern = next(codec for codec in known if codec.mimeType == "video/H264")
    for number, profile in enumerate(("4d001f", "640c1f", "64001f")):
        parameters = {**pattern.parameters, "profile-level-id": profile}
        if not any(codec.parameters == parameters for codec in known):
            known.append(dataclasses.replace(pattern, payloadType=110 + number, parameters=parameters))


_take_more_profiles()


class Peer:
    """Belongs to the event loop. ``on_gone`` is called once, when the connection is over for whatever reason."""

    def __init__(self, settings: WebrtcSettings, ports: Ports, on_gone: Callable[[str], None]) -> None:
        self.connection = RTCPeerConnection(_configuration(settings))
        self.connected = False
        self.on_connected: Callable[[], None] = lambda: None
        self._ports = ports
        self._on_gone = on_gone
        self._made = time.monotonic()
        self._candidates = 0
        self._closing: asyncio.Task[None] | None = None
        self.connection.on("connectionstatechange", self._changed)

    async def answer(self, offer: Offer) -> str:
        """The SDP answer. Raises OfferRefused where aiortc cannot make sense of the offer."""
        self._candidates = offer.candidates
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._keep_to_video(offer.video)
            for transport in self._ice_transports():
                self._ports.apply(transport)
            await self.connection.setLocalDescription(await self.connection.createAnswer())
        except OperationError as error:  # read, but no codec or profile is in common
            log.info("offer_refused", reason=repr(error))
            raise OfferRefused(
                422, "the offer has nothing in common with this node: H.264 (packetization-mode=1) or VP8"
            ) from None
        except Exception as error:  # noqa: BLE001  aiortc's parser raises whatever comes to hand
            log.info("offer_refused", reason=repr(error))
            raise OfferRefused(400, "the offer cannot be used; it is broken") from None
        return str(self.connection.localDescription.sdp)

    async def add_candidates(self, found: list[tuple[str | None, str]]) -> None:
        """Trickled candidates, each with its section's mid. Raises OfferRefused beyond the limit."""
        self._candidates += len(found)
        if self._candidates > MAX_CANDIDATES:
            raise OfferRefused(413, f"more than {MAX_CANDIDATES} candidates")
        for mid, line in found:
            # is_usable has looked at the words; what aiortc still cannot read is one candidate less.
            with contextlib.suppress(ValueError, AssertionError, IndexError):
                candidate = candidate_from_sdp(line.removeprefix("candidate:"))
                candidate.sdpMid = mid if mid is not None else self.connection.getTransceivers()[0].mid
                await self.connection.addIceCandidate(candidate)

    def check(self, now: float) -> None:
        """Called about once a second."""
        if not self.connected and now - self._made > CONNECT_S:
            self.close(f"did not connect within {CONNECT_S:g} s")

    def close(self, why: str) -> None:
        """Tell, and clean up in the background."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.connection.close(), name="close peer")
            self._on_gone(why)

    async def aclose(self, why: str) -> None:
        self.close(why)
        assert self._closing is not None
        await asyncio.wait([self._closing])

    def _changed(self) -> None:
        state = self.connection.connectionState
        if state == "connected":
            self.connected = True
            self.on_connected()
        elif state in ("failed", "closed"):
            self.close("the connection was lost" if self.connected else "no connection could be made")

    def _keep_to_video(self, index: int) -> None:
        """One video section is served, everything else is answered but not used."""
        for transceiver in self.connection.getTransceivers():
            if transceiver._get_mline_index() != index:
                transceiver.direction = "inactive"

    def _ice_transports(self) -> set[Any]:
        transports = {t.receiver.transport.transport._connection for t in self.connection.getTransceivers()}
        if self.connection.sctp is not None:
            transports.add(self.connection.sctp.transport.transport._connection)
        return transports


def _configuration(settings: WebrtcSettings) -> RTCConfiguration:
    """Never None for servers: aiortc's default is a public one."""
    servers = [
        RTCIceServer(
            urls=server.url,
            username=server.username,
            credential=os.environ.get(server.credential_env) if server.credential_env else None,
        )
        for server in settings.ice_servers
    ]
    return RTCConfiguration(iceServers=servers)
