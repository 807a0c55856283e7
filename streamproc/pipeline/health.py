"""Health monitor: gives the pictures of a feed that are analysed anyway, and its silence, to the judgement of ``logic.camera_health``."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np

from streamproc.config.health import HealthSettings
from streamproc.contracts import SourceTraits
from streamproc.core.media import Frame, Picture
from streamproc.logic.camera_health import CameraHealth, HealthChange
from streamproc.logic.motion import Grey, thumbnail_size
from streamproc.media.mask import PrivacyMask

OFF = HealthSettings(enabled=False)


class HealthMonitor:
    """Of one feed. Used by one thread at a time; ``offline_due`` and ``active`` may be asked from any."""

    def __init__(self, settings: HealthSettings, mask: PrivacyMask) -> None:
        self.settings = settings
        self._mask = mask
        self._health = CameraHealth()
        self._asleep = False
        self._last_frame = time.monotonic()

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the conditions that hold."""
        return tuple(condition.value for condition in self._health.active) if self.settings.enabled else ()

    def frame(self, frame: Frame, traits: SourceTraits, *, due: bool) -> list[HealthChange]:
        """A frame was decoded. ``due``: it is analysed, so that looking at it costs next to nothing."""
        if not self.settings.enabled:
            return []
        at_s, now, health = frame.at.seconds, time.monotonic(), self._health
        changes: list[HealthChange] = []
        if frame.fragment is not None and due:
            # A log took the fragment after it was produced: only a clock that runs ahead can say otherwise.
            ahead = (frame.fragment.producer - frame.fragment.server).total_seconds()
            changes += health.clock(at_s, max(0.0, ahead))
        if not traits.live:  # a recording's pace and stills are its own affair
            return changes
        changes += health.back(now - self._last_frame)
        self._last_frame = now
        if not self._asleep:
            changes += health.frame(at_s)
        if due and health.wants(at_s):
            changes += health.picture(at_s, self._thumbnail(frame.picture))
        return changes

    def offline_due(self, traits: SourceTraits, source: str) -> bool:
        """Whether the feed, which is in state ``source`` (``LaneStats.source``), has just become offline."""
        if not self.settings.enabled or not traits.live or self._asleep or "offline" in self.active:
            return False
        waits = source == "idle" and traits.waits_for_publisher
        return not waits and source in ("gap", "idle") and self._quiet_s >= self.settings.offline_after

    def offline(self, why: str) -> list[HealthChange]:
        """The feed has become offline: what of its health changes with that."""
        return self._health.silent(self._quiet_s, self.settings.offline_after, why)

    def asleep(self, asleep: bool) -> None:
        """Whether idle mode holds packets back."""
        if asleep is not self._asleep:
            self._asleep = asleep
            self._health.pause()

    def pause(self) -> None:
        """Frames were thrown away here."""
        self._health.pause()

    def gap(self) -> None:
        """The feed was interrupted."""
        self._health.gap()

    @property
    def _quiet_s(self) -> float:
        return time.monotonic() - self._last_frame

    def _thumbnail(self, picture: Picture) -> Grey:
        width, height = thumbnail_size(picture.width, picture.height)
        if not self._mask.regions:
            return picture.luma(width, height)
        # The motion gate's thumbnail is black outside of the regions; a turned camera shows everywhere.
        return np.asarray(cv2.cvtColor(picture.bgr(width, height), cv2.COLOR_BGR2GRAY), np.uint8)


def event_data(change: HealthChange) -> dict[str, Any]:
    """The body of a ``camera_health`` event."""
    return {
        "condition": change.condition.value,
        "active": change.active,
        "measured": change.measured,
        "detail": change.detail,
    }
