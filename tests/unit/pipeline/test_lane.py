"""The lane and its scheduler with fake frames and perceiver: what is looked at, what is dropped, and in which order."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import pytest

from streamproc.contracts import Position, SourceTraits
from streamproc.core.event import EventType
from streamproc.core.media import EndOfStream, Frame, Gap, GapReason, Moment
from streamproc.logic.session import SessionRules, Sessions
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.scheduler import Scheduler
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.snapshot import LaneSnapshot
from streamproc.pipeline.stats import LaneStats
from tests.builders.frames import at, frame
from tests.builders.lanes import NEVER, Book, Eyes, drain


def make(perceiver: Eyes, book: Book, live: bool = False, duration: float | None = None, wake: object = None) -> Lane:
    rules = SessionRules("session", None if duration is None else Fraction(duration), classes=("PERSON",))
    parts = LaneSetup(
        "door", SourceTraits(live, replayable=not live), Sessions("door", rules, "run"), [perceiver], book
    )  # type: ignore[list-item]
    return Lane(parts, wake or (lambda: None))  # type: ignore[arg-type]


def kinds(book: Book) -> list[str]:
    return [event.type.value for event in book.events]


def test_a_durable_feed_is_looked_at_on_the_grid_and_nothing_is_dropped() -> None:
    perceiver, book = Eyes(person_from=1.0), Book()
    lane = make(perceiver, book)
    for number in range(60):
        lane.offer(frame(number / 30), None, NEVER)
    lane.offer(EndOfStream(), None, NEVER)
    drain(lane)
    assert perceiver.looked == pytest.approx([n / 5 for n in range(10)])
    assert kinds(book) == ["label_detected", "session_complete"]
    assert book.told[0][1] is not None and book.told[0][1].frame[:2] == b"\xff\xd8"
    assert not lane.stats.drops and lane.over


def test_a_live_feed_that_is_behind_looks_at_the_newest_and_counts_the_rest() -> None:
    perceiver, book = Eyes(), Book()
    lane = make(perceiver, book, live=True)
    for number in range(61):
        lane.offer(frame(number / 30), None, NEVER)
    drain(lane)
    assert perceiver.looked == [2.0]
    assert lane.stats.drops == {"behind": 10}


@pytest.mark.parametrize("crowded", [False, True])
def test_a_turn_reaches_the_newest_frame_where_others_wait(crowded: bool) -> None:
    perceiver = Eyes()
    lane = make(perceiver, Book(), live=True)
    lane._crowded = lambda: crowded
    for number in range(31):
        lane.offer(frame(number / 30), None, NEVER)
    lane.stats.first_frame = 0.0
    lane.step()
    assert perceiver.looked == ([1.0] if crowded else []), "else the rest waits for what is more urgent elsewhere"


def test_in_a_crowd_the_very_first_look_is_at_the_first_picture() -> None:
    perceiver = Eyes()
    lane = make(perceiver, Book(), live=True)
    lane._crowded = lane.intake._crowded = lambda: True
    for number in range(31):
        lane.offer(frame(number / 30), None, NEVER)
    lane.step()
    assert perceiver.looked == [0.0]
    lane.step()
    assert perceiver.looked == [0.0, 1.0], "then at the newest"


def test_an_overflowing_live_inbox_gives_up_the_oldest_and_counts_what_was_due() -> None:
    perceiver, book = Eyes(), Book()
    lane = make(perceiver, book, live=True)
    for number in range(660):
        lane.offer(frame(number / 30), None, NEVER)
    drain(lane)
    assert len(perceiver.looked) + sum(lane.stats.drops.values()) == 110
    assert lane.stats.drops["overflow"] > 90 and perceiver.looked[-1] == pytest.approx(21.8, abs=0.2)


def test_a_durable_inbox_waits_and_lets_go_when_stopped() -> None:
    lane = make(Eyes(), Book())
    stop = threading.Event()
    for number in range(256):
        assert lane.offer(frame(number), None, stop)
    threading.Timer(0.1, stop.set).start()
    assert not lane.offer(frame(256), None, stop)


def test_a_gap_resets_the_eyes_and_is_told_when_the_feed_is_back() -> None:
    perceiver, book = Eyes(), Book()
    lane = make(perceiver, book, live=True)
    for item in (frame(0), Gap(GapReason.LOST, at(0), "reset by peer"), frame(4)):
        lane.offer(item, None, NEVER)
        drain(lane)
    assert perceiver.resets == 1 and perceiver.looked == [0.0, 4.0]
    (gap,) = book.events
    assert gap.type is EventType.SOURCE_GAP and gap.data["seconds"] == 4.0


def test_control_ends_a_session_before_what_is_queued() -> None:
    perceiver, book = Eyes(person_from=0), Book()
    lane = make(perceiver, book)
    lane.offer(frame(0), None, NEVER)
    drain(lane)
    lane.offer(frame(1), None, NEVER)
    lane.end("stopped")
    drain(lane)
    assert perceiver.looked == [0.0] and kinds(book) == ["label_detected", "session_complete"]
    assert book.states[-1] is None, "a session that is over leaves nothing to resume"


def test_an_edit_takes_effect_at_the_next_frame() -> None:
    perceiver, book = Eyes(), Book()
    lane = make(perceiver, book)
    lane.offer(frame(0), None, NEVER)
    drain(lane)
    lane.edit(lambda: perceiver.sampler.retune(1))
    for number in range(1, 31):
        lane.offer(frame(number / 10), None, NEVER)
    drain(lane)
    assert perceiver.looked == pytest.approx([0.0, 0.1, 1.0, 2.0, 3.0])


@pytest.mark.logs_errors("lane_failed")
def test_a_broken_look_fails_its_lane_alone_and_still_sums_up() -> None:
    class Broken(Eyes):
        def analyse(self, frame: Frame) -> FrameResult:
            raise RuntimeError("the model burst")

    scheduler = Scheduler(2)
    scheduler.start()
    books, lanes, ends = [Book(), Book()], [], [threading.Event(), threading.Event()]
    errors: list[str | None] = [None, None]
    for index, perceiver in enumerate((Broken(), Eyes(person_from=0))):
        lane = make(perceiver, books[index], wake=scheduler.wake)

        def over(error: str | None, index: int = index) -> None:
            errors[index] = error
            ends[index].set()

        lane.on_over = over
        lanes.append(lane)
        scheduler.add(lane)
    for lane in lanes:
        lane.offer(frame(0), None, NEVER)
        lane.offer(EndOfStream(), None, NEVER)
    assert all(end.wait(5) for end in ends)
    scheduler.stop()
    assert errors == ["the model burst", None]
    assert kinds(books[0])[-1] == "session_complete"
    assert kinds(books[1]) == ["label_detected", "session_complete"]


def test_the_most_urgent_is_served_first_and_none_by_two_workers() -> None:
    class Task:
        def __init__(self, deadline: float) -> None:
            self.deadline: float | None = deadline
            self.running = 0

        def urgency(self) -> float | None:
            return self.deadline

        def step(self) -> None:
            self.running += 1
            assert self.running == 1
            order.append(self.deadline)
            self.deadline = None
            time.sleep(0.01)
            self.running -= 1

        def fail(self, error: BaseException) -> None:
            order.append(str(error))

    order: list[object] = []
    scheduler = Scheduler(1)
    for deadline in (5.0, 1.0, 3.0, 2.0):
        scheduler.add(Task(deadline))
    scheduler.start()
    deadline = time.monotonic() + 5
    while len(order) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    scheduler.stop()
    assert order == [1.0, 2.0, 3.0, 5.0]


def test_a_durable_backlog_is_no_reason_to_let_cameras_wait() -> None:
    tape, camera = make(Eyes(), Book()), make(Eyes(), Book(), live=True)
    for number in range(100):
        tape.offer(frame(number / 10), None, NEVER)
    tape.step()
    camera.offer(frame(0), None, NEVER)
    behind, due = tape.urgency(), camera.urgency()
    assert behind is not None and due is not None and due < behind


@pytest.mark.parametrize(("left_out", "eased"), [(0.0, 0), (1.0, 8), (3.0, 24), (1.5, 12), (0.3, 2)])
def test_what_a_lowered_rate_passes_over_is_counted(left_out: float, eased: int) -> None:
    stats = LaneStats("door")
    stats.left_out = left_out
    for _ in range(6):
        stats.analysed([])
    for _ in range(2):
        stats.dropped("behind")
    assert stats.drops == {"behind": 2} | ({"eased": eased} if eased else {})


def test_a_lane_that_is_left_open_keeps_its_state_and_tells_no_end() -> None:
    perceiver, book = Eyes(person_from=0), Book()
    ends: list[str | None] = []
    lane = make(perceiver, book, live=True, duration=60)
    lane.on_over = ends.append
    lane.offer(frame(0), None, NEVER)
    drain(lane)
    assert lane.leave_open()
    assert lane.over and lane.urgency() is None and not ends
    assert kinds(book) == ["label_detected"]
    left = book.states[-1]
    assert left is not None and left.snapshot.sessions is not None and not left.snapshot.sessions.over

    twin_book = Book()
    twin = make(Eyes(person_from=0), twin_book, live=True, duration=60)
    twin.frames.sessions = Sessions.restore("door", twin.sessions.rules, left.snapshot.sessions)
    twin.resume(LaneSnapshot.decode(left.snapshot.encode()), has_position=False)
    twin.offer(Frame(Moment(Fraction(0), at(4).wall), frame(0).picture), None, NEVER)
    twin.end("stopped")
    drain(twin)
    twin.end("stopped")
    assert kinds(twin_book) == ["session_complete"], "ended before the frame was analysed"
    assert twin_book.events[0].data["counts"] == {"PERSON": 1}
    assert not twin.leave_open(), "it has ended"


def test_a_live_feed_goes_on_with_a_gap_and_announces_nobody_twice() -> None:
    book = Book()
    lane = make(Eyes(person_from=0), book, live=True)
    lane.offer(frame(0), None, NEVER)
    drain(lane)
    lane.leave_open()
    left = book.states[-1]
    assert left is not None and left.snapshot.sessions is not None

    perceiver, after = Eyes(person_from=0), Book()
    twin = make(perceiver, after, live=True)
    twin.frames.sessions = Sessions.restore("door", twin.sessions.rules, left.snapshot.sessions)
    twin.resume(left.snapshot, has_position=False)
    twin.offer(Frame(Moment(Fraction(900), at(4).wall), frame(0).picture), None, NEVER)
    drain(twin)
    (gap,) = after.events
    assert (gap.type, gap.sequence, gap.data["seconds"]) == ("source_gap", 1, 4.0)
    assert perceiver.looked == [4.0] and perceiver.resets == 1


def test_another_source_is_attached_behind_a_gap() -> None:
    perceiver, book = Eyes(), Book()
    lane = make(perceiver, book, live=True)
    safe: list[Position] = []
    lane.offer(frame(7), Position({"a": 1}), NEVER)
    drain(lane)
    lane.edit(lambda: lane.intake.attach(SourceTraits(True), safe.append, "the source was changed"))
    lane.offer(Frame(Moment(Fraction(0), at(9).wall), frame(0).picture), Position({"b": 2}), NEVER)
    drain(lane)
    (gap,) = book.events
    assert gap.data == {"reason": "lost", "seconds": 2.0, "detail": "the source was changed"}
    assert perceiver.looked == [7.0, 9.0]
    lane.end("stopped")
    drain(lane)
    assert safe == [Position({"b": 2})]


def test_a_worker_that_no_lane_needs_helps_and_none_is_promised_where_all_are_busy() -> None:
    class Step:
        """One step that asks for help as often as it gets it."""

        done = threading.Event()
        both = threading.Barrier(2, timeout=30)
        promised = 0

        def urgency(self) -> float | None:
            return None if self.done.is_set() else 0.0

        def step(self) -> None:
            while not self.promised:  # the other worker may still be on its way
                self.promised += scheduler.help_with(self.meet)
            self.meet()
            self.done.set()

        def meet(self) -> None:
            self.both.wait()

        def fail(self, error: BaseException) -> None:
            raise AssertionError(error)

    scheduler = Scheduler(2)
    assert not scheduler.help_with(lambda: None), "nobody works yet"
    step = Step()
    scheduler.add(step)
    scheduler.start()
    assert step.done.wait(30)
    scheduler.stop()
    assert not scheduler.help_with(lambda: None), "nobody works any more"


def test_one_worker_more_than_cores_so_that_one_that_waits_leaves_no_core_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.pipeline.cores.usable_cores", lambda: 2.0)
    assert Scheduler().workers == 3 and Scheduler(2).workers == 2
