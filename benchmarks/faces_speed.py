"""Frames a second of live face search with 0, 1 and 10 faces in view beside the bare model calls; search among 1 k to 1 M faces.

``bare`` is the same detector on the same pixels and one embedding for each face, and nothing else. Both run turn by turn.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import Stopwatch, parser, percentile, prepared, progress, report, table
from benchmarks.face_photos import face_photos
from streamproc.config.processor import FaceSettings
from streamproc.core.faces import StoredFace
from streamproc.core.media import EPOCH, Frame, Image, Moment
from streamproc.core.vision import Box, FloatArray
from streamproc.faces import quality
from streamproc.faces.calibration import DEFAULT_CURVE
from streamproc.faces.index import FaceIndex
from streamproc.faces.library import Library
from streamproc.faces.perception import FacePerception
from streamproc.faces.reader import FaceReader, live_size
from streamproc.faces.service import FaceService, open_service
from streamproc.media.picture import ArrayPicture
from streamproc.store.collections import CollectionStore, FaceRow
from streamproc.vision.zoo import ModelZoo, open_zoo

FRAME = (1280, 720)
LOOKS = 20
EYES_PX = 30


def main() -> None:
    options = _options()
    zoo = open_zoo(workers=1)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Path(folder), zoo=zoo)
        face = _enrolled(service, options.corpus)
        rows = [_look_row(service, zoo, face, count) for count in (0, 1, 10)]
    for row in rows:
        figures[f"fps_{row['faces']}"] = row["fps"]
        figures[f"bare_fps_{row['faces']}"] = row["bare_fps"]
    found = [_search_row(count, name) for count, name in _sizes(options.largest)]
    for row in found:
        figures[f"search_ms_{row['size']}"] = row["search_ms"]
    figures["memory_mb"] = found[-1]["memory_mb"]
    loaded = _load_row(options.stored)
    if options.json:
        report(options, figures=figures, rows=[*rows, *found, loaded])
        return
    for part in (rows, found, [loaded]):
        print(table(part), end="\n\n")
    report(options, figures=figures)


def _options() -> Any:
    made = parser(__doc__)
    made.add_argument("--largest", type=int, default=1_000_000, help="faces of the largest search")
    made.add_argument("--stored", type=int, default=100_000, help="faces of the collection that is written and loaded")
    return prepared(made.parse_args())


# looks


def _enrolled(service: FaceService, corpus: Path) -> Image:
    """Ten people in the collection; the picture of one, shrunk to 30 px between the eyes."""
    service.create_collection("family")
    people: dict[str, bytes] = {}
    for photo in face_photos(corpus):
        if photo.person is not None:
            people.setdefault(photo.person, photo.path.read_bytes())
    chosen: Image | None = None
    for name, data in list(people.items())[:10]:
        answer = service.index_faces("family", data, external_image_id=name, max_faces=1)
        if answer.records and chosen is None:
            chosen = _face_of_size(service.engine.decode(data), answer.records[0][0])
    if chosen is None:
        raise SystemExit(f"{corpus}: no photo of a face was found")
    return chosen


def _face_of_size(image: Image, face: StoredFace) -> Image:
    height, width = image.shape[:2]
    box = face.box
    part = image[
        int(max(0.0, box.top - 0.3 * box.height) * height) : int((box.bottom + 0.2 * box.height) * height),
        int(max(0.0, box.left - 0.3 * box.width) * width) : int((box.right + 0.3 * box.width) * width),
    ]
    scale = EYES_PX / face.eye_distance_px
    return np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _frames(face: Image, count: int) -> list[Frame]:
    """A quiet scene in which ``count`` faces move a little."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.integers(60, 180, (FRAME[1], FRAME[0], 3), np.uint8), (0, 0), 25)
    frames = []
    for look in range(LOOKS):
        image = ground.copy()
        for place in range(count):
            left = 60 + (place % 5) * 230 + look * 2
            top = 80 + (place // 5) * 320 + (look % 3)
            image[top : top + face.shape[0], left : left + face.shape[1]] = face
        at = Fraction(look, 5)
        frames.append(Frame(Moment(at, EPOCH), ArrayPicture(image)))
    return frames


def _look_row(service: FaceService, zoo: ModelZoo, face: Image, count: int) -> dict[str, Any]:
    progress(f"{count} faces in view")
    frames = _frames(face, count)
    perception = FacePerception(FaceSettings(collection="family"), service.engine)
    bare = _bare(service.reader, zoo)
    ours: list[float] = []
    theirs: list[float] = []
    seen = 0
    for frame in frames:
        start = time.process_time()
        seen = len(perception.look(frame).faces)
        ours.append(time.process_time() - start)
        fresh = Frame(frame.at, ArrayPicture(frame.picture.bgr()))  # its shrunk copies are not made yet
        start = time.process_time()
        bare(fresh)
        theirs.append(time.process_time() - start)
    mine, other = _middle(ours[4:]), _middle(theirs[4:])
    return {
        "faces": count,
        "seen": seen,
        "look_cpu_ms": round(1000 * mine, 2),
        "bare_cpu_ms": round(1000 * other, 2),
        "fps": round(1 / mine, 1),
        "bare_fps": round(1 / other, 1),
        "ratio": round(mine / other, 3),
    }


def _bare(reader: FaceReader, zoo: ModelZoo) -> Callable[[Frame], None]:
    size = live_size(*FRAME)
    detector, embedder = zoo.face_detector("yunet", size), zoo.embedder()

    def run(frame: Frame) -> None:
        whole = frame.picture.bgr()
        for face in detector.detect(frame.picture.bgr(*size)):
            embedder.embed(whole, quality.landmarks_px(face, *FRAME))

    return run


def _middle(values: list[float]) -> float:
    middle = percentile(values, 0.5)
    assert middle is not None
    return max(middle, 1e-6)


# search


def _sizes(largest: int) -> list[tuple[int, str]]:
    known = [(1_000, "1k"), (100_000, "100k"), (1_000_000, "1m")]
    return [(count, name) for count, name in known if count <= largest]


def _search_row(count: int, name: str) -> dict[str, Any]:
    progress(f"search among {count:,} faces")
    before = _resident_mb()
    index = FaceIndex(256)
    index.reserve(count)
    for start in range(0, count, 20_000):
        rows = min(20_000, count - start)
        index.add(np.arange(start + 1, start + rows + 1), _unit(rows, start))
    memory = _resident_mb() - before
    queries = _unit(12, 99)
    index.snapshot().search(queries[:1], 0.36, 80)
    took, spent = [], time.process_time()
    for query in queries[1:]:
        start_s = time.perf_counter()
        index.snapshot().search(query[None], 0.36, 80)
        took.append(1000 * (time.perf_counter() - start_s))
    cpu = 1000 * (time.process_time() - spent) / len(took)
    start_s = time.perf_counter()
    index.snapshot().search(queries[:10], 0.36, 80)
    ten = 1000 * (time.perf_counter() - start_s)
    return {
        "size": name,
        "search_ms": round(_middle(took), 3),
        "search_cpu_ms": round(cpu, 3),
        "ten_at_once_ms": round(ten, 2),
        "memory_mb": round(memory),
    }


def _load_row(count: int) -> dict[str, Any]:
    """Write a collection and open it again, as a daemon does when it starts."""
    progress(f"write and load {count:,} faces")
    with tempfile.TemporaryDirectory() as folder:
        store = CollectionStore(Path(folder))
        store.create("crowd", "m/1/1", 256, 0.0, {})
        with Stopwatch() as wrote:
            for start in range(0, count, 5_000):
                store.add_faces(
                    "crowd", [_row(start + place, vector) for place, vector in enumerate(_unit(5_000, start))]
                )
        with Stopwatch() as loaded:
            library = Library(store, "m/1/1", DEFAULT_CURVE)
            shelf = library.open("crowd")
        start_s = time.perf_counter()
        library.open("crowd")
        again = 1e6 * (time.perf_counter() - start_s)
        store.close()
        return {
            "stored": shelf.size,
            "write_s": round(wrote.wall, 2),
            "load_s": round(loaded.wall, 2),
            "unchanged_us": round(again, 1),
        }


def _row(number: int, vector: FloatArray) -> FaceRow:
    face = StoredFace(f"{number:032x}", f"{number:032x}", f"p{number}", Box(0.1, 0.1, 0.3, 0.3), 99.0, "95.1")
    return FaceRow(face, vector, number.to_bytes(32, "big"))


def _unit(rows: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((rows, 256), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
