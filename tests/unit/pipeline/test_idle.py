"""A lane that sleeps, on a real little stream: a still, noisy picture into which a bright square walks for two seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import av
import numpy as np
import pytest

from streamproc.config.processor import IdleSettings
from streamproc.contracts import SourceTraits
from streamproc.core.event import EventType
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment, Packet, Picture, Weight
from streamproc.core.vision import Box
from streamproc.logic.attention import OpenNews
from streamproc.logic.regions import EVERYWHERE
from streamproc.logic.sampling import Sampler
from streamproc.logic.session import SessionRules, Sessions
from streamproc.logic.sighting import Sighting
from streamproc.logic.wakeup import PacketWatch, WakePolicy
from streamproc.media.reader import read_packets
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.idle import IdleMode
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.setup import LaneSetup
from tests.builders.lanes import NEVER, Book, drain

FPS, GOP = 10, 10
ENTERS, LEAVES, SECONDS = 15.4, 17.4, 24


@pytest.fixture(scope="module", params=["0", "2"], ids=["no B-frames", "B-frames"])
def packets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    path = tmp_path_factory.mktemp("idle") / "door.mkv"
    chance = np.random.default_rng(5)
    still = chance.integers(60, 120, (96, 160), np.uint8).repeat(2, 0).repeat(2, 1)[:192, :320].astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "crf": "24", "g": str(GOP), "bf": request.param}
        )
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for number in range(SECONDS * FPS):
            picture = still + chance.normal(0, 1, still.shape)
            if ENTERS <= number / FPS < LEAVES:
                left = round((number / FPS - ENTERS) * 100)
                picture[60:140, left : left + 50] = 240
            grey = np.clip(picture, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        out.mux(stream.encode())
    return list(read_packets(path))


class SquareEyes:
    """Sees the square."""

    def __init__(self) -> None:
        self.sampler = Sampler(5)
        self.looked: list[float] = []
        self.seen: list[float] = []

    def attend(self, news: OpenNews) -> bool:
        return False

    def spaced(self, seconds: float) -> None: ...

    def conclude(self) -> list[Sighting]:
        return []

    def hides(self, picture: Picture) -> list[Box]:
        return []

    def analyse(self, frame: Frame) -> FrameResult:
        self.looked.append(round(frame.at.seconds, 2))
        there = bool((frame.picture.luma(32, 20) > 200).sum() >= 4)
        if not there:
            return FrameResult(active=False)
        self.seen.append(round(frame.at.seconds, 2))
        return FrameResult(
            [Sighting(EventType.LABEL_DETECTED, "PERSON", 90.0, Box(0.1, 0.1, 0.5, 0.9), EVERYWHERE, True)]
        )

    def reset(self) -> None:
        self.sampler.reset()

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None: ...


def run(
    packets: list[Packet], perceiver: SquareEyes, change: Callable[[Lane, int], None] = lambda lane, number: None, *,
    rules: SessionRules | None = None,
) -> tuple[Lane, Book]:  # fmt: skip
    book = Book()
    rules = rules or SessionRules("continuous", None, Fraction(2), classes=("PERSON",))
    lane = Lane(
        LaneSetup("door", SourceTraits(True), Sessions("door", rules, "run"), [perceiver], book, checkpoints=False)
    )  # type: ignore[list-item]
    for number, packet in enumerate(packets):
        lane.offer(replace(packet, at=Moment(packet.at.media, datetime.now(UTC))), None, NEVER)
        change(lane, number)
        drain(lane)
        if lane.over:
            break
    return lane, book


def test_a_sleeping_camera_loses_no_frame_of_what_happens(packets: list[Packet]) -> None:
    perceiver, awake = SquareEyes(), SquareEyes()
    lane, book = run(packets, perceiver)
    run(packets, awake, lambda lane, number: lane.idle.adopt(IdleSettings(enabled=False)))
    assert set(lane.idle.wakes.counts) == {"sizes"} and lane.idle.held.undecoded > 80
    assert perceiver.seen == awake.seen and len(perceiver.seen) == 10
    assert len(perceiver.looked) < 0.7 * len(awake.looked)
    assert not lane.stats.drops
    view = lane.idle.view()
    assert view["mode"] == "asleep" and view["wake_delay_p95_s"] is not None
    assert [event.type for event in book.events] == [EventType.LABEL_DETECTED, EventType.SESSION_COMPLETE]


def test_in_a_crowd_a_camera_that_wakes_looks_at_the_newest_frame_only(packets: list[Packet]) -> None:
    def crowd(lane: Lane, number: int) -> None:
        lane.intake._crowded = lambda: True

    perceiver, alone = SquareEyes(), SquareEyes()
    lane, book = run(packets, perceiver, crowd)
    run(packets, alone)
    assert set(lane.idle.wakes.counts) == {"sizes"}
    assert lane.stats.drops["behind"] and len(perceiver.looked) < len(alone.looked)
    assert perceiver.seen[-1] == alone.seen[-1]
    assert [event.type for event in book.events] == [EventType.LABEL_DETECTED, EventType.SESSION_COMPLETE]


def test_where_sizes_say_nothing_the_next_keyframe_does_and_all_is_still_seen(packets: list[Packet]) -> None:
    def deaf(lane: Lane, number: int) -> None:
        lane.idle._watch.policy = WakePolicy(threshold=1e9)

    perceiver, awake = SquareEyes(), SquareEyes()
    lane, _ = run(packets, perceiver, deaf)
    run(packets, awake, lambda lane, number: lane.idle.adopt(IdleSettings(enabled=False)))
    assert lane.idle.wakes.counts == {"picture": 1} and perceiver.seen == awake.seen


def test_packets_that_missed_twice_are_not_trusted_for_a_while() -> None:
    idle = IdleMode("door", True)
    idle._packets = True
    idle._watch = PacketWatch()
    for number in range(60):
        idle._watch.update(Weight(3000, 24, "P"), number % FPS == 0, Fraction(number, FPS))

    def miss(media: int, before: float) -> None:
        idle._watch.score = before
        idle.wake_up("picture", None)
        idle._watch.relax()
        idle.analysed(True, Moment(Fraction(media), datetime.now(UTC)))

    def rest(media: int) -> str | None:
        idle.analysed(False, Moment(Fraction(media), datetime.now(UTC)))
        return idle.hindrance()

    for media in (10, 20, 30):  # packets had begun to tell
        miss(media, 0.7 * idle._watch.threshold)
    assert rest(35) is None
    miss(40, 0)
    assert rest(50) is None
    miss(60, 0)
    assert rest(70) == "packet sizes did not show what the picture showed"
    assert rest(639) is not None and rest(641) is None


def test_a_camera_with_keyframes_far_apart_sleeps_where_its_packets_tell_and_says_how_late_it_may_be(
    packets: list[Packet],
) -> None:
    far = IdleSettings(max_wake_delay=0.5)
    lane, _ = run(packets, SquareEyes(), lambda lane, number: lane.idle.adopt(far))
    assert lane.idle.held.undecoded and lane.idle.view()["wake_bound_s"] == 1.0
    assert set(lane.idle.wakes.counts) == {"sizes"}


def test_one_whose_packets_tell_nothing_is_decoded_and_says_so(packets: list[Packet]) -> None:
    def blind(lane: Lane, number: int) -> None:
        lane.idle.adopt(IdleSettings(max_wake_delay=0.5))
        lane.idle._watch.policy = WakePolicy(steady=0.0)

    lane, _ = run(packets, SquareEyes(), blind)
    assert not lane.idle.held.undecoded and not lane.idle.asleep
    why = "keyframes come every 1.0 s, max_wake_delay is 0.5 s, and packet sizes swing by themselves"
    assert lane.idle.view()["why"] == why


def test_a_wake_for_nothing_is_counted_and_raises_the_threshold(packets: list[Packet]) -> None:
    before: list[float] = []

    def once(lane: Lane, number: int) -> None:
        if lane.idle.asleep and not before:
            before.append(lane.idle._watch.threshold)
            lane.idle.wake("sizes")

    lane, _ = run(packets[:140], SquareEyes(), once)
    assert lane.idle.asleep and lane.idle.view()["false_wakes"] == 1
    assert lane.idle._watch.threshold > 1.3 * before[0]


def test_a_session_ends_on_time_though_its_camera_sleeps(packets: list[Packet]) -> None:
    lane, book = run(packets, SquareEyes(), rules=SessionRules("session", Fraction(14), classes=("PERSON",)))
    assert lane.over and [event.type for event in book.events] == [EventType.SESSION_COMPLETE]
    assert book.events[0].at.seconds == pytest.approx(14) and lane.idle.held.undecoded


def test_a_gap_wakes_and_what_was_held_is_looked_at(packets: list[Packet]) -> None:
    def lost(lane: Lane, number: int) -> None:
        if number == 133:
            assert lane.idle.asleep
            at = packets[number].at
            lane.offer(Gap(GapReason.LOST, at), None, NEVER)

    perceiver = SquareEyes()
    lane, _ = run(packets[:150], perceiver, lost)
    assert lane.idle.wakes.counts == {"gap": 1} and lane.stats.source == "running"
    assert not lane.idle.asleep and lane.idle.view()["why"] != "learning", "it is known by what its packets were like"
    assert any(13.0 <= looked < 13.4 for looked in perceiver.looked), "what was held back before the gap was looked at"


def test_the_end_of_the_feed_is_reached_from_sleep(packets: list[Packet]) -> None:
    def end(lane: Lane, number: int) -> None:
        if number == 140:
            lane.offer(EndOfStream(), None, NEVER)

    lane, book = run(packets[:141], SquareEyes(), end, rules=SessionRules("session", None, classes=("PERSON",)))
    assert lane.over and book.events[-1].data["reason"] == "end_of_stream"
    assert book.events[-1].at.media == packets[140].at.media


def test_switching_it_off_wakes_the_camera(packets: list[Packet]) -> None:
    def off(lane: Lane, number: int) -> None:
        if number == 134:
            lane.edit(lambda: lane.idle.adopt(IdleSettings(enabled=False)))

    lane, _ = run(packets[:140], SquareEyes(), off)
    assert lane.idle.wakes.counts == {"settings": 1} and lane.idle.view()["why"] == "idle.enabled is false"
