"""Face collections and single pictures with the real models."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import botocore.loaders
import botocore.model
import botocore.validate
import cv2
import numpy as np
import pytest
from skimage import data

from streamproc.aws import face_documents as documents
from streamproc.core.errors import AlreadyExists, InputError, ModelUnavailable, NotFound
from streamproc.core.face_answers import NO_FACE, NoFace, UnknownFace
from streamproc.core.faces import QualityFilter, UserStatus
from streamproc.faces.choice import DETECTORS
from streamproc.faces.images import InvalidImageFormat
from streamproc.faces.service import FaceService, open_service
from streamproc.vision.store import ModelFiles
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


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return data.astronaut()[:, :, ::-1].copy()


def jpeg(image: np.ndarray, quality: int = 92) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def rotated_by_exif(image: np.ndarray) -> bytes:
    """As a phone held upright writes it: stored lying, orientation 6."""
    stored = jpeg(cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE))
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return stored[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + stored[2:]


def check_shape(document: dict, name: str) -> None:
    """Against the service's own model: nothing unknown, nothing of the wrong type."""
    loaded = botocore.loaders.Loader().load_service_model("rekognition", "service-2")
    shape = botocore.model.ServiceModel(loaded).shape_for(name)
    report = botocore.validate.ParamValidator().validate(document, shape)
    assert not report.has_errors(), report.generate_report()


def test_index_search_and_delete(service: FaceService, astronaut: np.ndarray) -> None:
    answer = service.index_faces("family", jpeg(astronaut), external_image_id="eileen", attributes=True)
    ((face, _),) = answer.records
    assert face.external_image_id == "eileen"
    check_shape(documents.index_answer(answer), "IndexFacesResponse")
    again = service.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    assert again.records[0][0].face_id == face.face_id
    mirrored = jpeg(cv2.GaussianBlur(astronaut[:, ::-1], (0, 0), 1.2), 70)
    found = service.searches.by_image("family", mirrored)
    assert found.matches[0].face.face_id == face.face_id
    assert found.matches[0].similarity > 95
    check_shape(documents.face_search(found), "SearchFacesByImageResponse")
    assert service.searches.by_face("family", face.face_id).matches == ()
    check_shape(
        documents.face_search(service.searches.by_face("family", face.face_id), face.face_id), "SearchFacesResponse"
    )
    page = service.list_faces("family", limit=1)
    assert (len(page.faces), page.after) == (1, None)
    check_shape(documents.face_page(page), "ListFacesResponse")
    gone = service.delete_faces("family", [face.face_id, "00000000-0000-0000-0000-000000000000"])
    assert gone.done == (face.face_id,)
    assert gone.failed[0].reasons == ("FACE_NOT_FOUND",)
    check_shape(documents.deletions(gone), "DeleteFacesResponse")
    assert service.searches.by_image("family", mirrored).matches == ()
    with pytest.raises(UnknownFace):
        service.searches.by_face("family", face.face_id)


def test_collections(service: FaceService) -> None:
    info = service.describe_collection("family")
    assert (info.faces, info.users) == (0, 0)
    check_shape(
        documents.described_collection(info, "arn:aws:rekognition:x:1:collection/family"), "DescribeCollectionResponse"
    )
    with pytest.raises(AlreadyExists):
        service.create_collection("family")
    with pytest.raises(InputError, match="letters"):
        service.create_collection("fämily")
    assert [each.name for each in service.list_collections()] == ["family"]
    service.delete_collection("family")
    for call in (service.describe_collection, service.delete_collection, service.list_faces):
        with pytest.raises(NotFound):
            call("family")


