"""From a model's name to a ready adapter, made once and shared by everybody in the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar, cast

import structlog

from streamproc.config.box import ModelSettings
from streamproc.contracts import Classifier, Detector, Embedder, FaceDetector
from streamproc.core.errors import ModelUnavailable
from streamproc.vision.adapters.attributes import AgeGenderNet, ExpressionNet, Landmarks68
from streamproc.vision.adapters.classifier import ImagenetClassifier, read_labels
from streamproc.vision.adapters.deimv2 import Deimv2
from streamproc.vision.adapters.embedders import FaceApiRecognition, PersonReid, Retail0095
from streamproc.vision.adapters.faces import CenterFace, YuNet
from streamproc.vision.adapters.localizer import MobileObjectLocalizer
from streamproc.vision.adapters.openmodelzoo import SsdDetectionOutput
from streamproc.vision.adapters.ssd_tflite import SsdTflite
from streamproc.vision.adapters.yolox import Yolox
from streamproc.vision.engine import Engine
from streamproc.vision.models import find
from streamproc.vision.store import ModelStore

log = structlog.get_logger(__name__)
T = TypeVar("T")
YOLOX_SIZE = (640, 384)
"""For 16:9 feeds; measured better value than 416x416 or tiles."""


class ModelZoo:
    """Adapters by model name. Thread-safe; every adapter may be used from any thread."""

    def __init__(self, store: ModelStore, engine: Engine) -> None:
        self.store = store
        self.engine = engine
        self._lock = threading.RLock()
        self._made: dict[Hashable, object] = {}

    def detector(self, name: str, size: tuple[int, int] | None = None) -> Detector:
        """An object or proposal detector. ``size`` (width, height) is for models that take any. Raises ModelUnavailable."""
        return self._once(("detector", name, size), lambda: self._detector(name, size))

    def classifier(self, name: str = "mobilenet_v2") -> Classifier:
        """An image classifier."""

        def make() -> Classifier:
            files = self.store.get(name).paths
            return ImagenetClassifier(self.engine, files["model"], name=name, names=read_labels(files["labels"]))

        return self._once(("classifier", name), make)

    def person_detector(self, size: tuple[int, int] | None = None) -> Detector:
        """YOLOX-Nano, or the SSD (which finds under half the people) where it cannot be had."""
        try:
            return self.detector("yolox_nano", size)
        except ModelUnavailable as error:
            log.warning("person_model_fallback", wanted="yolox_nano", used="ssd_oidv4", reason=str(error))
            return self.detector("ssd_oidv4")

    def face_detector(self, name: str = "yunet", size: tuple[int, int] | None = None) -> FaceDetector:
        """``yunet`` or ``centerface`` at any ``size`` (width, height) of multiples of 32."""

        def make() -> FaceDetector:
            model, path = find(name), self.store.get(name).paths["model"]
            shape = size or model.options.get("size", (0, 0))
            match model.adapter:
                case "yunet":
                    return YuNet(self.engine, path, name=name, size=shape)
                case "centerface":
                    return CenterFace(self.engine, path, name=name, size=shape)
                case _:
                    raise ModelUnavailable(f"{name} is no face detector ({model.role})")

        return self._once(("faces", name, size), make)

    def embedder(self, name: str = "face_reidentification_retail_0095") -> Embedder:
        """A face embedder."""

        def make() -> Embedder:
            model, paths = find(name), self.store.get(name).paths
            match model.adapter:
                case "embedding":
                    return Retail0095(self.engine, paths["model"], paths["weights"], name=name)
                case "faceapi_recognition":
                    return FaceApiRecognition(self.engine, paths["model"], paths["manifest"], name=name)
                case _:
                    raise ModelUnavailable(f"{name} is no face embedder ({model.role})")

        return self._once(("embedder", name), make)

    def person_reid(self, name: str = "person_reidentification_retail_0287") -> PersonReid:
        """Vectors of whole persons, for linking tracks."""

        def make() -> PersonReid:
            paths = self.store.get(name).paths
            return PersonReid(self.engine, paths["model"], paths["weights"], name=name)

        return self._once(("reid", name), make)

    def landmarks68(self) -> Landmarks68:
        """68 points of a face."""
        return self._once("landmarks68", lambda: Landmarks68(self.engine, *self._face_api("faceapi_landmarks68")))

    def age_gender(self) -> AgeGenderNet:
        """Age and gender of a face."""
        return self._once("age_gender", lambda: AgeGenderNet(self.engine, *self._face_api("faceapi_age_gender")))

    def expression(self) -> ExpressionNet:
        """Expression of a face."""
        return self._once("expression", lambda: ExpressionNet(self.engine, *self._face_api("faceapi_expression")))

    def _face_api(self, name: str) -> tuple[Path, Path]:
        paths = self.store.get(name).paths
        return paths["model"], paths["manifest"]

    def _detector(self, name: str, size: tuple[int, int] | None) -> Detector:
        model = find(name)
        path = self.store.get(name).paths["model"]
        names = tuple(model.options.get("names", ()))
        match model.adapter:
            case "yolox":
                return Yolox(self.engine, path, name=name, size=size or YOLOX_SIZE, names=names)
            case "ssd_tflite":
                return SsdTflite(self.engine, path, name=name, names=names)
            case "deimv2":
                return Deimv2(self.engine, path, name=name, size=model.options["size"], names=names)
            case "mobile_localizer":
                return MobileObjectLocalizer(self.engine, path, name=name)
            case "ssd_detection_output":
                return SsdDetectionOutput(self.engine, path, name=name, size=model.options["size"], names=names)
            case _:
                raise ModelUnavailable(f"{name} is no detector of objects ({model.role})")

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return cast(T, self._made[key])


def open_zoo(settings: ModelSettings | None = None, *, workers: int = 2) -> ModelZoo:
    """The zoo of one process. ``workers``: how many threads will infer at the same time."""
    settings = settings or ModelSettings()
    engine = Engine(device=settings.device, precision=settings.precision, workers=workers)
    return ModelZoo(ModelStore(mirror=settings.mirror), engine)
