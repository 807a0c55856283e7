"""Live face search: who is there is announced once, nobody else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from streamproc.config.node import NodeConfig, NodeFaceSettings
from streamproc.config.processor import FaceSettings
from streamproc.core.errors import NotFound
from streamproc.core.faces import FaceObservation, FaceVerdict
from streamproc.core.media import EPOCH, Frame, Moment
from streamproc.faces.perception import FacePerception
from streamproc.faces.service import FaceService, open_service
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.media.picture import ArrayPicture
from streamproc.media.reader import read_frames
from streamproc.pipeline.face_analysis import FaceAnalysis
from streamproc.vision.zoo import ModelZoo, open_zoo

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def zoo() -> ModelZoo:
    return open_zoo()


@pytest.fixture
def service(tmp_path: Path, zoo: ModelZoo) -> FaceService:
    service = open_service(tmp_path, zoo=zoo)
    service.create_collection("family")
    return service


def sampled(clip: Path, fps: float = 3.0) -> Iterator[Frame]:
    due = Fraction(0)
    for frame in read_frames(clip):
        if frame.at.media >= due:
            due += Fraction(1) / Fraction(fps)
            yield frame


def told(observations: list[FaceObservation]) -> dict[str, list[str]]:
    """What a session announces: every decided identity, once."""
    found: dict[str, list[str]] = {"matched": [], "unknown": []}
    for seen in observations:
        for track in seen.tracks:
            if track.verdict is not FaceVerdict.PENDING and track.supported:
                names = found[track.verdict.value]
                if track.identity not in names:
                    names.append(track.identity)
    return found


def enrol(service: FaceService, collection: str, photos: list[Path]) -> None:
    service.create_collection(collection)
    for photo in photos:
        name = photo.stem if photo.parent.name == "video_gallery" else photo.parent.name
        assert service.index_faces(collection, photo.read_bytes(), external_image_id=name, max_faces=1).records, photo


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("clip", "there"),
    [
        ("kvs_bezos_vogels.mkv", {"person:kvs_subject_suit", "person:kvs_subject_tshirt"}),
        ("whitehouse_hamilton.mp4", {"person:lin-manuel-miranda"}),
    ],
    ids=["two guests", "singer"],
)
def test_who_is_there_is_named_and_nobody_else(service: FaceService, corpus: Path, clip: str, there: set[str]) -> None:
    enrol(service, "gallery", sorted((corpus / "faces" / "video_gallery").iterdir()))
    enrol(service, "others", sorted((corpus / "faces" / "johns").rglob("*.jpg"))[::4])
    perceivers = {name: FacePerception(FaceSettings(collection=name), service.engine) for name in ("gallery", "others")}
    seen: dict[str, list[FaceObservation]] = {"gallery": [], "others": []}
    for frame in sampled(corpus / "video" / clip):
        for name, perceiver in perceivers.items():
            seen[name].append(perceiver.look(frame))
    assert set(told(seen["gallery"])["matched"]) == there
    assert told(seen["others"])["matched"] == []
    assert told(seen["others"])["unknown"], "somebody unknown was seen well"
    for frame in seen["gallery"]:
        for sighting in frame.faces:
            similarities = [match.similarity for match in sighting.matches]
            assert similarities == sorted(similarities, reverse=True)
            assert all(similarity >= 80 for similarity in similarities)


@pytest.mark.corpus
def test_blurred_profiles_of_a_stranger_are_nobody(service: FaceService, corpus: Path) -> None:
    enrol(service, "others", sorted((corpus / "faces" / "knn" / "train").rglob("*.jp*g")))
    perceiver = FacePerception(FaceSettings(collection="others"), service.engine)
    clip = corpus / "video" / "xr_doorbell_delivery.mp4"
    looks = [perceiver.look(frame) for frame in sampled(clip, 5.0) if frame.at.seconds < 5]
    assert sum(len(seen.faces) for seen in looks) > 10
    assert told(looks)["matched"] == []
    assert not any(sighting.matches for seen in looks for sighting in seen.faces)


def scene(looks: int, *, people: bool = True, start: int = 0) -> list[Frame]:
    """The astronaut's portrait drifts over a plain wall, five looks a second."""
    portrait = cv2.resize(data.astronaut()[:, :, ::-1], (300, 300), interpolation=cv2.INTER_AREA)
    frames = []
    for look in range(start, start + looks):
        image = np.full((480, 854, 3), 120, np.uint8)
        if people:
            image[100:400, 100 + 6 * look : 400 + 6 * look] = portrait
        frames.append(Frame(Moment(Fraction(look, 5), EPOCH), ArrayPicture(image)))
    return frames


