"""From a model's name to a ready adapter, made once and shared by everybody in the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar, cast

import structlog

from streamproc.config.model_settings import ModelSettings, Profile
from streamproc.contracts import Classifier, Detector, Embedder, FaceDetector
from streamproc.core.errors import ModelUnavailable
from streamproc.vision.adapters.attributes import AgeGenderNet, ExpressionNet, Landmarks68
from streamproc.vision.adapters.classifier import EfficientNetLite0, ImagenetClassifier, read_labels
from streamproc.vision.adapters.deimv2 import Deimv2
from streamproc.vision.adapters.embedders import FaceApiRecognition, PersonReid, Retail0095
from streamproc.vision.adapters.embedding_bank import EmbeddingBank, read_bank
from streamproc.vision.adapters.faces import CenterFace, YuNet
from streamproc.vision.adapters.localizer import MobileObjectLocalizer
from streamproc.vision.adapters.nanodet import Nanodet
from streamproc.vision.adapters.openmodelzoo import BoxesLabels, SsdDetectionOutput
from streamproc.vision.adapters.ssd_tflite import SsdTflite
from streamproc.vision.adapters.yolox import Yolox
from streamproc.vision.catalogue import Model
from streamproc.vision.compiled import CompiledModels
from streamproc.vision.engine import Engine
from streamproc.vision.names import COCO, OPEN_IMAGES_24
from streamproc.vision.profiles import alternatives, profile
from streamproc.vision.store import ModelStore

log = structlog.get_logger(__name__)
T = TypeVar("T")
_TOLD: set[str] = set()
"""Models of which this process said that they cannot be had. Once is enough, however many zoos there are."""
Size = tuple[int, int]


class ModelZoo:
    """Adapters by model name. Thread-safe; every adapter may be used from any thread.

    Whatever is asked for by name raises NotFound for an unknown name and ModelUnavailable where its files cannot be had.
    """

    def __init__(self, store: ModelStore, engine: Engine, profiles: Mapping[str, Profile] | None = None) -> None:
        self.store = store
        self.engine = engine
        self._profiles = dict(profiles or {})
        self._lock = threading.RLock()
        self._made: dict[Hashable, object] = {}

    def profile(self, name: str = "default") -> Profile:
        """Which models play which part. Raises InputError for an unknown name."""
        return profile(name, self._profiles)

    def detector(self, name: str, size: Size | None = None) -> Detector:
        """An object or proposal detector. ``size`` (width, height) is for models that take any."""
        return self._once(("detector", name, size), lambda: self._detector(name, size))

    def first(self, names: Iterable[str], size: Size | None = None) -> Detector:
        """The first detector that can be had; a second choice is logged. Raises ModelUnavailable with every reason."""
        wanted = tuple(names)
        return self.detector(self._once(("first", wanted), lambda: self.first_name(wanted)), size)

    def present(self, name: str) -> bool:
        """Whether the model's files are on this disk, so that using it fetches nothing."""
        return self.store.present(name)

    def those_had(self, names: Iterable[str | tuple[str, ...]], size: Size | None = None) -> list[Detector]:
        """The detectors that can be had, perhaps none; of an entry with alternatives the first. What is missing is logged."""
        found: dict[str, Detector] = {}
        for entry in names:
            try:
                detector = self.first(alternatives(entry), size)
            except ModelUnavailable:
                continue
            found.setdefault(detector.name, detector)
        return list(found.values())

    def first_name(self, names: Iterable[str]) -> str:
        """The first model whose files can be had. Raises ModelUnavailable with every reason."""
        missing: dict[str, str] = {}
        for name in names:
            try:
                self.store.get(name)
            except ModelUnavailable as error:
                missing[name] = str(error)
                continue
            self._say_missing(missing, name)
            return name
        self._say_missing(missing, None)
        raise ModelUnavailable(" | ".join(missing.values()) or "no model is named")

    def _say_missing(self, missing: Mapping[str, str], used: str | None) -> None:
        """One line for each model, once: who sees it wants to know what does the work, not which hosts were asked."""
        for name, reason in missing.items():
            if name not in _TOLD:
                _TOLD.add(name)
                log.debug("model_unavailable", model=name, reason=reason)
                log.warning("model_missing", model=name, used=used, why="streamproc doctor says")

    def person_detector(self, size: Size | None = None) -> Detector:
        """YOLOX-Nano; NanoDet-g where it cannot be had, or the SSD (which finds under half the people)."""
        return self.first(self.profile().person, size)

    def classifier(self, name: str = "mobilenet_v2") -> Classifier:
        """An image classifier."""

        def make() -> Classifier:
            model, paths = self._entry(name, "classifier", "efficientnet_lite")
            names = model.options.get("names") or (read_labels(paths["labels"]) if "labels" in paths else ())
            kind = EfficientNetLite0 if model.adapter == "efficientnet_lite" else ImagenetClassifier
            return kind(self.engine, paths["model"], name=name, names=names)

        return self._once(("classifier", name), make)

    def first_classifier(self, names: Iterable[str]) -> Classifier:
        """The first classifier that can be had; a second choice is logged. Raises ModelUnavailable with every reason."""
        wanted = tuple(names)
        return self.classifier(self._once(("first", wanted), lambda: self.first_name(wanted)))

    def word_bank(self, name: str) -> EmbeddingBank:
        """A user's own words. Raises InputError for a bank file that is none."""

        def make() -> EmbeddingBank:
            model, paths = self._entry(name, "embedding_bank")
            size = model.options.get("size") or self.engine.input_size(paths["model"])
            return EmbeddingBank(self.engine, paths["model"], read_bank(paths["bank"]), name=name, size=size)

        return self._once(("bank", name), make)

    def face_detector(self, name: str = "yunet", size: Size | None = None) -> FaceDetector:
        """``yunet`` or ``centerface`` at any ``size`` (width, height) of multiples of 32."""

        def make() -> FaceDetector:
            model, paths = self._entry(name, "yunet", "centerface")
            kind = YuNet if model.adapter == "yunet" else CenterFace
            return kind(self.engine, paths["model"], name=name, size=size or model.options.get("size", (640, 384)))

        return self._once(("faces", name, size), make)

    def embedder(self, name: str = "face_reidentification_retail_0095") -> Embedder:
        """A face embedder."""

        def make() -> Embedder:
            model, paths = self._entry(name, "embedding", "faceapi_recognition")
            if model.adapter == "faceapi_recognition":
                return FaceApiRecognition(self.engine, paths["model"], paths["manifest"], name=name)
            return Retail0095(self.engine, paths["model"], paths.get("weights", paths["model"]), name=name)

        return self._once(("embedder", name), make)

    def person_reid(self, name: str = "person_reidentification_retail_0287") -> PersonReid:
        """Vectors of whole persons, for linking tracks."""

        def make() -> PersonReid:
            _, paths = self._entry(name, "person_embedding")
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

    def _entry(self, name: str, *adapters: str) -> tuple[Model, dict[str, Path]]:
        model = self.store.find(name)
        if model.adapter not in adapters:
            raise ModelUnavailable(f"{name} cannot do this: it is for {model.role}; name a model for the part")
        return model, self.store.get(name).paths

    def _detector(self, name: str, size: Size | None) -> Detector:
        model, paths = self._entry(name, *_DETECTORS)
        path = paths["model"]
        names = tuple(model.options.get("names") or (read_labels(paths["labels"]) if "labels" in paths else COCO))
        shape = model.options.get("size")
        match model.adapter:
            case "yolox":
                return Yolox(
                    self.engine, path, name=name, size=size or shape or self.engine.input_size(path), names=names
                )
            case "nanodet":
                files = (path, paths["weights"])
                scale = model.options.get("scale", 1.0)
                return Nanodet(
                    self.engine, files, name=name, size=size or shape or (640, 384), scale=scale, names=names
                )
            case "ssd_tflite":
                return SsdTflite(self.engine, path, name=name, names=OPEN_IMAGES_24 if names == COCO else names)
            case "deimv2":
                return Deimv2(self.engine, path, name=name, size=shape or self.engine.input_size(path), names=names)
            case "mobile_localizer":
                return MobileObjectLocalizer(self.engine, path, name=name)
            case "boxes_labels":
                return BoxesLabels(
                    self.engine, path, name=name, size=shape or self.engine.input_size(path), names=names
                )
            case _:
                return SsdDetectionOutput(
                    self.engine, path, name=name, size=shape or self.engine.input_size(path), names=names
                )

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is made already is had without waiting for somebody who is loading another model."""
        if key in self._made:
            return cast(T, self._made[key])
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return cast(T, self._made[key])


_DETECTORS = ("yolox", "nanodet", "ssd_tflite", "deimv2", "mobile_localizer", "boxes_labels", "ssd_detection_output")


def told_already(names: Iterable[str]) -> None:
    """Somebody else said in this process that these models cannot be had."""
    _TOLD.update(names)


def open_zoo(settings: ModelSettings | None = None, *, workers: int = 2) -> ModelZoo:
    """The zoo of one process. ``workers``: how many threads will infer at the same time."""
    settings = settings or ModelSettings()
    store = ModelStore(mirror=settings.mirror, own=settings.own)
    kept = CompiledModels(store.cache / ".compiled")
    engine = Engine(device=settings.device, precision=settings.precision, workers=workers, kept=kept)
    return ModelZoo(store, engine, settings.profiles)
