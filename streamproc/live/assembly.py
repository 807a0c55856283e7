"""From a processor's document to the objects that run it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.catalog import settings_class
from connectors.context import ConnectorContext
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, FaceSettings, LabelSettings, ProcessorConfig
from streamproc.config.regions import to_regions
from streamproc.core.start import StartRequest
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler, staggered_phase
from streamproc.logic.session import SessionRules
from streamproc.pipeline.analysis import Analysis, FaceAnalysis, FacePerceiver, LabelAnalysis, LabelPerceiver

if TYPE_CHECKING:
    from streamproc.faces.service import FaceService
    from streamproc.perception.label_models import LabelModels
    from streamproc.vision.zoo import ModelZoo


@dataclass
class ModelProvider:
    """What looks at frames, made on first use and shared by every processor: models, face collections."""

    node: NodeConfig
    data_dir: Path
    workers: int = 1
    """How many threads will infer at the same time."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _zoo: ModelZoo | None = None
    _faces: FaceService | None = None

    @property
    def zoo(self) -> ModelZoo:
        with self._lock:
            if self._zoo is None:
                from streamproc.vision.zoo import open_zoo  # OpenVINO takes a second to import

                self._zoo = open_zoo(self.node.models, workers=self.workers)
            return self._zoo

    @property
    def faces(self) -> FaceService:
        zoo = self.zoo
        with self._lock:
            if self._faces is None:
                from streamproc.faces.service import open_service

                self._faces = open_service(self.data_dir, self.node, zoo)
            return self._faces

    def label_perceiver(self, settings: LabelSettings) -> LabelPerceiver:
        """Raises ModelUnavailable where no model for an asked class can be had."""
        from streamproc.perception.label_models import load_models
        from streamproc.perception.label_perception import LabelPerception

        return LabelPerception(settings, load_models(self.zoo, settings.classes, settings.profile))

    def small_models(self, settings: LabelSettings) -> LabelModels | None:
        """Cheaper models for the same classes, loaded; None where there are none or they are not on this disk yet.

        A profile of the user's own is what they chose for this node, so it has a smaller one only if they named one ``small``.
        """
        from streamproc.perception.label_models import load_small_models

        mine = settings.profile in self.node.models.profiles and "small" not in self.node.models.profiles
        return None if mine else load_small_models(self.zoo, settings.classes)

    def face_perceiver(self, settings: FaceSettings) -> FacePerceiver:
        """Raises NotFound where there is no such collection."""
        from streamproc.faces.perception import FacePerception

        return FacePerception(settings, self.faces)


def session_rules(config: ProcessorConfig, request: StartRequest | None = None) -> SessionRules:
    """What the document (and this one Start) say about the session."""
    session = config.session
    seconds = session.duration if request is None or request.duration_s is None else request.duration_s
    return SessionRules(
        session.mode,
        exact(seconds) if seconds > 0 else None,
        exact(session.gone_after),
        config.labels.classes if config.labels is not None else (),
    )


def exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)


def make_analyses(config: ProcessorConfig, provider: ModelProvider, stagger: int | None = None) -> list[Analysis]:
    """What the document looks for. ``stagger``: the feed's number among the live ones; None for durable feeds, whose frames
    are chosen the same on every run."""
    regions = RegionMap(to_regions(config.regions))
    analyses: list[Analysis] = []
    if config.labels is not None:
        sampler = make_sampler(config.labels.fps, stagger)
        small = partial(provider.small_models, config.labels)
        analyses.append(LabelAnalysis(provider.label_perceiver(config.labels), config.labels, sampler, regions, small))
    if config.faces is not None:
        sampler = make_sampler(config.faces.fps, stagger)
        analyses.append(FaceAnalysis(provider.face_perceiver(config.faces), config.faces, sampler, regions))
    return analyses


def make_sampler(fps: float, stagger: int | None) -> Sampler:
    sampler = Sampler(fps)
    if stagger is not None:
        sampler.phase = staggered_phase(stagger, sampler.fps)
    return sampler


def retune(analyses: Sequence[Analysis], config: ProcessorConfig) -> None:
    """Apply what needs no other models: confidence, regions, rate."""
    regions = RegionMap(to_regions(config.regions))
    for analysis in analyses:
        settings = config.labels if isinstance(analysis, LabelAnalysis) else config.faces
        if settings is None:
            continue
        if isinstance(analysis, LabelAnalysis | FaceAnalysis):
            analysis.regions = regions
            analysis.set_rate(settings.fps)
        if isinstance(analysis, LabelAnalysis) and config.labels is not None:
            analysis.min_confidence = config.labels.min_confidence


def same_perception(before: ProcessorConfig, after: ProcessorConfig) -> bool:
    """Do both look for the same with the same models, so that what is followed now can go on being followed?"""
    return _perceiver(before) == _perceiver(after)


def _perceiver(config: ProcessorConfig) -> tuple[object, object]:
    labels, faces = config.labels, config.faces
    return (
        labels.model_copy(update={"min_confidence": 0.0, "fps": 1.0}) if labels is not None else None,
        faces.model_copy(update={"fps": 1.0}) if faces is not None else None,
    )


def connector_context(node: NodeConfig, name: str, base_dir: Path, data_dir: Path, node_id: str) -> ConnectorContext:
    return ConnectorContext(
        processor=name,
        base_dir=base_dir,
        data_dir=data_dir,
        node_id=node_id,
        region=node.aws.region,
        endpoint_url=node.aws.endpoint_url,
        account=node.aws.account,
    )


def with_start(config: ProcessorConfig, request: StartRequest) -> ProcessorConfig:
    """The document as this one Start wants it: where a source begins whose settings have a ``start``."""
    if request.at is None or "start" not in settings_class(config.source.type, "source").model_fields:
        return config
    options = {**config.source.options, "start": dict(request.at)}
    source = ConnectorRef.model_validate({"type": config.source.type, **options})
    return config.model_copy(update={"source": source})
