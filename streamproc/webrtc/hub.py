"""All publishers and viewers of the node, and the clock that looks after them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from functools import partial

import structlog

from connectors.webrtc.source import WebrtcSource
from streamproc.config.webrtc import WebrtcSettings
from streamproc.core.errors import InUse, LimitExceeded
from streamproc.core.event import Event
from streamproc.live.run import Run
from streamproc.live.supervisor import Supervisor
from streamproc.webrtc.inbound import PublisherSession
from streamproc.webrtc.offer import Offer
from streamproc.webrtc.outbound import Viewer
from streamproc.webrtc.peer import Peer
from streamproc.webrtc.ports import Ports
from streamproc.webrtc.relay import Relay
from streamproc.webrtc.scene import Listener

log = structlog.get_logger(__name__)
TICK_S = 0.5
COMING_UP_S = 20.0


class WebRtcHub:
    """Belongs to the event loop. Raises NotFound for unknown processors, InUse for those that cannot serve now."""

    def __init__(self, supervisor: Supervisor, settings: WebrtcSettings) -> None:
        self.supervisor = supervisor
        self.settings = settings
        self.publishers: dict[str, PublisherSession] = {}
        self.viewers: dict[str, tuple[Viewer, Relay]] = {}
        self.listeners: dict[str, set[Listener]] = {}
        self._ports = Ports(settings)
        self._relays: dict[str, Relay] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._closing = False

    def open(self) -> None:
        self.supervisor.notices.committed.append(self._told)
        self.supervisor.notices.runs.append(lambda name: self.relay(name).follow())
        self._ticker = asyncio.create_task(self._tick(), name="webrtc")

    async def close(self) -> None:
        self._closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        for listeners in self.listeners.values():
            for listener in listeners:
                listener.end()
        for relay in self._relays.values():
            relay.close()
        peers = [session.peer for session in self.publishers.values()]
        peers += [viewer.peer for viewer, _ in list(self.viewers.values())]
        await asyncio.gather(*(peer.aclose("the node stops") for peer in peers), return_exceptions=True)

    async def settled(self, name: str) -> None:
        """Wait while the processor comes up (its models load), for those who ask a moment too early. Raises NotFound."""
        deadline = time.monotonic() + COMING_UP_S
        while self.run(name) is None and time.monotonic() < deadline:
            if (await self.supervisor.view(name)).state != "starting":
                return
            await asyncio.sleep(0.1)

    # -- publishing

    async def publish(self, name: str, offer: Offer) -> tuple[str, str]:
        """The session's id and the SDP answer. Raises OfferRefused."""
        source = self.source(name)
        source.require_place()
        session = PublisherSession(source, name)
        identity = secrets.token_urlsafe(18)
        session.peer = Peer(self.settings, self._ports, partial(self._publisher_gone, identity, session))
        session.peer.on_connected = session.connection_made
        self.publishers[identity] = session
        try:
            answer = await session.answer(offer)
            before = source.join(session)  # only who is answered takes over
        except BaseException:
            session.peer.close("the offer could not be answered")
            raise
        if isinstance(before, PublisherSession):
            before.peer.close("another publisher took over")
        log.info("publishing", processor=name)
        return identity, answer

    def source(self, name: str) -> WebrtcSource:
        """Where to publish to."""
        run = self.run(name)
        source = run.feeder.source if run is not None else None
        if run is None or not isinstance(source, WebrtcSource):
            kind = "its source is not {type: webrtc}" if run is not None else "it does not run"
            raise InUse(f"nothing can be published to {name}: {kind}")
        return source

    def _publisher_gone(self, identity: str, session: PublisherSession, why: str) -> None:
        self.publishers.pop(identity, None)
        if not self._closing:  # a node that stops ends its sessions itself: that is no gap
            session.gone(why)

    # -- watching

    async def watch(self, name: str, offer: Offer) -> tuple[str, str]:
        """The session's id and the SDP answer. Raises OfferRefused, LimitExceeded."""
        if self.run(name) is None:
            raise InUse(f"{name} does not run; start it to watch it")
        if len(self.viewers) >= self.settings.max_viewers:
            raise LimitExceeded(f"{len(self.viewers)} watch already (webrtc.max_viewers)")
        relay = self.relay(name)
        identity = secrets.token_urlsafe(18)
        codec = choose_codec(await relay.source_codec(), offer)
        viewer = Viewer(identity, codec, relay.keyframe_wanted)
        viewer.peer = Peer(self.settings, self._ports, partial(self._viewer_gone, identity, viewer, relay))
        viewer.peer.on_connected = partial(relay.started, viewer)
        self.viewers[identity] = (viewer, relay)
        relay.add(viewer)
        try:
            answer = await viewer.answer(offer)
        except BaseException:
            viewer.peer.close("the offer could not be answered")
            raise
        log.info("watching", processor=name, codec=codec, why_transcoded=relay.pictures.unplayable)
        return identity, answer

    def relay(self, name: str) -> Relay:
        if name not in self._relays:
            self._relays[name] = Relay(name, lambda: self._run_or_none(name))
        return self._relays[name]

    def run(self, name: str) -> Run | None:
        return self.supervisor.run_of(name)

    def listen(self, name: str, viewer: str | None, people: bool = True) -> Listener:
        """``people``: whether it may know who is seen. Raises NotFound."""
        self.run(name)
        relay = self.relay(name)

        def rtp_of(wall: object) -> int | None:
            found = self.viewers.get(viewer or "")
            return found[0].rtp_of(wall) if found is not None else None  # type: ignore[arg-type]

        listener = Listener(rtp_of, people)
        self.listeners.setdefault(name, set()).add(listener)
        relay.observers.append(listener.looked)
        relay.follow()
        return listener

    def leave(self, name: str, listener: Listener) -> None:
        self.listeners.get(name, set()).discard(listener)
        relay = self.relay(name)
        if listener.looked in relay.observers:
            relay.observers.remove(listener.looked)
        relay.tidy()

    def _viewer_gone(self, identity: str, viewer: Viewer, relay: Relay, why: str) -> None:
        if self.viewers.pop(identity, None) is not None:
            log.info("viewer_gone", processor=relay.name, reason=why, sent=viewer.sent, skipped=viewer.skipped)
        relay.remove(viewer)

    # -- inside

    def _run_or_none(self, name: str) -> Run | None:
        return self.supervisor.run_of(name) if self.supervisor.known(name) else None

    def _told(self, events: Sequence[Event]) -> None:
        for event in events:
            for listener in self.listeners.get(event.processor, ()):
                listener.told(event)

    async def _tick(self) -> None:
        while True:
            now = time.monotonic()
            for session in list(self.publishers.values()):
                session.check(now)
            for viewer, relay in list(self.viewers.values()):
                viewer.peer.check(now)
                if viewer.starving:
                    relay.keyframe_wanted(viewer)
                if not self.supervisor.known(relay.name):
                    viewer.peer.close("the processor was deleted")
            for name in self.supervisor.names():
                self.relay(name).follow()
            for name in [name for name in self._relays if not self.supervisor.known(name)]:
                self._relays.pop(name).close()
            await asyncio.sleep(TICK_S)


def choose_codec(source: str | None, offer: Offer) -> str:
    """What a viewer is sent: the source's own codec where the viewer takes it, else the best that it takes."""
    offered = [name.lower() for name in offer.codecs]
    return source if source in offered else offered[0]
