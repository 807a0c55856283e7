"""The models and face collections of one process, lent to live feeds, stored-video jobs and single pictures alike.

Everything is made on first use: OpenVINO takes a second to import, and a job for segments needs none of it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.config.node import NodeConfig
from streamproc.config.processor import FaceSettings, LabelSettings
from streamproc.core.errors import ModelUnavailable
from streamproc.perception.beside import Beside, Help
from streamproc.perception.objects import ObjectModels

if TYPE_CHECKING:
    from streamproc.faces.perception import FacePerception
    from streamproc.faces.service import FaceService
    from streamproc.perception.label_models import LabelModels
    from streamproc.perception.label_perception import LabelPerception
    from streamproc.perception.picture_claims import LabelFinder
    from streamproc.vision.zoo import ModelZoo


@dataclass
class ModelProvider:
    """Models by the node's settings, each loaded once. Any thread."""

    node: NodeConfig
    data_dir: Path
    """Where the face collections are."""
    workers: int = 1
    """How many threads will infer at the same time."""
    help_with: Help = lambda work: False
    """Has a worker that is idle take over part of a live feed's look."""
    objects: ObjectModels = field(init=False)
    """The detectors for labels of stored video and single pictures."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _zoo: ModelZoo | None = None
    _faces: FaceService | None = None
    _words: tuple[LabelFinder, ...] | None = None

    def __post_init__(self) -> None:
        self.objects = ObjectModels(lambda: self.zoo)

    @property
    def zoo(self) -> ModelZoo:
        with self._lock:
            if self._zoo is None:
                from streamproc.vision.zoo import open_zoo

                self._zoo = open_zoo(self.node.models, workers=self.workers)
            return self._zoo

    @property
    def faces(self) -> FaceService:
        """The face collections of the data directory. Raises InputError for a wrong key file."""
        zoo = self.zoo
        with self._lock:
            if self._faces is None:
                from streamproc.faces.service import open_service

                self._faces = open_service(self.data_dir, self.node, zoo)
            return self._faces

    @property
    def words(self) -> tuple[LabelFinder, ...]:
        """Labels by the node's classifier, where a calibrated one can be had, and by the user's own banks.

        Raises InputError for a bank that cannot be read.
        """
        zoo = self.zoo
        with self._lock:
            if self._words is None:
                self._words = self._label_finders(zoo)
            return self._words

    def _label_finders(self, zoo: ModelZoo) -> tuple[LabelFinder, ...]:
        from streamproc.perception.bank_finder import BankFinder
        from streamproc.perception.word_finder import word_finder

        banks = [name for name, own in self.node.models.own.items() if own.adapter == "embedding_bank"]
        own = [BankFinder(zoo.word_bank(name)) for name in banks]
        try:
            finder = word_finder(zoo.first_classifier(zoo.profile().verifier))
        except ModelUnavailable:
            finder = None
        return (*([finder] if finder is not None else []), *own)

    def label_perceiver(self, settings: LabelSettings) -> LabelPerception:
        """Raises ModelUnavailable where no model for an asked class can be had."""
        from streamproc.perception.label_models import load_models
        from streamproc.perception.label_perception import LabelPerception

        models = load_models(self.zoo, settings.classes, settings.profile)
        return LabelPerception(settings, models, beside=Beside(self.help_with))

    def small_models(self, settings: LabelSettings) -> LabelModels | None:
        """Cheaper models for the same classes, loaded; None where there are none or they are not on this disk yet.

        A profile of the user's own is what they chose for this node, so it has a smaller one only if they named one ``small``.
        """
        from streamproc.perception.label_models import load_small_models

        mine = settings.profile in self.node.models.profiles and "small" not in self.node.models.profiles
        return None if mine else load_small_models(self.zoo, settings.classes)

    def face_perceiver(self, settings: FaceSettings) -> FacePerception:
        """Raises NotFound where there is no such collection."""
        from streamproc.faces.perception import FacePerception

        return FacePerception(settings, self.faces.engine)

    def close(self) -> None:
        """Let the threads of ``objects`` go."""
        self.objects.close()
