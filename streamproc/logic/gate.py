"""Whether a sampled frame is worth a model: it is while something moves, while something followed is undecided, and now and then.

Pure: thumbnails and media time in, a verdict out. Shared by the analyses of a feed, each with a gate of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamproc.logic.motion import Grey, Motion, MotionWatch


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How much a still picture is looked at."""

    enabled: bool = True
    """Off: every sampled frame is analysed; the gate still says whether the feed is calm."""
    wake_s: float = 1.0
    """Go on analysing every sampled frame for so long after the last motion."""
    heartbeat_s: float = 5.0
    """Analyse at least so often a picture in which nothing moves..."""
    heartbeat_most_s: float = 60.0
    """...and less and less often while it goes on being still: after half the time that it has been, up to this."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one frame."""

    motion: Motion
    calm: bool
    """Nothing moved lately and nothing that is followed is undecided."""
    analyse: bool
    """Run the models on this frame."""


@dataclass
class MotionGate:
    """The gate of one analysis of one feed. Frames in order; ``reset`` after a gap. All its fields are its state."""

    watch: MotionWatch = field(default_factory=MotionWatch)
    moved_s: float = float("-inf")
    """When something moved last..."""
    analysed_s: float = float("-inf")
    """...and when a frame was analysed last, in seconds of media time."""

    def update(self, grey: Grey, at_s: float, *, undecided: bool, policy: GatePolicy) -> Verdict:
        """Take in the thumbnail of the next sampled frame, (H, W) uint8.

        ``undecided``: the next frame may settle what a track is or whether it is still there, so that it counts even if nothing moves.
        A frame that the verdict gives to the models is what later ones are compared with.
        """
        motion = self.watch.update(grey)
        if motion.worth:
            self.moved_s = at_s
        calm = not undecided and at_s - self.moved_s > policy.wake_s
        heartbeat = heartbeat_s(at_s - self.moved_s, policy.heartbeat_s, policy.heartbeat_most_s)
        analyse = not (calm and policy.enabled) or at_s - self.analysed_s >= heartbeat
        if analyse:
            self.analysed_s = at_s
            self.watch.looked()
        return Verdict(motion, calm, analyse)

    def reset(self) -> None:
        """After a gap: the next frame is analysed."""
        self.watch.reset()
        self.moved_s = self.analysed_s = float("-inf")


def heartbeat_s(still_s: float, least_s: float = 5.0, most_s: float = 60.0) -> float:
    """How long after the last analysis to analyse again a picture that has stood still for ``still_s``: ever more seldom.

    What changes, however slowly, is told by ``MotionWatch``; this is for what was there and overlooked.
    """
    return max(least_s, min(most_s, still_s / 2))
