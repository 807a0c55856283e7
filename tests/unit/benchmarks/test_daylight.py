"""The benchmark of day and night chooses the threshold that parts its scenes."""

from benchmarks.daylight import NIGHT, Scene, threshold


def test_the_threshold_parts_night_from_day_where_something_does():
    scenes = [Scene(NIGHT[0], (30.0, 34.0)), Scene("park", (90.0,)), Scene("street", (120.0, 80.0))]
    assert 34 < threshold(scenes) <= 80


def test_many_scenes_by_day_do_not_outvote_one_by_night():
    scenes = [Scene(NIGHT[0], (70.0,)), *(Scene(str(number), (60.0 + 5 * number,)) for number in range(12))]
    assert threshold(scenes) > 70
