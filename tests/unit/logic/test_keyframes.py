"""The distance between keyframes and what may wait for one."""

from fractions import Fraction as F

from streamproc.logic.keyframes import KeyframeRule


def test_keyframes_further_apart_than_the_delay_are_distant_and_bound_it() -> None:
    near, far = KeyframeRule(F(2), 2.0), KeyframeRule(F(4), 2.0)
    assert not near.distant and near.bound_s == 2.0
    assert far.distant and far.bound_s == 4.0
    assert KeyframeRule(None, 2.0).bound_s == 2.0 and not KeyframeRule(None, 2.0).distant


def test_a_keyframe_is_overdue_only_beyond_what_cameras_are_late() -> None:
    rule = KeyframeRule(F(4), 2.0)
    assert not rule.overdue(F(1), F(11, 2)) and rule.overdue(F(1), F(56, 10)) and not rule.overdue(None, F(60))


def test_a_keyframe_may_be_passed_over_where_the_next_is_in_time() -> None:
    assert KeyframeRule(F(1), 2.0).may_wait(F(1)) and not KeyframeRule(F(1), 2.0).may_wait(F(3, 2))
    assert not KeyframeRule(None, 2.0).may_wait(F(0))


def test_what_was_held_back_too_long_is_not_analysed_any_more() -> None:
    rule = KeyframeRule(F(1), 2.0)
    assert rule.fresh(4.0) and not rule.fresh(4.3)
