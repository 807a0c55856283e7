from __future__ import annotations

import stat
import uuid
from pathlib import Path

import numpy as np
import pytest

from streamproc.core.errors import AlreadyExists, InputError, NotFound
from streamproc.core.faces import StoredFace
from streamproc.core.vision import Box
from streamproc.faces.calibration import Curve
from streamproc.faces.library import Library, ModelMismatch
from streamproc.faces.sealing import Seal
from streamproc.store.collections import CollectionStore, FaceRow

MODEL = "model/abc/1"
CURVE = Curve(0.36, 0.72)
MARK = np.frombuffer(b"FINDME-IN-FILES!" * 4, np.float32).copy()
"""A vector whose bytes can be searched for."""


def row(
    name: str | None = "alice", vector: np.ndarray | None = None, picture: bytes = b"p1", left: float = 0.1
) -> FaceRow:
    face = StoredFace(str(uuid.uuid4()), str(uuid.uuid4()), name, Box(left, 0.1, left + 0.2, 0.4), 99.0, "1.1")
    value = np.random.default_rng().normal(size=16).astype(np.float32) if vector is None else vector
    return FaceRow(face, value / np.float32(np.linalg.norm(value)) if vector is None else value, picture)


@pytest.fixture
def store(tmp_path: Path) -> CollectionStore:
    store = CollectionStore(tmp_path)
    store.create("family", MODEL, 16, 1000.0, {"a": "b"})
    return store


def test_collections_come_and_go(store: CollectionStore) -> None:
    assert store.get("family").tags == {"a": "b"}
    with pytest.raises(AlreadyExists, match=r"The collection id: family already exists\."):
        store.create("family", MODEL, 16, 1.0, {})
    store.add_faces("family", [row()])
    store.drop("family")
    with pytest.raises(NotFound, match="The collection id: family does not exist"):
        store.get("family")
    with pytest.raises(NotFound):
        store.drop("family")
    store.create("family", MODEL, 16, 1.0, {})
    assert store.counts("family") == (0, 0)


def test_the_same_picture_and_name_is_one_entry(store: CollectionStore) -> None:
    (first,) = store.add_faces("family", [row()])
    (again,) = store.add_faces("family", [row()])
    (other_name,) = store.add_faces("family", [row("bob")])
    (no_name,) = store.add_faces("family", [row(None)])
    (no_name_again,) = store.add_faces("family", [row(None)])
    (elsewhere,) = store.add_faces("family", [row(left=0.6)])
    assert again.face_id == first.face_id
    assert no_name_again.face_id == no_name.face_id
    assert len({first.face_id, other_name.face_id, no_name.face_id, elsewhere.face_id}) == 4
    assert elsewhere.image_id == first.image_id, "one picture, one image id"
    assert store.counts("family") == (4, 0)


def test_faces_are_listed_in_order_and_by_page(store: CollectionStore) -> None:
    faces = store.add_faces("family", [row(picture=bytes([n])) for n in range(5)])
    first = store.faces("family", limit=2)
    rest = store.faces("family", after=first[-1][0])
    assert [face.face_id for _, face in first + rest] == [face.face_id for face in faces]
    wanted = [faces[3].face_id, faces[1].face_id, "no such"]
    assert {face.face_id for _, face in store.faces("family", face_ids=wanted)} == {faces[1].face_id, faces[3].face_id}
    assert store.faces("family", limit=0) == []


def test_users(store: CollectionStore) -> None:
    store.users.create("family", "u1", 1.0)
    with pytest.raises(AlreadyExists):
        store.users.create("family", "u1", 1.0)
    (face,) = store.add_faces("family", [row()])
    store.users.assign("family", [face.face_id], "u1")
    assert store.users.all("family") == [("u1", 1)]
    assert store.faces("family", user_id="u1")[0][1].person == "u1"
    store.users.delete("family", "u1")
    assert store.faces("family")[0][1].person == "alice"
    with pytest.raises(NotFound):
        store.users.delete("family", "u1")


def files_hold(folder: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["face", "collection"])
def test_a_deleted_face_is_gone_from_every_file(tmp_path: Path, store: CollectionStore, how: str) -> None:
    (face, _) = store.add_faces("family", [row("UniqueName", MARK, picture=b"a"), row(picture=b"b")])
    assert files_hold(tmp_path, MARK.tobytes())
    assert files_hold(tmp_path, b"UniqueName")
    if how == "face":
        store.delete_faces("family", [face.face_id])
    else:
        store.drop("family")
    assert not files_hold(tmp_path, MARK.tobytes())
    assert not files_hold(tmp_path, b"UniqueName")


