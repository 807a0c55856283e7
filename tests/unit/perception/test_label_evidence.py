"""Labels over neighbouring samples of a video."""

from streamproc.core.vision import Box
from streamproc.perception.claims import Claim
from streamproc.perception.label_evidence import Sample, over_samples


def at(left):
    return Box(left, 0.4, left + 0.2, 0.6)


def video(*seen, cuts=()):
    """Confidence of one cat at each half second, None where it is not seen; it walks."""
    return [
        Sample(500 * index, () if sure is None else (Claim("Cat", sure, at(0.1 * index)),), index in cuts)
        for index, sure in enumerate(seen)
    ]


def told(samples, least=50):
    return [
        round(sample.claims[0].confidence) if sample.claims and sample.claims[0].confidence >= least else None
        for sample in over_samples(samples)
    ]


def test_a_doubtful_cat_that_is_seen_again_and_again_is_told():
    assert all(sure is not None for sure in told(video(*[42.0] * 6)))


def test_what_one_sample_alone_says_is_not_told_unless_it_is_very_sure():
    assert told(video(None, None, 70.0, None, None)) == [None] * 5
    alone = told(video(None, None, 96.0, None, None))
    assert alone[2] is not None and alone[2] < 96


def test_a_video_of_one_sample_is_told_as_it_is():
    assert told(video(60.0)) == [60]


def test_another_scene_says_nothing_of_this_one():
    assert told(video(None, None, 70.0, None, None, cuts=(2, 3))) == [None, None, 70, None, None]


def test_neighbours_far_away_in_time_have_no_say():
    far = [Sample(0, ()), Sample(5000, (Claim("Cat", 70.0, at(0.1)),)), Sample(10000, ())]
    assert told(far) == [None, 70, None]


def test_what_does_not_move_is_not_made_much_surer_by_looking_again():
    walks = told(video(*[42.0] * 6), least=0)
    stands = [Sample(500 * index, (Claim("Cat", 42.0, at(0.1)),)) for index in range(6)]
    assert max(told(stands, least=0)) < min(walks)


def test_repetition_makes_nothing_certain_and_takes_nothing_from_the_sure():
    assert max(told(video(*[90.0] * 8))) <= 97
    assert told(video(*[99.5] * 4)) == [100] * 4


def test_two_far_apart_are_two():
    samples = [
        Sample(500 * index, (Claim("Cat", 60.0, Box(x, 0.1, x + 0.05, 0.15)),)) for index, x in enumerate((0.1, 0.9))
    ]
    assert told(samples) == [None, None]


def test_a_label_without_a_place_is_weighed_by_its_name():
    samples = [Sample(500 * index, (Claim("Indoors", 60.0),)) for index in range(4)]
    assert all(sure is not None and 60 <= sure < 75 for sure in told(samples))
