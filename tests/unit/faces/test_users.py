"""Users found by picture, on a reader without models."""

from pathlib import Path

import pytest

from streamproc.core.face_answers import NoFace
from streamproc.faces.service import FaceService
from streamproc.store.collections import CollectionStore
from tests.aws.plain_faces import PlainReader, picture


class Counting(PlainReader):
    """Counts how often it looked for faces."""

    looked = 0

    def find(self, image):
        type(self).looked += 1
        return super().find(image)


def test_a_search_by_picture_detects_its_faces_once(tmp_path: Path) -> None:
    service = FaceService(CollectionStore(tmp_path), Counting)  # type: ignore[arg-type]
    service.create_collection("family")
    (stored,) = (face for face, _ in service.index_faces("family", picture(255), max_faces=1).records)
    service.users.create("family", "alice")
    service.users.associate("family", "alice", [stored.face_id])
    before = Counting.looked
    answer = service.users.search_by_image("family", picture(255))
    assert Counting.looked == before + 1
    assert [match.user_id for match in answer.matches] == ["alice"]
    assert [face.reasons for face in answer.refused] == [("FACE_NOT_LARGEST",)], "the other face of the picture"
    with pytest.raises(NoFace):
        service.users.search_by_image("family", picture(0))
    service.close()
