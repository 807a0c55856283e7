"""Idle mode: while a camera shows nothing, its packets are only weighed and its keyframes alone are decoded.

Most cameras show nothing most of the day, and decoding is what a quiet camera costs. While the camera is asleep, the lane's inbox holds the
packets since the last keyframe. When they rise (``logic/wakeup.py``), or the next keyframe shows another picture, the lane wakes and decodes what is held from that
keyframe on, so that no frame of what happened is lost. Cameras whose packets have not shown what their pictures did, and those whose keyframes
are far apart while their packets tell little, are recognised and decoded as ever. A camera of which everything has been announced sleeps, too, where its
keyframes are enough to tell that it is still there (``pipeline/keyframe_presence.py``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import structlog

from streamproc import metrics
from streamproc.config.processor import IdleSettings
from streamproc.core.media import Frame, Moment, Packet, StreamItem
from streamproc.logic.keyframes import KeyframeRule
from streamproc.logic.wakeup import PacketWatch
from streamproc.media.weight import FeedScales
from streamproc.pipeline.held_back import HeldBack
from streamproc.pipeline.keyframe_presence import KeyframePresence
from streamproc.pipeline.stillness import Stillness
from streamproc.pipeline.wakes import Wakes

log = structlog.get_logger(__name__)


class IdleMode:
    """Whether one camera is asleep, and what wakes it. Knows no queue and no decoder: packets and frames are given to it.

    ``arrived`` is called by the source's thread, everything else by the lane's worker. Media times are the source's.
    """

    def __init__(self, processor: str, live: bool) -> None:
        """``live``: a durable feed is read whole and never sleeps."""
        self.live = live
        self.settings = IdleSettings()
        self.eager = False
        """Fall asleep sooner and compare no more keyframes than ``max_wake_delay`` asks for: the node has too much to do."""
        self.asleep = False
        self.served = 0.0
        """When a frame was last analysed since the feed began or woke; monotonic seconds, 0: none was."""
        self.wakes = Wakes(processor)
        self.presence = KeyframePresence()
        self.held = HeldBack()
        self._processor = processor
        self._scales = FeedScales()
        self._watch = PacketWatch()
        self._stillness = Stillness()
        self._wake_reason: str | None = None
        self._packets = False
        metrics.ASLEEP.labels(processor).set(0)

    # -- called by the source's thread

    def arrived(self, packet: Packet, room: bool) -> None:
        """Weigh a packet before it is queued. ``room``: more can be held back before the inbox overflows."""
        self._packets = True
        if not self.settings.enabled or not self.live:
            return
        risen = self._watch.update(self._scales.weigh(packet), packet.keyframe, packet.at.media)
        if not self.asleep or self._wake_reason is not None:
            return
        if risen and not self.presence.enough:
            self._watch.frozen = True
            self._wake_reason = "sizes"
        elif self._keyframes.distant and self._watch.blind(asleep=True) is not None:
            self._wake_reason = "blind"
        elif self.held.expired(packet.at.media):
            self._wake_reason = "session"
        elif not room or self._keyframes.overdue(self._watch.key_at, packet.at.media):
            self._wake_reason = "keyframe_late"

    # -- called by control, between steps

    def adopt(self, settings: IdleSettings) -> None:
        """Other settings; a camera that is asleep wakes before it sleeps under them."""
        if settings != self.settings:
            self.settings, self.presence.within = settings, None
            self.wake("settings")

    def snapshot(self) -> dict[str, Any] | None:
        """What the camera's packets are like, JSON-ready; None: that is not known."""
        return self._watch.snapshot() if self._watch.informed else None

    def restore(self, state: Mapping[str, Any]) -> None:
        """Know the camera by a ``snapshot``, before its first packet."""
        self._watch.restore(state)

    def wake(self, reason: str) -> None:
        """Wake as soon as a worker comes."""
        if self.asleep:
            self._wake_reason = self._wake_reason or reason

    # -- called by the lane's worker

    def reset(self) -> None:
        """After a gap nothing is held, and the camera is only known by what its packets were like."""
        self._set_asleep(False)
        self._watch, known = PacketWatch(), self._watch
        if known.informed:  # most cameras come back as they were
            self._watch.restore(known.snapshot())
        self._stillness.reset()
        self._wake_reason = self.presence.within = None
        self.held.released(None)
        self.wakes.forget()
        self.served = 0.0

    @property
    def wake_wanted(self) -> bool:
        """Asleep, and something is to wake it: a worker is wanted at once."""
        return self._wake_reason is not None

    def worth_comparing(self, keyframe: Packet, head: Packet) -> bool:
        """Asleep: whether to compare this keyframe with the last one seen, or to wait for the next, which would still be in time.

        ``head``: the oldest packet that is held back.
        """
        return not self.eager or not self._keyframes.may_wait(keyframe.at.media - head.at.media)

    def reason_to_wake(self, next_item: StreamItem | None) -> str | None:
        """Asleep: why to wake now, if so. ``next_item``: a keyframe that is due to be compared, a gap or end that follows; None: nothing."""
        if self._wake_reason is not None:
            return self._wake_reason
        return "gap" if next_item is not None and not isinstance(next_item, Packet) else None

    def compare(self, still: Frame | None) -> str | None:
        """Asleep: why to wake, after the picture of the next keyframe; None: it shows nothing new. ``still`` None: it is damaged."""
        if still is None:
            return "damage"
        if self.presence.enough:
            return None if self.presence.by(self._keyframes) else "presence"
        return "picture" if self._stillness.shows_another(still) else None

    def reason_in_look(self, active: bool, within: Fraction | None) -> str | None:
        """A frame was analysed: why to wake, if asleep. ``active``: see ``analysed``; ``within``: see ``KeyframePresence``."""
        self.presence.within = within if self.live and self.settings.enabled else None
        if self.presence.enough:
            return None if self.presence.by(self._keyframes) else "presence"
        return "look" if active and self.asleep else None

    def wake_up(self, reason: str, newest: Fraction | None) -> None:
        """Decode again. ``newest``: media time of the newest picture that was held back."""
        self.held.released(newest)
        self.wakes.begin(reason, self._watch.stirring)
        self._wake_reason = self.presence.within = None  # a look has to show it anew
        self.served = 0.0
        self._set_asleep(False)
        self._stillness.begin_anew()

    def analysed(self, active: bool, at: Moment) -> None:
        """A frame was analysed (wake up first where that is what it asks for). ``active``: something moves, or is being decided."""
        self.served = time.monotonic()
        self._stillness.analysed(at.media, active)
        if active:
            self._watch.frozen = True
            self.wakes.found(at)
        elif not self.asleep and self._stillness.calm(at.media, self.eager):  # whatever packets say, nothing moves
            self._watch.frozen = False
            self._watch.relax()

    def may_sleep(self, packet: Packet) -> bool:
        """Whether the camera may fall asleep on this keyframe."""
        return packet.keyframe and not self.asleep and (self.presence.by(self._keyframes) or self.hindrance() is None)

    def sleep(self, frames: Sequence[Frame], hold_until: Fraction | None) -> None:
        """From a keyframe on packets are held. ``frames``: what was decoded up to it; the last is what the next keyframe is compared with.

        ``hold_until``: media time at which the session wants a frame in any case.
        """
        if self.wakes.end():
            self._watch.found_nothing()
        self._wake_reason, self.held.until = None, hold_until
        self.held.released(None)
        self.presence.enough = self._watch.frozen = self.presence.by(self._keyframes)
        self._stillness.remember(frames)
        self._set_asleep(True)

    def has_backlog(self, at: Moment) -> bool:
        """Whether this frame was held back while the camera slept, so that it is analysed although newer ones are there."""
        return self.held.has(at, self._keyframes)

    def hindrance(self) -> str | None:
        """Why the camera is decoded and not asleep; None: nothing keeps it awake."""
        if not self.settings.enabled:
            return "idle.enabled is false"
        if not self.live:
            return "a durable feed is read whole"
        if not self._packets:
            return "the feed comes decoded"
        if not self._watch.learned:
            return "learning"
        blind = self._watch.blind() if self._keyframes.distant else None
        if blind is not None:
            return f"{self._keyframes}, and {blind}"
        seen_at = self._stillness.seen_at
        if self.wakes.mistrusted(seen_at or Fraction(0)):
            return "packet sizes did not show what the picture showed"
        if seen_at is None or not self._stillness.calm(seen_at, self.eager):
            return "something moves or is being decided"
        return None

    def view(self) -> dict[str, Any]:
        """JSON-ready: the mode and why, for Describe."""
        awake = ("decoding", self.hindrance() or "waiting for a keyframe")
        mode, why = self.presence.sleep if self.asleep else awake
        figures = {"wake_bound_s": round(self.bound_s, 3), "packets_undecoded": self.held.undecoded}
        return {"mode": mode, "why": why} | self.wakes.view() | figures

    @property
    def bound_s(self) -> float:
        """How late, at the latest, something is noticed that packets do not tell: at the next keyframe that is compared."""
        return self._keyframes.bound_s

    # -- inside

    @property
    def _keyframes(self) -> KeyframeRule:
        return KeyframeRule(self._watch.interval, self.settings.max_wake_delay)

    def _set_asleep(self, asleep: bool) -> None:
        self.asleep, self.presence.enough = asleep, self.presence.enough and asleep
        metrics.ASLEEP.labels(self._processor).set(int(asleep))
        metrics.WAKE_BOUND.labels(self._processor).set(self.bound_s if asleep else 0.0)
