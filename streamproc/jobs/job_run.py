"""One run: a video is decoded once and every frame goes to each analysis that asked for it. Synchronous; called by a worker thread."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import structlog

from streamproc.core.errors import MediaError, OwnershipLost, StateError, StorageUnavailable, StreamprocError
from streamproc.jobs.analysis import Analysis
from streamproc.jobs.model import Job, JobKind, JobState, VideoRef, facts_to
from streamproc.jobs.video import Place, Sound, StoredVideo, VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document
from streamproc.store.faults import passing_fault
from streamproc.store.jobs import JobStore, Progress

log = structlog.get_logger(__name__)

MakeAnalysis = Callable[[JobKind, dict[str, Any], VideoFacts], Analysis]
OpenVideo = Callable[[VideoRef], StoredVideo]
Tell = Callable[["Advance"], None]
_PLACE, _STATE, _ROWS = "place in a video", "analysis of a video", "rows of an analysis"
_VERSION = 1
"""Of the three state documents of a job; another version is not read, its run begins anew."""
NO_FRAMES = "The video holds no frames that can be decoded."
INTERNAL = "An internal error occurred."


class Interrupted(StreamprocError):
    """The run was asked to stop; it can be resumed."""


class _AllCancelled(Exception):
    """Nobody waits for this run any more."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a run is, for progress bars."""

    frames: int
    expected: int
    seconds: float
    """Media time."""


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """How often a run writes down how far it is."""

    checkpoint_s: float = 2.0
    """Wall seconds between checkpoints; a killed run repeats at most so much."""
    max_seconds: float = 6 * 3600.0
    """Longer videos are refused."""


@dataclass
class Run:
    """The jobs of one decode."""

    id: str
    jobs: Sequence[Job]
    store: JobStore
    open_video: OpenVideo
    make: MakeAnalysis
    policy: RunPolicy = field(default_factory=RunPolicy)
    stop: Callable[[], bool] = lambda: False
    tell: Tell = lambda advance: None

    def work(self) -> None:
        """Decode and analyse to the end. Failures become the jobs' state; raises Interrupted when stopped, OwnershipLost
        where another node goes on with them, and what the storage raises that passes."""
        try:
            self._work()
        except (Interrupted, OwnershipLost, StorageUnavailable):
            raise
        except _AllCancelled:
            return
        except StreamprocError as error:
            self._fail(str(error), bad_video=isinstance(error, MediaError))
        except Exception as error:
            if passing_fault(error) is not None:
                raise  # nothing is wrong with the job: it goes on from its checkpoint when the storage is back
            # The border of a worker thread: a bug in one analysis must not take the others' jobs with it, nor the worker.
            log.exception("job_crashed", run=self.id, jobs=[job.id for job in self.jobs])
            self._fail(INTERNAL)

    def _fail(self, reason: str, *, bad_video: bool = False) -> None:
        if self.stop():  # it may have been left behind, and another run be at its jobs
            raise Interrupted(f"the job was interrupted: {reason}")
        for job in self.jobs:
            self.store.end(job.id, JobState.FAILED, message=reason, bad_video=bad_video)

    def _work(self) -> None:
        video = self.open_video(self.jobs[0].request.video)
        try:
            self._check_length(Fraction(video.facts.duration_ms, 1000))
            analyses, place = self._restored(video)
            self.store.opened(list(analyses), facts_to(video.facts), video.expected_frames)
            frames, last = self._read(video, analyses, place)
            video.ended(last)
            self.store.opened(list(analyses), facts_to(video.facts), frames)
            self._conclude(analyses, video.facts, frames)
            self.tell(Advance(frames, frames, float(last)))
        finally:
            video.close()

    def _check_length(self, seconds: Fraction) -> None:
        if seconds > self.policy.max_seconds:
            raise MediaError(
                f"The video is {int(seconds)} seconds long, the maximum is {round(self.policy.max_seconds)} seconds."
            )

    def _restored(self, video: StoredVideo) -> tuple[dict[str, Analysis], Place | None]:
        """The analyses and where to go on. A checkpoint of another version, or a damaged one, is dropped: the run begins anew."""
        analyses = self._made(video)
        try:
            return analyses, self._restore(analyses)
        except StateError as error:
            log.warning("job_begins_anew", run=self.id, jobs=list(analyses), reason=str(error))
            self.store.begin_anew(self.id, list(analyses))
            return self._made(video), None

    def _made(self, video: StoredVideo) -> dict[str, Analysis]:
        return {job.id: self.make(job.request.kind, dict(job.request.options), video.facts) for job in self.jobs}

    def _restore(self, analyses: dict[str, Analysis]) -> Place | None:
        kept = self.store.place(self.id)
        if kept is None:
            return None
        for job, analysis in analyses.items():
            state = self.store.state(job)
            if state is None:
                raise StreamprocError(f"the checkpoint of job {job} is incomplete")
            analysis.restore(unpack(state, _STATE, _VERSION))
        return from_document(Place, unpack(kept, _PLACE, _VERSION))

    def _read(self, video: StoredVideo, analyses: dict[str, Analysis], place: Place | None) -> tuple[int, Fraction]:
        """Feed everything behind ``place``. How many frames the video has, and the last one's time."""
        index, at = (place.index, place.at) if place else (-1, Fraction(0))
        heard = dict(place.heard) if place else {}
        saved = told = time.monotonic()
        hears = any(analysis.hears for analysis in analyses.values())
        for item in video.items(sound=hears, after=place):
            if isinstance(item, Sound):
                heard[item.stream] = item.start
                for analysis in analyses.values():
                    if analysis.hears:
                        analysis.hear(item)
                continue
            index, at = item.index, item.at
            self._check_length(at)  # not every container says how long the video is, nor the truth
            _feed(item, analyses)
            now = time.monotonic()
            if now - told > 0.2:
                told = now
                self.tell(Advance(index + 1, video.expected_frames, float(at)))
            stopping = self.stop()
            if stopping or now - saved > self.policy.checkpoint_s:
                self._save(analyses, video.place(dict(heard)))
                saved = time.monotonic()
            if stopping:
                raise Interrupted("the job was interrupted; it goes on when it is started again")
        return index + 1, at

    def _save(self, analyses: dict[str, Analysis], place: Place) -> None:
        open_jobs = self.store.open_of(list(analyses))
        for job in [job for job in analyses if job not in open_jobs]:
            del analyses[job]  # cancelled; the others go on
        if not analyses:
            raise _AllCancelled
        progress = [
            Progress(
                job,
                pack(_STATE, _VERSION, analysis.snapshot()),
                None if (rows := analysis.take()) is None else pack(_ROWS, _VERSION, rows),
            )
            for job, analysis in analyses.items()
        ]
        self.store.checkpoint(self.id, pack(_PLACE, _VERSION, to_document(place)), progress, place.index + 1)

    def _conclude(self, analyses: dict[str, Analysis], facts: VideoFacts, frames: int) -> None:
        if frames == 0:
            raise MediaError(NO_FRAMES)
        for job, analysis in analyses.items():
            analysis.finish()
            rows = [unpack(each, _ROWS, _VERSION) for each in self.store.rows(job)]
            rest = analysis.take()
            if rest is not None:
                rows.append(rest)
            result = analysis.conclude(rows, facts, frames)
            packed = zlib.compress(json.dumps(result, separators=(",", ":")).encode(), 6)
            self.store.end(job, JobState.SUCCEEDED, result=packed, frames=frames)


def _feed(frame: VideoFrame, analyses: dict[str, Analysis]) -> None:
    for analysis in analyses.values():
        if analysis.wants(frame.index, frame.at):
            analysis.add(frame)
