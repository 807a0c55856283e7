"""From a processor's document to the objects that run it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from connectors.catalog import settings_class
from connectors.context import ConnectorContext
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.regions import to_regions
from streamproc.core.start import StartRequest
from streamproc.logic.hours import Hours
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler, staggered_phase
from streamproc.logic.session import SessionRules
from streamproc.media.mask import PrivacyMask
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.analysis import Analysis
from streamproc.pipeline.face_analysis import FaceAnalysis
from streamproc.pipeline.label_analysis import LabelAnalysis


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


def make_hours(config: ProcessorConfig) -> Hours:
    """When the document wants anything announced, and where."""
    names = [region.name for region in to_regions(config.regions)]
    schedules = {
        name: region.schedule.schedule()
        for name, region in zip(names, config.regions, strict=True)
        if region.schedule is not None
    }
    return Hours(config.schedule.schedule() if config.schedule is not None else None, schedules)


def make_mask(config: ProcessorConfig) -> PrivacyMask:
    """What nobody is to see of the pictures, and where in them movement counts."""
    return PrivacyMask([mask.points for mask in config.masks], [region.points for region in config.regions])


def make_analyses(
    config: ProcessorConfig, provider: ModelProvider, stagger: int | None = None, hours: Hours | None = None
) -> list[Analysis]:
    """What the document looks for. ``stagger``: the feed's number among the live ones; None for durable feeds, whose frames
    are chosen the same on every run. ``hours``: when anything is announced; the document's own where left out."""
    regions = RegionMap(to_regions(config.regions))
    analyses: list[Analysis] = []
    if config.labels is not None:
        sampler = make_sampler(config.labels.fps, stagger)
        small = partial(provider.small_models, config.labels)
        analyses.append(LabelAnalysis(provider.label_perceiver(config.labels), config.labels, sampler, regions, small))
    if config.faces is not None:
        sampler = make_sampler(config.faces.fps, stagger)
        analyses.append(FaceAnalysis(provider.face_perceiver(config.faces), config.faces, sampler, regions))
    shared = hours or make_hours(config)
    for each in analyses:
        each.hours = shared  # all of a processor's analyses hear of an override together
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
        analysis.hours.adopt(make_hours(config))
        settings = config.labels if isinstance(analysis, LabelAnalysis) else config.faces
        if settings is None:
            continue
        if isinstance(analysis, LabelAnalysis | FaceAnalysis):
            analysis.regions = regions
            analysis.set_rate(settings.fps)
        if isinstance(analysis, FaceAnalysis) and config.faces is not None:
            analysis.blur_unknown = config.faces.blur_unknown
        if isinstance(analysis, LabelAnalysis) and config.labels is not None:
            analysis.min_confidence = config.labels.min_confidence


def same_perception(before: ProcessorConfig, after: ProcessorConfig) -> bool:
    """Do both look for the same with the same models, so that what is followed now can go on being followed?"""
    return _perceiver(before) == _perceiver(after)


def _perceiver(config: ProcessorConfig) -> tuple[object, object]:
    labels, faces = config.labels, config.faces
    return (
        labels.model_copy(update={"min_confidence": 0.0, "fps": 1.0}) if labels is not None else None,
        faces.model_copy(update={"fps": 1.0, "blur_unknown": False}) if faces is not None else None,
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