def test_only_the_owner_may_read_the_file(tmp_path: Path, store: CollectionStore) -> None:
    assert stat.S_IMODE((tmp_path / "faces.db").stat().st_mode) == 0o600


def key_file(tmp_path: Path, text: str = "ab" * 32) -> Path:
    path = tmp_path / f"key-{text[:4]}"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_vectors_are_sealed_with_a_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    plain = CollectionStore(data)
    plain.create("family", MODEL, 16, 1.0, {})
    plain.add_faces("family", [row(vector=MARK)])
    plain.deny("family", "alice", MARK, 1.0)
    plain.close()
    assert files_hold(data, MARK.tobytes())
    seal = Seal.from_file(key_file(tmp_path))
    sealed = CollectionStore(data, seal)
    assert not files_hold(data, MARK.tobytes()), "what was stored before the key must be sealed too"
    sealed.add_faces("family", [row("bob", MARK, picture=b"q")])
    ((_, vectors),) = list(sealed.vectors("family"))
    assert np.array_equal(vectors, [MARK, MARK])
    assert np.array_equal(sealed.denials("family")[0][1], MARK)
    sealed.close()
    assert not files_hold(data, MARK.tobytes())
    with pytest.raises(InputError, match=r"faces\.key_file"):
        CollectionStore(data)
    with pytest.raises(InputError, match="does not open"):
        CollectionStore(data, Seal.from_file(key_file(tmp_path, "cd" * 32)))


def test_a_sealed_vector_cannot_be_moved_to_another_face(tmp_path: Path) -> None:
    seal = Seal.from_file(key_file(tmp_path))
    with pytest.raises(InputError):
        seal.open(seal.seal(b"vector", "face-1"), "face-2")


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [("short", 0o600, "32-byte key"), ("ab" * 32, 0o644, "chmod 600"), (None, 0o600, "cannot be read")],
)
def test_a_bad_key_file_is_refused(tmp_path: Path, text: str | None, mode: int, words: str) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(InputError, match=words):
        Seal.from_file(path)


def test_another_process_enrols_and_deletes_and_the_library_follows(tmp_path: Path, store: CollectionStore) -> None:
    library = Library(store, MODEL, CURVE)
    other = CollectionStore(tmp_path)
    query = np.eye(16, dtype=np.float32)[:1]
    assert library.open("family").search(query, 80, 5) == [[]]
    (face,) = other.add_faces("family", [row("alice", query[0])])
    ((match,),) = library.open("family").search(query, 80, 5)
    assert (match.face.face_id, match.similarity > 99.9) == (face.face_id, True)
    held = library.open("family")
    other.delete_faces("family", [face.face_id])
    assert library.open("family").search(query, 80, 5) == [[]]
    assert held.search(query, 80, 5) == [[]]
    other.drop("family")
    with pytest.raises(NotFound):
        library.open("family")
    other.create("family", MODEL, 16, 1.0, {})
    other.add_faces("family", [row("bob", query[0])])
    ((match,),) = library.open("family").search(query, 80, 5)
    assert match.face.person == "bob"


def test_another_embedders_collection_is_refused(store: CollectionStore) -> None:
    with pytest.raises(ModelMismatch, match=r"model/abc/1.*other/def/1.*enrol anew"):
        Library(store, "other/def/1", CURVE).open("family")


def test_a_denied_face_is_not_matched_again(store: CollectionStore) -> None:
    library = Library(store, MODEL, CURVE)
    alice, look_alike = np.zeros(16, np.float32), np.zeros(16, np.float32)
    alice[0] = 1
    look_alike[:2] = 0.8, 0.6
    store.add_faces("family", [row("alice", alice)])
    index = library.open("family")
    assert index.search(look_alike[None], 80, 5)[0][0].face.person == "alice"
    store.deny("family", "alice", look_alike, 1.0)
    index = library.open("family")
    assert index.search(look_alike[None], 80, 5) == [[]]
    assert index.people(look_alike[None], 40) == [[]]
    assert index.search(alice[None], 80, 5)[0][0].face.person == "alice", "the real one is still known"


def test_people_are_told_by_their_best_face(store: CollectionStore) -> None:
    library = Library(store, MODEL, CURVE)
    base = np.eye(16, dtype=np.float32)
    near = (base[0] * 0.9 + base[1] * np.sqrt(1 - 0.81)).astype(np.float32)
    store.add_faces("family", [row("alice", base[0]), row("alice", near, picture=b"2"), row("bob", near, picture=b"3")])
    (found,) = library.open("family").people(base[:1], 40)
    assert [candidate.person for candidate in found] == ["alice", "bob"]
    assert found[0].match.similarity > found[1].match.similarity
