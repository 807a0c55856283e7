"""WebRTC peers as strangers would write them, with aiortc: one publishes a counter by WHIP, one watches by WHEP."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack

BITS, CELL = 16, 32


def draw_counter(number: int, width: int = 640, height: int = 360) -> Any:
    """A frame with ``number`` in its top row as black and white cells, and something that moves below."""
    grey = np.full((height, width), 110, np.uint8)
    for bit in range(BITS):
        grey[:CELL, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 16
    x = number * 7 % (width - 80)
    grey[height // 2 : height // 2 + 80, x : x + 80] = 200
    return av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=-1), format="bgr24")


def read_counter(frame: Any) -> int:
    """The number in the top row, whatever size the frame has now."""
    grey = frame.reformat(width=640, height=360, format="gray").to_ndarray()
    cells = [grey[8 : CELL - 8, bit * CELL + 8 : (bit + 1) * CELL - 8].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(cells) if value > 125)


class CounterTrack(MediaStreamTrack):
    """Counts frames, ``fps`` a second; ``sent`` remembers when each was drawn."""

    kind = "video"

    def __init__(self, fps: int = 15) -> None:
        super().__init__()
        self.sent: dict[int, float] = {}
        self._fps = fps
        self._begin: float | None = None

    async def recv(self) -> Any:
        number = len(self.sent)
        self._begin = self._begin or time.monotonic()
        await asyncio.sleep(max(0.0, self._begin + number / self._fps - time.monotonic()))
        frame = draw_counter(number)
        frame.pts, frame.time_base = number * 90_000 // self._fps, Fraction(1, 90_000)
        self.sent[number] = time.monotonic()
        return frame


class Session:
    """One WHIP or WHEP session. ``status`` is the answer's; ``location`` its own URL. ``tls``: whom to trust by HTTPS."""

    def __init__(self, url: str, token: str | None, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self.tls = tls
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.status = 0
        self.location = ""
        self.message = ""
        self.answer = ""
        """The SDP that came back."""
        self.reader: asyncio.Task[None] | None = None
        """Decodes what comes; a decoder's thread tells it a moment after the connection is closed that it was the last."""

    async def offer(self) -> Session:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with self._http() as http:
            headers = {**self.headers, "Content-Type": "application/sdp"}
            async with http.post(self.url, data=self.connection.localDescription.sdp, headers=headers) as answer:
                self.status, body = answer.status, await answer.text()
                self.location = answer.headers.get("Location", "")
        if self.status == 201:
            self.answer = body
            await self.connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        else:
            self.message = body
            await self.connection.close()
        return self

    async def delete(self) -> int:
        base = "/".join(self.url.split("/")[:3])
        async with self._http() as http, http.delete(base + self.location, headers=self.headers) as answer:
            status = answer.status
        await self.connection.close()
        if self.reader:
            _, waiting = await asyncio.wait([self.reader], timeout=3)
            if waiting:  # aiortc never ends a track whose receiver had not begun when its connection was closed
                self.reader.cancel()
                await asyncio.wait(waiting)
        return status

    def _http(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.tls or True))

    async def vanish(self) -> None:
        """As a phone whose battery is empty: nothing more is sent, nobody is told."""
        for transceiver in self.connection.getTransceivers():
            for protocol in transceiver.sender.transport.transport._connection._protocols:
                protocol.transport.close()


async def publish(
    url: str,
    token: str | None,
    track: MediaStreamTrack,
    codec: str = "video/H264",
    *,
    loss: float = 0.0,
    sound: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Session:
    """``loss``: share of the RTP packets that never leave. ``sound``: also a microphone, as OBS and phones have it."""
    session = Session(url, token, tls)
    if sound:
        session.connection.addTrack(AudioStreamTrack())
    transceiver = session.connection.addTransceiver(track, direction="sendonly")
    known = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([item for item in known if item.mimeType in (codec, "video/rtx")])
    await session.offer()
    if loss:
        transport, dice = transceiver.sender.transport, random.Random(5)
        send = transport._send_rtp

        async def lossy(data: bytes) -> None:
            is_control = 192 <= data[1] <= 223
            if is_control or dice.random() >= loss:
                await send(data)

        transport._send_rtp = lossy
    return session


class Watching:
    """A viewer that decodes what it gets."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.frames: list[tuple[float, Any]] = []
        self.count = 0
        session.connection.on("track", self._begin)

    def _begin(self, track: MediaStreamTrack) -> None:
        self.session.reader = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                self.count += 1
                self.frames = [*self.frames[-400:], (time.monotonic(), frame)]
        except MediaStreamError:
            pass

    async def until(self, frames: int, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while self.count < frames:
            assert time.monotonic() < deadline, f"{self.count} frames came, {frames} were waited for"
            await asyncio.sleep(0.05)


async def watch(
    url: str, token: str | None, codec: str | None = None, *, tls: ssl.SSLContext | None = None
) -> Watching:
    session = Session(url, token, tls)
    watching = Watching(session)
    transceiver = session.connection.addTransceiver("video", direction="recvonly")
    if codec:
        known = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([item for item in known if item.mimeType in (codec, "video/rtx")])
    await session.offer()
    return watching
