"""From what a client created to a processor's document. Done anew at each start, so that a binding that came in the meantime
counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from streamproc.aws import stream_regions
from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver, Unbound
from streamproc.aws.faults import invalid_parameter
from streamproc.config.processor import (
    SERVICE_MAX_DURATION_S,
    SERVICE_MAX_REGIONS,
    ConnectorRef,
    FaceSettings,
    LabelSettings,
    ProcessorConfig,
    SessionSettings,
)

DEFAULT_MIN_CONFIDENCE = 50.0
DEFAULT_MATCH_THRESHOLD = 80.0
DEFAULT_DURATION_S = 10


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes documents on one box."""

    resolver: Resolver
    arns: Arns
    known_collection: Callable[[str], bool]
    max_duration_s: float

    def build(self, name: str, created: Mapping[str, Any], tags: Mapping[str, str]) -> ProcessorConfig:
        """The document for what a client created. What means nothing on this node makes it refuse to start, with the reason."""
        settings = created["Settings"]
        arn = created["Input"]["KinesisVideoStream"]["Arn"]
        problem: str | None = None
        try:
            if "FaceSearch" in settings and not self.known_collection(settings["FaceSearch"]["CollectionId"]):
                raise Unbound("Collection not found")
            source = self.resolver.video_stream(arn)
            outputs = _outputs(created, self.resolver)
            regions = stream_regions.to_settings(created.get("RegionsOfInterest") or ())
        except Unbound as unbound:
            problem, outputs, regions = str(unbound), (), ()
            source = ConnectorRef.model_validate({"type": "unbound", "reason": problem})
        return ProcessorConfig(
            state="stopped",
            source=source,
            session=_session("FaceSearch" in settings, self.max_duration_s),
            labels=_labels(settings.get("ConnectedHome")),
            faces=_faces(settings.get("FaceSearch")),
            regions=regions,
            allow_many_regions=len(regions) > SERVICE_MAX_REGIONS,
            outputs=outputs,
            tags=dict(tags),
            aws={"create": dict(created), "stream_arn": arn, "arn": self.arns.processor(name)},
        )


def edited(config: ProcessorConfig, changed: Mapping[str, Any], *, keep_regions: bool) -> ProcessorConfig:
    """A document of another maker with an update's labels, confidence and regions."""
    assert config.labels is not None
    home = changed["Settings"]["ConnectedHome"]
    labels = config.labels.model_copy(
        update={
            "classes": LabelSettings.model_validate({"classes": home["Labels"]}).classes,
            "min_confidence": home.get("MinConfidence", DEFAULT_MIN_CONFIDENCE),
        }
    )
    if keep_regions:
        return config.model_copy(update={"labels": labels})
    try:
        regions = stream_regions.to_settings(changed.get("RegionsOfInterest") or ())
    except Unbound as unbound:
        raise invalid_parameter(f"Request has invalid parameters. {unbound}.") from None
    many = config.allow_many_regions or len(regions) > SERVICE_MAX_REGIONS
    return config.model_copy(update={"labels": labels, "regions": regions, "allow_many_regions": many})


def _session(endless: bool, max_duration_s: float) -> SessionSettings:
    if endless:
        return SessionSettings(duration=0.0, allow_long=True)
    # The longest that a Start may ask for; the Start itself says how long.
    return SessionSettings(duration=DEFAULT_DURATION_S, allow_long=max_duration_s > SERVICE_MAX_DURATION_S)


def _labels(home: Mapping[str, Any] | None) -> LabelSettings | None:
    if home is None:
        return None
    return LabelSettings.model_validate(
        {"classes": home["Labels"], "min_confidence": home.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)}
    )


def _faces(search: Mapping[str, Any] | None) -> FaceSettings | None:
    if search is None:
        return None
    return FaceSettings(
        collection=search["CollectionId"], threshold=search.get("FaceMatchThreshold", DEFAULT_MATCH_THRESHOLD)
    )


def _outputs(created: Mapping[str, Any], resolver: Resolver) -> tuple[ConnectorRef, ...]:
    output = created["Output"]
    if "KinesisDataStream" in output:
        return (resolver.data_stream(output["KinesisDataStream"]["Arn"]),)
    destination = output["S3Destination"]
    pictures = resolver.bucket(destination["Bucket"], destination.get("KeyPrefix", ""), created.get("KmsKeyId"))
    return (pictures, resolver.topic(created["NotificationChannel"]["SNSTopicArn"]))