def test_attributes(service: FaceService, astronaut: np.ndarray) -> None:
    (face,) = service.searches.detect(jpeg(astronaut), attributes=True)
    document = documents.detected_faces([face])
    check_shape(document, "DetectFacesResponse")
    detail = document["FaceDetails"][0]
    assert detail["Smile"]["Value"] is True
    assert detail["Emotions"][0]["Type"] == "HAPPY"
    assert detail["Gender"]["Value"] == "Female"
    assert detail["AgeRange"]["Low"] < detail["AgeRange"]["High"]
    marks = {mark["Type"]: mark for mark in detail["Landmarks"]}
    assert len(marks) == 30
    assert marks["eyeLeft"]["X"] < marks["nose"]["X"] < marks["eyeRight"]["X"]
    assert abs(marks["leftPupil"]["X"] - marks["eyeLeft"]["X"]) < 0.02


def test_without_the_attribute_nets_the_rest_is_answered(
    tmp_path: Path, zoo: ModelZoo, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def missing() -> None:
        tries.append(1)
        raise ModelUnavailable("no source could be reached")

    monkeypatch.setattr(zoo, "age_gender", missing)
    service = open_service(tmp_path, zoo=zoo)
    for _ in range(3):
        (detail,) = documents.detected_faces(service.searches.detect(jpeg(astronaut), attributes=True))["FaceDetails"]
        assert set(detail) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert len(tries) == 1


def test_other_models_where_the_best_cannot_be_had_and_a_collection_keeps_its_own(
    tmp_path: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = open_zoo()
    get = poor.store.get

    def some(name: str) -> ModelFiles:
        if name in ("yunet", "face_reidentification_retail_0095"):
            raise ModelUnavailable(f"model {name} cannot be had")
        return get(name)

    monkeypatch.setattr(poor.store, "get", some)
    first = open_service(tmp_path, zoo=poor)
    first.create_collection("family")
    assert first.reader.detector == "centerface"
    first.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    for quarters in range(4):  # that detector finds lying faces too, but not their landmarks
        lying = jpeg(np.ascontiguousarray(np.rot90(astronaut, quarters)))
        assert first.searches.by_image("family", lying).matches[0].similarity > 99
    first.close()
    monkeypatch.undo()
    rich = open_zoo()
    later = open_service(tmp_path, zoo=rich)
    assert later.reader.detector == rich.first_name(DETECTORS), "the detector is chosen anew, the embedder is not"
    assert later.searches.by_image("family", jpeg(astronaut)).matches[0].similarity > 99
    later.close()


def test_a_photo_turned_by_exif_is_the_same_face(service: FaceService, astronaut: np.ndarray) -> None:
    service.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    found = service.searches.by_image("family", rotated_by_exif(astronaut))
    assert found.matches[0].similarity > 99


def test_a_photo_that_lies_on_its_side_and_says_so_nowhere_is_the_same_face(
    service: FaceService, astronaut: np.ndarray
) -> None:
    """Enrolled or searched for: three ways to lie."""
    service.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    for quarters in (1, 2, 3):
        lying = jpeg(np.ascontiguousarray(np.rot90(astronaut, quarters)))
        found = service.searches.by_image("family", lying).matches[0]
        assert found.similarity > 97, "the detector's box differs by a few pixels"
        assert len(service.index_faces("family", lying).records) == 1
    (upright,), (lying,) = (service.searches.detect(jpeg(np.rot90(astronaut, k).copy())) for k in (0, 2))
    assert lying.face.box.left == pytest.approx(1 - upright.face.box.right, abs=0.03), (
        "where it lies in the picture as sent"
    )


def test_a_50_megapixel_photo(service: FaceService, astronaut: np.ndarray) -> None:
    service.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    huge = jpeg(cv2.resize(astronaut, (7168, 7168), interpolation=cv2.INTER_CUBIC), 60)
    found = service.searches.by_image("family", huge)
    assert found.matches[0].similarity > 97


def test_a_tight_crop_is_found(service: FaceService, astronaut: np.ndarray) -> None:
    service.index_faces("family", jpeg(astronaut), external_image_id="eileen")
    (face,) = service.searches.detect(jpeg(astronaut))
    left, top, right, bottom = (int(value * 512) for value in face.face.box)
    found = service.searches.by_image("family", jpeg(astronaut[top:bottom, left:right]))
    assert found.matches[0].similarity > 95


def test_a_crowd_gives_the_hundred_largest(service: FaceService, astronaut: np.ndarray) -> None:
    one = cv2.resize(astronaut[0:230, 120:340], (110, 115), interpolation=cv2.INTER_AREA)
    crowd = np.tile(one, (15, 14, 1))
    assert len(service.searches.detect(jpeg(crowd))) == 100
    answer = service.index_faces("family", jpeg(crowd), max_faces=3)
    assert len(answer.records) == 3
    assert {face.reasons for face in answer.refused} == {("EXCEEDS_MAX_FACES",)}


def test_no_face(service: FaceService) -> None:
    empty = jpeg(np.full((300, 400, 3), 127, np.uint8))
    answer = service.index_faces("family", empty)
    assert (answer.records, answer.refused) == ((), ())
    for search in (service.searches.by_image, service.users.search_by_image):
        with pytest.raises(NoFace, match=NO_FACE):
            search("family", empty)
    with pytest.raises(NoFace):
        service.searches.compare(empty, empty)
    assert service.searches.detect(empty) == []


def test_the_gate_refuses_and_names_why(service: FaceService, astronaut: np.ndarray) -> None:
    small = jpeg(cv2.resize(astronaut, (150, 150), interpolation=cv2.INTER_AREA))
    refused = service.index_faces("family", small).refused
    assert [face.reasons for face in refused] == [("SMALL_BOUNDING_BOX",)]
    assert len(service.index_faces("family", small, quality_filter=QualityFilter.NONE).records) == 1
    with pytest.raises(NoFace):
        service.searches.by_image("family", small, quality_filter=QualityFilter.HIGH)


@pytest.mark.parametrize("bad", [b"", b"GIF89a....", b"no picture at all"])
def test_what_is_no_picture(service: FaceService, astronaut: np.ndarray, bad: bytes) -> None:
    for payload in (bad, jpeg(astronaut)[:-100]):
        with pytest.raises(InvalidImageFormat):
            service.index_faces("family", payload)


def test_compare(service: FaceService, astronaut: np.ndarray, zoo: ModelZoo) -> None:
    pair = np.hstack([astronaut, astronaut[:, ::-1]])
    answer = service.searches.compare(jpeg(astronaut), jpeg(pair))
    assert len(answer.matches) == 2
    check_shape(documents.comparison(answer), "CompareFacesResponse")
    assert len(service.searches.compare(jpeg(astronaut), jpeg(pair), threshold=100).unmatched) == 2


def test_users(service: FaceService, astronaut: np.ndarray) -> None:
    variants = [astronaut, astronaut[:, ::-1], cv2.GaussianBlur(astronaut, (0, 0), 1.5)]
    faces = [service.index_faces("family", jpeg(image)).records[0][0].face_id for image in variants]
    users = service.users
    users.create("family", "eileen")
    assert users.list("family").users == (("eileen", UserStatus.CREATED),)
    changes = users.associate("family", "eileen", [*faces[:2], "00000000-0000-0000-0000-000000000000"])
    assert changes.done == tuple(faces[:2])
    assert changes.failed[0].reasons == ("FACE_NOT_FOUND",)
    check_shape(documents.associations(changes), "AssociateFacesResponse")
    assert users.associate("family", "eileen", [faces[2]], threshold=100).failed[0].reasons == ("LOW_MATCH_CONFIDENCE",)
    users.create("family", "other")
    assert users.associate("family", "other", faces[:1]).failed[0].reasons == ("ASSOCIATED_TO_A_DIFFERENT_USER",)
    found = users.search_by_image("family", jpeg(astronaut))
    assert found.matches[0].user_id == "eileen"
    check_shape(documents.user_search(found), "SearchUsersByImageResponse")
    by_face = users.search("family", face_id=faces[2])
    assert by_face.matches[0].user_id == "eileen"
    check_shape(documents.user_search(by_face, face_id=faces[2]), "SearchUsersResponse")
    assert users.search("family", user_id="eileen").matches == ()
    refused = service.delete_faces("family", faces[:1]).failed[0]
    assert (refused.reasons, refused.user_id) == (("ASSOCIATED_TO_AN_EXISTING_USER",), "eileen")
    assert service.searches.by_image("family", jpeg(astronaut)).matches[0].face.person == "eileen"
    gone = users.disassociate("family", "eileen", faces)
    assert gone.done == tuple(faces[:2])
    check_shape(documents.disassociations(gone), "DisassociateFacesResponse")
    users.delete("family", "other")
    check_shape(documents.user_page(users.list("family")), "ListUsersResponse")
    with pytest.raises(NotFound):
        users.associate("family", "nobody", faces)


def test_denied_faces_stay_denied(service: FaceService, astronaut: np.ndarray) -> None:
    service.index_faces("family", jpeg(cv2.GaussianBlur(astronaut, (0, 0), 2)), external_image_id="anna")
    assert service.searches.by_image("family", jpeg(astronaut)).matches
    service.deny("family", "anna", jpeg(astronaut))
    assert service.searches.by_image("family", jpeg(astronaut)).matches == ()
    with pytest.raises(InputError, match="nobody called"):
        service.deny("family", "nobody", jpeg(astronaut))


# the command line, as a stranger uses it


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamproc", "faces", *words, "--data-dir", str(tmp_path / "data")]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ.copy(), check=False)


def test_commands(tmp_path: Path, astronaut: np.ndarray, zoo: ModelZoo) -> None:
    photos = tmp_path / "people" / "eileen"
    photos.mkdir(parents=True)
    (photos / "one.jpg").write_bytes(jpeg(astronaut))
    (photos / "two.jpg").write_bytes(jpeg(astronaut[:, ::-1]))
    broken, blank = tmp_path / "broken.jpg", tmp_path / "blank.jpg"
    broken.write_bytes(jpeg(astronaut)[:5000])
    blank.write_bytes(jpeg(np.full((200, 200, 3), 80, np.uint8)))
    made = run(tmp_path, "create", "family", "--json")
    assert made.returncode == 0
    check_shape(json.loads(made.stdout), "CreateCollectionResponse")
    # A daemon that runs meanwhile: its library must learn without being told.
    daemon = open_service(tmp_path / "data", zoo=zoo)
    assert daemon.searches.by_image("family", jpeg(astronaut)).matches == ()
    enrolled = run(tmp_path, "enrol", "family", str(tmp_path / "people"), "--json")
    assert enrolled.returncode == 0
    answers = [json.loads(line) for line in enrolled.stdout.splitlines()]
    assert [answer["FaceRecords"][0]["Face"]["ExternalImageId"] for answer in answers] == ["eileen", "eileen"]
    assert len(daemon.searches.by_image("family", jpeg(astronaut)).matches) == 2
    found = run(tmp_path, "search", "family", str(photos / "one.jpg"), "--json")
    assert json.loads(found.stdout)["FaceMatches"][0]["Face"]["ExternalImageId"] == "eileen"
    bad = run(tmp_path, "enrol", "family", "--name", "x", str(broken), str(blank), "--json")
    assert (bad.returncode, "broken.jpg" in bad.stderr) == (2, True), "the photo that cannot be used"
    assert (json.loads(bad.stdout)["FaceRecords"], "blank.jpg: nothing enrolled" in bad.stderr) == ([], True)
    lost = run(tmp_path, "search", "family", str(blank))
    assert (lost.returncode, "blank.jpg" in lost.stderr) == (2, True)
    assert run(tmp_path, "delete", "family").returncode == 0
    with pytest.raises(NotFound):
        daemon.engine.library.open("family")
