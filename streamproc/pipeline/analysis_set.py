"""All analyses of one lane, as one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import structlog

from streamproc.core.errors import StreamprocError
from streamproc.core.media import Frame, Picture
from streamproc.core.vision import Box
from streamproc.logic.attention import OpenNews, farthest_apart
from streamproc.logic.sighting import Sighting
from streamproc.pipeline.analysis import Analysis, FrameResult

log = structlog.get_logger(__name__)


MOST_STRETCHED_S = 2.0
"""Between two looks further apart than this somebody who walks is elsewhere."""


class AnalysisSet:
    """Which analyses want a frame, and what they make of it. Media times are the session's. Used by one thread at a time."""

    def __init__(self, processor: str, analyses: Sequence[Analysis]) -> None:
        self.items = list(analyses)
        self._processor = processor
        self._sparse = False
        self.presence_within: Fraction | None = None
        """All that a frame can tell at present is that what was announced is still there, and pictures so many seconds apart tell it; None: it
        can tell more."""
        self._analysed: Fraction | None = None
        """Media time of the newest frame that was analysed."""
        self._passed_over = False
        """Due frames were dropped since."""
        self._stretched = False

    def due(self, media: Fraction) -> list[Analysis]:
        """The analyses that want the frame at ``media``."""
        return [analysis for analysis in self.items if analysis.sampler.due(media)]

    def next_due(self) -> Fraction | None:
        """The earliest media time that is due; None: any."""
        times = [analysis.sampler.next_due() for analysis in self.items]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def analyse(self, frame: Frame, due: Sequence[Analysis]) -> list[FrameResult]:
        """Results of those that the frame is due for, in their order."""
        self._stretch(frame.at.media)
        results = []
        for analysis in due:
            analysis.sampler.take(frame.at.media)
            results.append(analysis.analyse(frame))
        return results

    def spaced(self, seconds: float) -> None:
        """The feed's own pictures come so far apart. Cheap where they come often."""
        if self._sparse or seconds > 1:
            self._sparse = seconds > 1
            for analysis in self.items:
                analysis.spaced(seconds)

    def conclude(self) -> list[Sighting]:
        """What may be announced of a feed that gave one picture and ended."""
        return [sighting for analysis in self.items for sighting in analysis.conclude()]

    def hides(self, picture: Picture) -> list[Box]:
        """What of the newest picture may be neither kept nor shown as a still. Any thread."""
        return [box for analysis in self.items for box in analysis.hides(picture)]

    def pass_over(self, media: Fraction) -> bool:
        """The frame at ``media`` is dropped for good. True: it was due."""
        due = self.due(media)
        for analysis in due:
            analysis.sampler.take(media)
        self._passed_over |= bool(due)
        return bool(due)

    def attend(self, news: OpenNews) -> None:
        """See ``Analysis.attend``."""
        only = [analysis.attend(news) for analysis in self.items]
        self.presence_within = farthest_apart(news) if all(only) else None

    def reset(self) -> None:
        """After a gap."""
        self._passed_over = self._stretched = False
        self._analysed = self.presence_within = None
        for analysis in self.items:
            analysis.reset()

    def snapshot(self) -> list[Any]:
        """State of each, as plain documents."""
        return [analysis.snapshot() for analysis in self.items]

    def restore(self, saved: Sequence[Any]) -> None:
        """Go on from a ``snapshot``; one that cannot (another version's, sealed with another key) begins anew."""
        if len(saved) != len(self.items):
            return
        for analysis, state in zip(self.items, saved, strict=True):
            try:
                analysis.restore(state)
            except StreamprocError as error:
                log.warning("analysis_begins_anew", processor=self._processor, reason=str(error))
                analysis.reset()

    def _stretch(self, media: Fraction) -> None:
        """Where there is too much to do and frames are dropped, what was seen once has to last until the next look."""
        since = float(media - self._analysed) if self._passed_over and self._analysed is not None else 0.0
        if self._passed_over or self._stretched:
            self._stretched = self._passed_over
            for analysis in self.items:
                analysis.spaced(min(since, MOST_STRETCHED_S))
        self._analysed, self._passed_over = media, False
