"""One body and one vehicle in one box; faces as sure as what is around them."""

import pytest

from streamproc.core.faces import DetectedFace, FaceAttributes
from streamproc.core.vision import Box, FaceBox, FaceQuality, Pose
from streamproc.perception.claims import Claim
from streamproc.perception.face_claims import face_claims
from streamproc.perception.taxonomy import taxonomy
from streamproc.perception.weighing import agreed_faces, weighed

WORDS = taxonomy()
BODY = Box(0.1, 0.1, 0.5, 0.9)
FACE = Box(0.25, 0.15, 0.35, 0.3)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([("Person", 90.0, 0.1), ("Cat", 80.0, 0.1)], {"Person": 90.0}),
        ([("Dog", 55.0, 0.1), ("Cat", 54.0, 0.1)], {"Dog": 55.0}),
        ([("Dog", 55.0, 0.1), ("Cat", 54.0, 0.6)], {"Dog": 55.0, "Cat": 54.0}),
        ([("Person", 90.0, 0.1), ("Chair", 80.0, 0.1)], {"Person": 90.0, "Chair": 80.0}),
        ([("Person", 90.0, 0.1), ("Bicycle", 60.0, 0.1)], {"Person": 90.0, "Bicycle": 60.0}),
        ([("Car", 80.0, 0.1), ("Truck", 70.0, 0.1)], {"Car": 80.0}),
        ([("Car", 80.0, 0.1), ("Truck", 70.0, 0.6)], {"Car": 80.0, "Truck": 70.0}),
        ([("Car", 80.0, 0.1), ("Vehicle", 90.0, 0.1)], {"Car": 80.0, "Vehicle": 90.0}),
        ([], {}),
    ],
)
def test_one_thing_has_one_name(found, told):
    claims = [Claim(name, sure, Box(left, 0.2, left + 0.3, 0.6)) for name, sure, left in found]
    assert {each.label: each.confidence for each in weighed(claims, WORDS) if each.confidence >= 50} == told


def test_a_doubtful_rival_is_there_if_the_surer_is_not():
    claims = [Claim(name, sure, BODY) for name, sure in (("Dog", 60.0), ("Cat", 50.0))]
    assert [(each.label, each.confidence) for each in weighed(claims, WORDS)] == [("Dog", 60.0), ("Cat", 20.0)]


def face_in(*bodies):
    (face,) = agreed_faces([Claim("Face", 99.6, FACE)], bodies, WORDS)
    return face.confidence


def test_a_face_is_as_sure_as_the_person_around_it():
    assert face_in(Claim("Person", 99.0, BODY)) > 98
    assert face_in() < 50, "a wall socket is nobody"
    assert face_in() < face_in(Claim("Person", 40.0, BODY)) < face_in(Claim("Person", 80.0, BODY))
    assert face_in(Claim("Person", 99.0, Box(0.6, 0.1, 0.9, 0.9))) < 50, "the person is elsewhere"


def test_a_dogs_face_is_none():
    assert face_in(Claim("Dog", 95.0, BODY)) < 5
    assert face_in(Claim("Dog", 95.0, BODY), Claim("Person", 97.0, BODY)) > 90, "it is held in somebody's arms"


def detected(attributes, eyes=40.0):
    quality = FaceQuality(brightness=50.0, sharpness=60.0, eye_distance_px=eyes, pose=Pose(1.0, 2.0, 3.0))
    return DetectedFace(FaceBox(FACE, 0.9, ((0.3, 0.2),) * 5), quality, attributes)


def test_traits_come_from_sure_frontal_faces_alone_and_have_the_persons_box():
    told = FaceAttributes(age=40.0, male=0.1, emotions={"HAPPY": 0.95})
    person = Claim("Person", 99.9, BODY)
    found = face_claims([detected(told)], [person], WORDS)
    assert {claim.label: round(claim.confidence) for claim in found} == {
        "Face": 100,
        "Woman": 90,
        "Adult": 100,
        "Smile": 95,
    }
    assert {claim.box for claim in found if claim.label != "Face"} == {BODY}
    unsure = FaceAttributes(age=18.5, male=0.6, emotions={"HAPPY": 0.3})
    for nothing in (detected(unsure), detected(told, eyes=9.0), detected(None)):
        assert [claim.label for claim in face_claims([nothing], [person], WORDS)] == ["Face"]


def test_what_a_lone_face_says_of_a_person_is_as_doubtful_as_the_face():
    told = FaceAttributes(male=0.02)
    assert all(claim.confidence < 50 for claim in face_claims([detected(told)], [], WORDS))
