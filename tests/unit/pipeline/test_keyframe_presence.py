"""A camera of which everything has been announced, on a real little stream: somebody stands and moves in a room, leaves, and comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.config.processor import IdleSettings
from streamproc.contracts import SourceTraits
from streamproc.core.event import Event, EventType
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment, Packet, Picture
from streamproc.core.vision import Box
from streamproc.logic.attention import OpenNews, presence_interval
from streamproc.logic.keyframes import KeyframeRule
from streamproc.logic.regions import EVERYWHERE
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Sighting
from streamproc.media.reader import read_packets
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.keyframe_presence import KeyframePresence
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from tests.builders.lanes import NEVER, Book, drain

FPS, SECONDS = 10, 44
VISITS = ((3.4, 22.3), (32.5, 38.2))
RULES = SessionRules("continuous", None, Fraction(4), classes=("PERSON",))


def stream(path: Path, distance: int) -> list[Packet]:
    """Keyframes come every ``distance`` pictures."""
    chance = np.random.default_rng(7)
    room = chance.integers(60, 120, (96, 160), np.uint8).repeat(2, 0).repeat(2, 1).astype(np.int16)
    options = {"preset": "ultrafast", "crf": "24", "g": str(distance), "sc_threshold": "0"}
    with av.open(str(path), "w") as out:
        coded = out.add_stream("libx264", rate=FPS, options=options)
        coded.width, coded.height, coded.pix_fmt = 320, 192, "yuv420p"
        for number in range(SECONDS * FPS):
            picture = room + chance.normal(0, 1, room.shape)
            if any(begin <= number / FPS < end for begin, end in VISITS):
                left = 100 + round(60 * np.sin(number))
                picture[60:140, left : left + 50] = 240
            grey = np.clip(picture, 0, 255).astype(np.uint8)
            out.mux(coded.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        out.mux(coded.encode())
    return list(read_packets(path))


class SquareEyes:
    """Sees the square, and attends as label analysis does."""

    def __init__(self) -> None:
        self.sampler = Sampler(5)
        self.looked: list[float] = []
        self.there = False

    def attend(self, news: OpenNews) -> bool:
        interval = presence_interval(news, {"PERSON"} if self.there else ())
        fps = 5 if interval is None else float(1 / interval)
        if self.sampler.fps != Sampler(fps).fps:
            self.sampler.retune(fps)
        return interval is not None

    def analyse(self, frame: Frame) -> FrameResult:
        self.looked.append(round(frame.at.seconds, 2))
        self.there = bool((frame.picture.luma(32, 20) > 200).sum() >= 4)
        if not self.there:
            return FrameResult(active=False)
        box = Box(0.1, 0.1, 0.5, 0.9)
        return FrameResult([Sighting(EventType.LABEL_DETECTED, "PERSON", 90.0, box, EVERYWHERE, True)])

    def reset(self) -> None:
        self.sampler.reset()

    def spaced(self, seconds: float) -> None: ...

    def hides(self, picture: Picture) -> list[Box]:
        return []


def play(
    packets: list[Packet], rules: SessionRules = RULES, **idle: bool
) -> tuple[Lane, list[Event], SquareEyes, set[str]]:
    """The lane at the end, what was told, who looked, and the modes that Describe gave on the way."""
    book, eyes, modes = Book(), SquareEyes(), set()
    parts = LaneSetup("room", SourceTraits(True), Sessions("room", rules, "run"), [eyes], book, checkpoints=False)  # type: ignore[list-item]
    lane = Lane(parts)
    lane.idle.adopt(IdleSettings(**idle))
    for packet in packets:
        lane.offer(replace(packet, at=Moment(packet.at.media, datetime.now(UTC))), None, NEVER)
        drain(lane)
        modes.add(str(lane.idle.view()["mode"]))
    return lane, book.events, eyes, modes


@pytest.mark.parametrize("last", [EndOfStream(), Gap(GapReason.LOST, Moment(Fraction(19), datetime.now(UTC)), "cut")])
def test_what_follows_is_reached_from_sleep(tmp_path: Path, last: EndOfStream | Gap) -> None:
    lane, *_ = play(stream(tmp_path / "room.mkv", 10)[:197])
    assert lane.idle.view()["mode"] == "keyframes"
    lane.offer(last, None, NEVER)
    for _ in range(100):
        if lane.urgency() is None:
            break
        lane.step()
    assert lane.urgency() is None and not lane.idle.asleep
    assert lane.over is isinstance(last, EndOfStream)


def told(events: list[Event]) -> list[tuple[EventType, float]]:
    return [(event.type, event.at.seconds) for event in events]


def test_the_same_is_told_by_keyframes_alone(tmp_path: Path) -> None:
    packets = stream(tmp_path / "room.mkv", 10)
    lane, events, eyes, modes = play(packets)
    _, as_ever, _, awake = play(packets, enabled=False)
    assert modes == {"decoding", "keyframes", "asleep"} and awake == {"decoding"}
    announced = EventType.LABEL_DETECTED
    assert [kind for kind, _ in told(events)] == [kind for kind, _ in told(as_ever)]
    assert [at for kind, at in told(events) if kind is announced] == [
        at for kind, at in told(as_ever) if kind is announced
    ]
    ends = zip(told(events), told(as_ever), strict=True)
    assert all(abs(ours[1] - theirs[1]) <= 1.0 for ours, theirs in ends), "a keyframe apart"
    assert lane.idle.wakes.counts["presence"] == 2, "once a visit, as somebody leaves"
    while_there = [at for at in eyes.looked if 6 <= at < 22]
    assert len(while_there) <= 17 and lane.idle.held.undecoded >= 9 * 14
    assert not lane.stats.drops


def test_a_session_of_which_all_is_announced_ends_when_its_time_is_up(tmp_path: Path) -> None:
    rules = SessionRules("session", Fraction(16), None, classes=("PERSON",))
    packets = stream(tmp_path / "room.mkv", 20)
    lane, events, _, modes = play(packets, rules)
    assert "keyframes" in modes and lane.over
    _, as_ever, _, _ = play(packets, rules, enabled=False)
    assert [kind for kind, _ in told(events)] == [EventType.LABEL_DETECTED, EventType.SESSION_COMPLETE]
    assert told(events) == told(as_ever), "to the instant"


@pytest.mark.parametrize(
    ("interval", "within", "enough"),
    [(2, 3, True), (2, 2, True), (2, 1, False), (4, 9, False), (None, 3, False), (2, None, False)],
    ids=["often", "just", "somebody might seem gone", "farther apart than may be slept", "not known", "news is open"],
)
def test_when_keyframes_are_enough(interval: int | None, within: int | None, enough: bool) -> None:
    presence = KeyframePresence()
    presence.within = None if within is None else Fraction(within)
    assert presence.by(KeyframeRule(None if interval is None else Fraction(interval), 2.0)) is enough
