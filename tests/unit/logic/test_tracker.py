"""The tracker: identities, doubtful boxes, motion, forgetting."""

import numpy as np
import pytest

from streamproc.logic.state_codec import pack, unpack
from streamproc.logic.structure import from_document, to_document
from streamproc.logic.tracker import Tracker, TrackerPolicy


def update(tracker: Tracker, at_s: float, *rows: tuple[float, float, float], size=(0.1, 0.3), classes=None):
    """Rows are (left, top, score)."""
    boxes = np.array([[x, y, x + size[0], y + size[1]] for x, y, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score in rows], np.float32)
    return tracker.update(boxes, scores, at_s, None if classes is None else np.array(classes, np.int32))


def test_two_walkers_keep_their_ids_when_they_pass():
    tracker = Tracker()
    for step in range(20):
        x = 0.1 + 0.03 * step
        views = update(tracker, step * 0.2, (x, 0.2, 0.9), (0.7 - 0.03 * step, 0.45, 0.9))
    assert [view.id for view in views] == [1, 2]
    assert [view.row for view in views] == [0, 1]
    assert all(view.hits == 20 for view in views)


def test_a_fast_walker_whose_boxes_do_not_touch_is_one_track():
    tracker = Tracker()
    for step in range(6):
        views = update(tracker, step * 0.2, (0.05 + 0.11 * step, 0.2, 0.9))
    assert [view.id for view in views] == [1]


@pytest.mark.parametrize(("score", "tracks"), [(0.9, 1), (0.2, 0), (0.05, 0)])
def test_only_a_sure_box_opens_a_track(score, tracks):
    assert len(update(Tracker(), 0.0, (0.1, 0.1, score))) == tracks


def test_a_doubtful_box_carries_a_track_on():
    tracker = Tracker()
    update(tracker, 0.0, (0.1, 0.1, 0.9))
    (view,) = update(tracker, 0.2, (0.11, 0.1, 0.2))
    assert view.id == 1 and view.row == 0
    (view,) = update(tracker, 0.4, (0.11, 0.1, 0.05))
    assert view.row is None


def test_an_unseen_track_is_predicted_then_forgotten():
    tracker = Tracker(TrackerPolicy(forget_s=1.0))
    for step in range(5):
        update(tracker, step * 0.2, (0.1 + 0.02 * step, 0.1, 0.9))
    (view,) = update(tracker, 1.0)
    assert view.row is None and view.box.left == pytest.approx(0.2, abs=0.02)
    assert len(update(tracker, 1.8)) == 1
    assert update(tracker, 2.0) == []


def test_a_track_seen_once_is_forgotten_sooner():
    tracker = Tracker()
    update(tracker, 0.0, (0.1, 0.1, 0.9))
    assert update(tracker, 0.8) == []


def test_it_comes_back_under_its_id_within_the_patience():
    tracker = Tracker()
    for step in range(4):
        update(tracker, step * 0.2, (0.1, 0.1, 0.9))
    update(tracker, 1.2)
    (view,) = update(tracker, 1.6, (0.1, 0.1, 0.9))
    assert view.id == 1


def test_classes_that_differ_need_more_overlap():
    tracker = Tracker(TrackerPolicy(class_cost=0.9))
    update(tracker, 0.0, (0.1, 0.1, 0.9), classes=[0])
    views = update(tracker, 0.2, (0.1, 0.1, 0.9), classes=[1])
    assert [view.id for view in views] == [1, 2]


def test_a_doubtful_box_may_be_allowed_to_open_a_track():
    tracker = Tracker(TrackerPolicy(opens=0.3))
    assert len(update(tracker, 0.0, (0.1, 0.1, 0.35), (0.6, 0.1, 0.2))) == 1


def test_reset_forgets_but_ids_go_on():
    tracker = Tracker()
    update(tracker, 0.0, (0.1, 0.1, 0.9))
    tracker.reset()
    (view,) = update(tracker, 0.2, (0.1, 0.1, 0.9))
    assert view.id == 2


def test_it_goes_on_the_same_after_pickling():
    tracker = Tracker()
    update(tracker, 0.0, (0.1, 0.1, 0.9), (0.5, 0.5, 0.9))
    update(tracker, 0.2, (0.13, 0.1, 0.9), (0.5, 0.52, 0.3))
    twin = from_document(Tracker, unpack(pack("test", 1, to_document(tracker)), "test", 1))
    rows = [(0.16, 0.1, 0.9), (0.5, 0.54, 0.9)]
    assert update(tracker, 0.4, *rows) == update(twin, 0.4, *rows)
