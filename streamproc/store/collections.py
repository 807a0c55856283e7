"""Face collections on disk: ``DATA_DIR/faces.db``, a file of its own, so that a deleted face can be wiped from all of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from streamproc.core.errors import AlreadyExists, InputError, NotFound
from streamproc.core.faces import StoredFace
from streamproc.core.vision import Box, FloatArray
from streamproc.store.database import Database
from streamproc.store.face_users import UserStore, note_edit

Numbers = npt.NDArray[np.int64]
FILE_NAME: Final = "faces.db"
_STEPS: Final = (
    """
    CREATE TABLE collections (
        name TEXT PRIMARY KEY, model TEXT NOT NULL, dimensions INTEGER NOT NULL, created REAL NOT NULL,
        tags TEXT NOT NULL, id INTEGER NOT NULL UNIQUE, edits INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE users (
        collection TEXT NOT NULL REFERENCES collections(name) ON DELETE CASCADE, user_id TEXT NOT NULL, created REAL NOT NULL,
        PRIMARY KEY (collection, user_id)
    ) WITHOUT ROWID;
    CREATE TABLE faces (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL REFERENCES collections(name) ON DELETE CASCADE,
        face_id TEXT NOT NULL UNIQUE, image_id TEXT NOT NULL, external_image_id TEXT, user_id TEXT,
        details TEXT NOT NULL, picture BLOB NOT NULL, vector BLOB NOT NULL
    );
    CREATE INDEX faces_in_order ON faces (collection, seq);
    CREATE INDEX faces_of_picture ON faces (collection, picture);
    CREATE INDEX faces_of_user ON faces (collection, user_id) WHERE user_id IS NOT NULL;
    CREATE TABLE denials (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL REFERENCES collections(name) ON DELETE CASCADE,
        person TEXT NOT NULL, created REAL NOT NULL, vector BLOB NOT NULL
    );
    CREATE INDEX denials_in_order ON denials (collection, seq);
    """,
    """
    ALTER TABLE denials ADD COLUMN id TEXT NOT NULL DEFAULT '';
    UPDATE denials SET id = lower(hex(randomblob(16)));
    """,
)


_COLLECTIONS: Final = "SELECT *, (SELECT MAX(seq) FROM faces WHERE collection = name) AS last FROM collections"


class Cipher(Protocol):
    """Seals vectors under the name of what they belong to."""

    def seal(self, plain: bytes, name: str) -> bytes: ...

    def open(self, sealed: bytes, name: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as stored. ``edits`` rises with everything that changes in it but a face that is added."""

    name: str
    model: str
    dimensions: int
    created: float
    tags: Mapping[str, str]
    id: int
    edits: int
    last: int
    """The highest sequence number among its faces, 0 for none."""


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A face to be stored."""

    face: StoredFace
    vector: FloatArray
    picture: bytes = b""
    """sha256 of the picture's bytes."""


class CollectionStore:
    """Rows in and out; no models, no search. Any thread; other processes may write the same file."""

    def __init__(self, data_dir: Path, cipher: Cipher | None = None) -> None:
        self.database = Database(data_dir, FILE_NAME)
        self.database.path.chmod(0o600)
        self.database.migrate("collections", _STEPS)
        self.users = UserStore(self.database)
        self._cipher = cipher
        self._check_key()

    def close(self) -> None:
        self.database.close()

    # collections

    def create(self, name: str, model: str, dimensions: int, created: float, tags: Mapping[str, str]) -> None:
        with self.database.write() as db:
            if db.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise AlreadyExists(f"The collection id: {name} already exists.")
            insert_collection(db, name, (model, dimensions, created, json.dumps(dict(tags))))

    def get(self, name: str) -> CollectionRow:
        """Raises NotFound."""
        row = self.database.read().execute(f"{_COLLECTIONS} WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFound(f"The collection id: {name} does not exist")
        return _collection(row)

    def all(self) -> list[CollectionRow]:
        rows = self.database.read().execute(f"{_COLLECTIONS} ORDER BY name").fetchall()
        return [_collection(row) for row in rows]

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        with self.database.write() as db:
            db.execute("UPDATE collections SET tags = ? WHERE name = ?", (json.dumps(dict(tags)), name))

    def drop(self, name: str) -> None:
        """Delete a collection with everything in it, and wipe it from the file. Raises NotFound."""
        with self.database.write() as db:
            for table in ("denials", "faces", "users"):  # what notes changes sees them before their collection
                db.execute(f"DELETE FROM {table} WHERE collection = ?", (name,))
            if db.execute("DELETE FROM collections WHERE name = ?", (name,)).rowcount == 0:
                raise NotFound(f"The collection id: {name} does not exist")
        self.database.scrub()

    def counts(self, name: str) -> tuple[int, int]:
        """Faces and users of a collection."""
        row = (
            self.database.read()
            .execute(
                "SELECT (SELECT COUNT(*) FROM faces WHERE collection = ?1), (SELECT COUNT(*) FROM users WHERE collection = ?1)",
                (name,),
            )
            .fetchone()
        )
        return int(row[0]), int(row[1])

    # faces

    def add_faces(self, name: str, rows: Sequence[FaceRow], same: float = 0.8) -> list[StoredFace]:
        """Store faces, in one transaction; a face of the same picture, place and external id is not stored twice.

        Returns what is stored now, in the order of ``rows``: the new face, or the one that was there. Raises NotFound.
        """
        kept: list[StoredFace] = []
        with self.database.write() as db:
            if not db.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise NotFound(f"The collection id: {name} does not exist")
            for row in rows:
                before = db.execute(
                    "SELECT * FROM faces WHERE collection = ? AND picture = ? AND external_image_id IS ? ORDER BY seq",
                    (name, row.picture, row.face.external_image_id),
                ).fetchall()
                known = next((face for face in map(_face, before) if _overlap(face.box, row.face.box) >= same), None)
                if known is None:
                    image_id = str(before[0]["image_id"]) if before else row.face.image_id
                    db.execute(
                        "INSERT INTO faces (collection, face_id, image_id, external_image_id, details, picture, vector) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (
                            name,
                            row.face.face_id,
                            image_id,
                            row.face.external_image_id,
                            _details(row.face),
                            row.picture,
                            self.packed(row.vector, row.face.face_id),
                        ),
                    )
                    stored = db.execute("SELECT * FROM faces WHERE face_id = ?", (row.face.face_id,)).fetchone()
                    known = _face(stored)
                kept.append(known)
        return kept

    def faces(
        self,
        name: str,
        *,
        after: int = 0,
        limit: int | None = None,
        user_id: str | None = None,
        face_ids: Sequence[str] | None = None,
    ) -> list[tuple[int, StoredFace]]:
        """Faces behind sequence number ``after``, oldest first, each with its number; without vectors."""
        where, values = ["collection = ?", "seq > ?"], [name, after]
        if user_id is not None:
            where.append("user_id = ?")
            values.append(user_id)
        if face_ids is not None:
            where.append("face_id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(face_ids)))
        query = f"SELECT * FROM faces WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        rows = self.database.read().execute(query, (*values, -1 if limit is None else limit)).fetchall()
        return [(int(row["seq"]), _face(row)) for row in rows]

    def faces_at(self, sequence: Iterable[int]) -> dict[int, StoredFace]:
        """Faces by sequence number; those that are gone are left out."""
        query = "SELECT * FROM faces WHERE seq IN (SELECT value FROM json_each(?))"
        rows = self.database.read().execute(query, (json.dumps(list(sequence)),)).fetchall()
        return {int(row["seq"]): _face(row) for row in rows}

    def vectors(self, name: str, after: int = 0, block: int = 20_000) -> Iterator[tuple[Numbers, FloatArray]]:
        """(N,) sequence numbers and (N, D) vectors behind ``after``, in blocks, oldest first."""
        query = "SELECT seq, face_id, vector FROM faces WHERE collection = ? AND seq > ? ORDER BY seq LIMIT ?"
        while rows := self.database.read().execute(query, (name, after, block)).fetchall():
            numbers = np.array([row["seq"] for row in rows], np.int64)
            if self._cipher is None:
                matrix = np.frombuffer(b"".join(row["vector"] for row in rows), np.float32).reshape(len(rows), -1)
            else:
                matrix = np.stack([self.unpacked(row["vector"], row["face_id"]) for row in rows])
            yield numbers, matrix
            after = int(numbers[-1])

    def numbers(self, name: str) -> Numbers:
        """(N,) sequence numbers of all faces, ascending."""
        rows = (
            self.database.read().execute("SELECT seq FROM faces WHERE collection = ? ORDER BY seq", (name,)).fetchall()
        )
        return np.array([row[0] for row in rows], np.int64)

    def delete_faces(self, name: str, face_ids: Iterable[str]) -> None:
        """Delete faces and wipe them from the file."""
        with self.database.write() as db:
            db.execute(
                "DELETE FROM faces WHERE collection = ? AND face_id IN (SELECT value FROM json_each(?))",
                (name, json.dumps(list(face_ids))),
            )
            note_edit(db, name)
        self.database.scrub()

    # denials

    def deny(self, name: str, person: str, vector: FloatArray, created: float, denial_id: str | None = None) -> None:
        """Keep that this face is not ``person``."""
        with self.database.write() as db:
            packed = self.packed(vector, f"not {person}")
            db.execute(
                "INSERT INTO denials (collection, person, created, vector, id) VALUES (?, ?, ?, ?, ?)",
                (name, person, created, packed, denial_id or uuid.uuid4().hex),
            )
            note_edit(db, name)

    def denials(self, name: str) -> list[tuple[str, FloatArray]]:
        rows = (
            self.database.read().execute("SELECT * FROM denials WHERE collection = ? ORDER BY seq", (name,)).fetchall()
        )
        return [(str(row["person"]), self.unpacked(row["vector"], f"not {row['person']}")) for row in rows]

    # vectors at rest

    def packed(self, vector: FloatArray, name: str) -> bytes:
        """A vector as it lies in the file, sealed where there is a key."""
        plain = np.ascontiguousarray(vector, np.float32).tobytes()
        return self._cipher.seal(plain, name) if self._cipher else plain

    def unpacked(self, data: bytes, name: str) -> FloatArray:
        """What ``packed`` took."""
        plain = self._cipher.open(data, name) if self._cipher else data
        return np.frombuffer(plain, np.float32)

    def _check_key(self) -> None:
        """Refuse a wrong or missing key at once; seal what was stored before there was one."""
        probe = self.database.get("seal")
        if self._cipher is None:
            if probe is not None:
                raise InputError(
                    f"{self.database.path}: its face vectors are encrypted; give faces.key_file in streamproc.yaml"
                )
            return
        if probe is not None:
            self._cipher.open(bytes.fromhex(probe), "seal")
            return
        with self.database.write() as db:
            for table, label in (("faces", "face_id"), ("denials", "'not ' || person")):
                for row in db.execute(f"SELECT seq, {label} AS name, vector FROM {table}").fetchall():
                    sealed = self._cipher.seal(row["vector"], row["name"])
                    db.execute(f"UPDATE {table} SET vector = ? WHERE seq = ?", (sealed, row["seq"]))
            db.execute("INSERT INTO facts VALUES ('seal', ?)", (self._cipher.seal(b"streamproc", "seal").hex(),))
        self.database.scrub()


def insert_collection(db: Connection, name: str, values: tuple[str, int, float, str]) -> None:
    """A new row under a number that no collection of this file ever had. ``values``: model, dimensions, created, tags as JSON."""
    number = int(db.execute("SELECT COALESCE(MAX(id), 0) FROM collections").fetchone()[0])
    ever = db.execute("SELECT value FROM facts WHERE key = 'collections_made'").fetchone()
    number = max(number, int(ever[0]) if ever else 0) + 1
    db.execute("INSERT OR REPLACE INTO facts VALUES ('collections_made', ?)", (str(number),))
    columns = "name, model, dimensions, created, tags, id"
    db.execute(f"INSERT INTO collections ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (name, *values, number))


def _collection(row: Row) -> CollectionRow:
    return CollectionRow(
        row["name"],
        row["model"],
        row["dimensions"],
        row["created"],
        json.loads(row["tags"]),
        row["id"],
        row["edits"],
        row["last"] or 0,
    )


def _details(face: StoredFace) -> str:
    return json.dumps(
        {
            "box": list(face.box),
            "confidence": face.confidence,
            "model_version": face.model_version,
            "sharpness": round(face.sharpness, 2),
            "brightness": round(face.brightness, 2),
            "eye_distance_px": round(face.eye_distance_px, 2),
            "yaw": round(face.yaw, 2),
            "pitch": round(face.pitch, 2),
        }
    )


def _face(row: Row) -> StoredFace:
    details = json.loads(row["details"])
    return StoredFace(
        face_id=row["face_id"],
        image_id=row["image_id"],
        external_image_id=row["external_image_id"],
        user_id=row["user_id"],
        **(details | {"box": Box(*details["box"])}),
    )


def _overlap(one: Box, other: Box) -> float:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / max(one.area + other.area - shared, 1e-12)