def astronaut() -> bytes:
    return cv2.imencode(".jpg", data.astronaut()[:, :, ::-1])[1].tobytes()


def test_records_tell_every_frame_also_an_empty_one(service: FaceService) -> None:
    service.index_faces("family", astronaut(), external_image_id="eileen")
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    empty = perceiver.look(scene(1, people=False)[0])
    assert (empty.analysed, empty.faces) == (True, ())
    (face,) = perceiver.look(scene(1, start=1)[0]).faces
    assert face.matches[0].face.person == "eileen"


def still(place: int, *, person: bool) -> Frame:
    """The ``place``-th look (five a second) at a room with a camera's noise; the person in it does not move at all."""
    image = scene(1, people=person)[0].picture.bgr().astype(np.int16)
    noise = np.random.default_rng(place).normal(0, 2, (*image.shape[:2], 1))
    return Frame(Moment(Fraction(place, 5), EPOCH), ArrayPicture(np.clip(image + noise, 0, 255).astype(np.uint8)))


def test_nothing_is_looked_for_while_nothing_moves_and_each_frame_has_its_record(service: FaceService) -> None:
    settings = FaceSettings(collection="family")
    perceiver = FacePerception(settings, service.engine)
    analysis = FaceAnalysis(perceiver, settings, Sampler(settings.fps), RegionMap([]))
    empty = [analysis.analyse(still(place, person=False)) for place in range(40)]
    ran = [place / 5 for place, look in enumerate(empty) if look.runs]
    assert [at for at in ran if at > 1.2] == [pytest.approx(6.2, abs=0.21)], (
        "a second after the first, then the heartbeat"
    )
    assert [look.active for look in empty[6:]] == [False] * 34, "a camera that shows nothing may sleep"
    assert [look.record for look in empty] == [{"faces": []}] * 40
    there = analysis.analyse(still(40, person=True))
    assert there.runs["face_detector"] == 1, "who comes is seen at once"
    assert there.active
    assert there.record is not None and len(there.record["faces"]) == 1


def test_a_face_that_sits_still_is_followed_and_one_that_left_is_not(service: FaceService) -> None:
    service.index_faces("family", astronaut(), external_image_id="eileen")
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    sitting = [perceiver.look(still(place, person=True)) for place in range(30)]
    assert all(seen.analysed and len(seen.faces) == 1 for seen in sitting)
    assert told(sitting) == {"matched": ["person:eileen"], "unknown": []}
    assert len({track.id for seen in sitting for track in seen.tracks}) == 1
    left = [perceiver.look(still(place, person=False)) for place in range(30, 50)]
    assert left[0].analysed and not left[-1].analysed and not left[-1].tracks
    ungated = FacePerception(FaceSettings(collection="family", motion_gate=False), service.engine)
    assert all(ungated.look(still(place, person=False)).analysed for place in range(12))


def test_enrolling_takes_effect_on_the_next_look_and_deleting_too(service: FaceService) -> None:
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    frames = scene(12)
    before = [perceiver.look(frame) for frame in frames[:8]]
    assert told(before) == {"matched": [], "unknown": ["unknown:1"]}
    (record,) = service.index_faces("family", astronaut(), external_image_id="eileen").records
    after = perceiver.look(frames[8])
    assert told([after])["matched"] == ["person:eileen"]
    service.delete_faces("family", [record[0].face_id])
    gone = perceiver.look(frames[9])
    assert gone.faces[0].matches == ()
    assert told([gone])["matched"] == []


def test_going_on_from_a_snapshot_is_the_same_as_going_on(service: FaceService) -> None:
    service.index_faces("family", astronaut(), external_image_id="eileen")
    frames = scene(8)
    whole = FacePerception(FaceSettings(collection="family"), service.engine)
    first = FacePerception(FaceSettings(collection="family"), service.engine)
    expected = [whole.look(frame) for frame in frames]
    for frame in frames[:3]:
        first.look(frame)
    resumed = FacePerception(FaceSettings(collection="family"), service.engine)
    resumed.restore(first.snapshot())
    again = [resumed.look(frame) for frame in frames[3:]]
    assert [seen.tracks for seen in again] == [seen.tracks for seen in expected[3:]]


def test_after_a_gap_the_same_unknown_is_the_same_unknown(service: FaceService) -> None:
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    first = [perceiver.look(frame) for frame in scene(8)]
    perceiver.reset()
    second = [perceiver.look(frame) for frame in scene(8, start=20)]
    assert told(first) == told(second) == {"matched": [], "unknown": ["unknown:1"]}
    assert {track.id for seen in first for track in seen.tracks}.isdisjoint(
        t.id for seen in second for t in seen.tracks
    )


