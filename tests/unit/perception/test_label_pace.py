"""Rules of evidence at the pace of a feed."""

from streamproc.config.processor import LabelSettings
from streamproc.perception.label_pace import LabelPace


def test_evidence_counts_long_enough_for_its_samples_at_any_pace():
    pace = LabelPace(LabelSettings(fps=5))
    usual = pace.belief
    pace.asked(0.25)
    assert pace.belief.samples == usual.samples == 2 and pace.belief.window_s == 12.0 > usual.window_s
    assert pace.tracking.forget_s == 14.0


def test_pictures_further_apart_than_the_window_are_decided_alone_until_the_feed_is_quick_again():
    pace = LabelPace(LabelSettings(fps=5))
    usual = pace.belief
    assert pace.spaced(60.0) and pace.belief.samples == 1
    assert not pace.spaced(60.0), "nothing new"
    assert pace.spaced(0.2) and pace.belief == usual


def test_a_dropped_frame_is_no_other_pace():
    pace = LabelPace(LabelSettings(fps=5))
    assert not pace.spaced(0.4) and not pace.spaced(1.2)