@pytest.mark.parametrize("fps", [0.5, 1.0])
def test_a_slow_look_is_enough(service: FaceService, fps: float) -> None:
    service.index_faces("family", astronaut(), external_image_id="eileen")
    perceiver = FacePerception(FaceSettings(collection="family", fps=fps), service.engine)
    slow = [
        Frame(Moment(Fraction(place) / Fraction(fps), EPOCH), frame.picture) for place, frame in enumerate(scene(4))
    ]
    assert told([perceiver.look(frame) for frame in slow])["matched"] == ["person:eileen"]


def test_two_names_of_one_person_are_one_announcement(service: FaceService) -> None:
    mirrored = cv2.imencode(".jpg", data.astronaut()[:, ::-1, ::-1])[1].tobytes()
    service.index_faces("family", astronaut(), external_image_id="eileen_1.jpg")
    service.index_faces("family", mirrored, external_image_id="eileen_2.jpg")
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    assert len(told([perceiver.look(frame) for frame in scene(8)])["matched"]) == 1


def test_a_snapshot_is_sealed_where_vectors_are(tmp_path: Path, zoo: ModelZoo) -> None:
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    key.chmod(0o600)
    box = NodeConfig(faces=NodeFaceSettings(key_file=key))
    service = open_service(tmp_path / "data", box, zoo)
    service.create_collection("family")
    perceiver = FacePerception(FaceSettings(collection="family"), service.engine)
    for frame in scene(8):
        perceiver.look(frame)
    state = perceiver.snapshot()
    assert isinstance(state, bytes)
    assert b"TrackEvidence" not in state
    resumed = FacePerception(FaceSettings(collection="family"), service.engine)
    resumed.restore(state)
    assert told([resumed.look(scene(1, start=8)[0])])["unknown"] == ["unknown:1"]


def test_a_collection_that_is_gone_is_said(service: FaceService) -> None:
    perceiver = FacePerception(FaceSettings(collection="nobody"), service.engine)
    with pytest.raises(NotFound, match="nobody"):
        perceiver.look(scene(1)[0])


@pytest.mark.corpus
def test_strangers_are_hidden_before_anything_is_decided_and_who_is_known_is_not(
    service: FaceService, corpus: Path
) -> None:
    """Two people side by side: before the first look everybody is a stranger, then only the one who is in no collection."""
    service.index_faces("family", astronaut(), external_image_id="eileen")
    stranger = cv2.imread(str(corpus / "faces" / "compreface" / "007_B.jpg"))
    stranger = cv2.resize(stranger, (320, round(320 * stranger.shape[0] / stranger.shape[1])))[:480]
    frames = scene(8)
    for frame in frames:
        frame.picture.bgr()[: stranger.shape[0], 534:] = stranger
    settings = FaceSettings(collection="family", blur_unknown=True)
    analysis = FaceAnalysis(FacePerception(settings, service.engine), settings, Sampler(5), RegionMap([]))

    def hidden(number: int) -> list[bool]:
        """The face on the left, the face on the right."""
        boxes = analysis.hides(frames[number].picture)
        left, right = (0.268 + 0.007 * number, 0.36), ((534 + 160) / 854, 0.35)
        return [any(b.left < x < b.right and b.top < y < b.bottom for b in boxes) for x, y in (left, right)]

    assert hidden(0) == [True, True]
    for frame in frames:
        analysis.analyse(frame)
    assert hidden(7) == [False, True]
    analysis.reset()
    assert hidden(7) == [True, True]


@pytest.mark.corpus
def test_every_face_of_a_group_is_hidden_also_a_small_one(service: FaceService, corpus: Path) -> None:
    """Photographs with a truth of nose points, shrunk until faces in a 720p picture are some fifteen pixels wide."""
    folder = corpus / "faces" / "compreface"
    noses = json.loads((folder / "noses.json").read_text())
    perceiver, found, there = FacePerception(FaceSettings(collection="family"), service.engine), 0, 0
    for name, points in noses.items():
        photo = cv2.imread(str(folder / name))
        scale = 200 / max(photo.shape[:2])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.full((720, 1280, 3), 110, np.uint8)
        image[300 : 300 + small.shape[0], 500 : 500 + small.shape[1]] = small
        boxes = perceiver.find_all(ArrayPicture(image))
        places = [((500 + x * scale) / 1280, (300 + y * scale) / 720) for x, y in points]
        there += len(places)
        found += sum(any(b.left < x < b.right and b.top < y < b.bottom for b in boxes) for x, y in places)
    assert there == 17
    assert found == there
