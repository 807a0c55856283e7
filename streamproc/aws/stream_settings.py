"""What a client may say of a stream processor, beyond the shapes; and what DescribeStreamProcessor shows of it.

What the client sent is kept in the document's ``aws`` part; ``stream_builder`` makes the rest of the document from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamproc.aws import stream_regions
from streamproc.aws.arns import Arns
from streamproc.aws.faults import invalid_parameter
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.processor import (
    LABEL_CLASSES,
    ProcessorConfig,
)

DEFAULT_MIN_CONFIDENCE = 50.0
DEFAULT_MATCH_THRESHOLD = 80.0
DEFAULT_DURATION_S = 10
_KEPT = (
    "Input",
    "Output",
    "RoleArn",
    "Settings",
    "NotificationChannel",
    "KmsKeyId",
    "RegionsOfInterest",
    "DataSharingPreference",
)


def check_create(request: Mapping[str, Any]) -> None:
    """What the shapes cannot say: which settings, inputs and outputs go together. Raises AwsFault with every fault."""
    faults: list[str] = []
    settings, output = request["Settings"], request["Output"]
    home, search = settings.get("ConnectedHome"), settings.get("FaceSearch")
    if not (request["Input"].get("KinesisVideoStream") or {}).get("Arn"):
        faults.append("Input.KinesisVideoStream.Arn is required")
    if (home is None) == (search is None):
        faults.append("Settings must have exactly one of ConnectedHome and FaceSearch")
    elif home is not None:
        faults += _label_faults(home["Labels"], "Settings.ConnectedHome.Labels")
        if not (output.get("S3Destination") or {}).get("Bucket") or "KinesisDataStream" in output:
            faults.append("Settings.ConnectedHome goes with Output.S3Destination.Bucket and no other output")
        if "NotificationChannel" not in request:
            faults.append("Settings.ConnectedHome requires NotificationChannel.SNSTopicArn")
    elif search is not None:
        if "CollectionId" not in search:
            faults.append("Settings.FaceSearch.CollectionId is required")
        if not (output.get("KinesisDataStream") or {}).get("Arn") or "S3Destination" in output:
            faults.append("Settings.FaceSearch goes with Output.KinesisDataStream.Arn and no other output")
    faults += stream_regions.region_faults(request.get("RegionsOfInterest") or (), "RegionsOfInterest")
    raise_all(faults)


def raise_all(faults: Sequence[str]) -> None:
    if faults:
        raise invalid_parameter(f"Request has invalid parameters. {'; '.join(faults)}.")


def _label_faults(labels: Sequence[str], path: str) -> list[str]:
    known = (*LABEL_CLASSES, "ALL")
    return [
        f"{path}[{index}] must be one of {', '.join(known)}" for index, label in enumerate(labels) if label not in known
    ]


def kept(request: Mapping[str, Any]) -> dict[str, Any]:
    """What Describe gives back."""
    return {name: request[name] for name in _KEPT if name in request}


def updated(created: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """``created`` with an UpdateStreamProcessor applied. Raises AwsFault."""
    home = dict(created["Settings"].get("ConnectedHome") or {})
    change = (request.get("SettingsForUpdate") or {}).get("ConnectedHomeForUpdate") or {}
    regions = request.get("RegionsOfInterestForUpdate")
    delete = set(request.get("ParametersToDelete") or ())
    faults = stream_regions.region_faults(regions or (), "RegionsOfInterestForUpdate")
    faults += _label_faults(change.get("Labels", ()), "SettingsForUpdate.ConnectedHomeForUpdate.Labels")
    if "ConnectedHomeMinConfidence" in delete and "MinConfidence" in change:
        faults.append("MinConfidence cannot be both given and in ParametersToDelete")
    if "RegionsOfInterest" in delete and regions:
        faults.append("RegionsOfInterest cannot be both given and in ParametersToDelete")
    raise_all(faults)
    result = dict(created)
    home |= change
    if "ConnectedHomeMinConfidence" in delete:
        home.pop("MinConfidence", None)
    result["Settings"] = {"ConnectedHome": home}
    if regions is not None:
        result["RegionsOfInterest"] = regions
    if "RegionsOfInterest" in delete:
        result.pop("RegionsOfInterest", None)
    if "DataSharingPreferenceForUpdate" in request:
        result["DataSharingPreference"] = request["DataSharingPreferenceForUpdate"]
    return result


def describe(name: str, config: ProcessorConfig, arns: Arns) -> dict[str, Any]:
    """The settings part of DescribeStreamProcessor."""
    created = config.aws.get("create")
    shown = dict(created) if created is not None else _from_document(name, config, arns)
    settings = dict(shown["Settings"])
    if "ConnectedHome" in settings:
        settings["ConnectedHome"] = {"MinConfidence": DEFAULT_MIN_CONFIDENCE} | settings["ConnectedHome"]
    if "FaceSearch" in settings:
        given = settings["FaceSearch"].get("FaceMatchThreshold", DEFAULT_MATCH_THRESHOLD)
        # The service sets lower values to 80 (CreateStreamProcessor, FaceMatchThreshold), and says so.
        settings["FaceSearch"] = settings["FaceSearch"] | {"FaceMatchThreshold": max(given, DEFAULT_MATCH_THRESHOLD)}
    shown["Settings"] = settings
    shown.setdefault("DataSharingPreference", {"OptIn": False})
    return shown


def _from_document(name: str, config: ProcessorConfig, arns: Arns) -> dict[str, Any]:
    """A processor of a config file, told in the service's words as far as it has them."""
    settings: dict[str, Any] = {}
    output: dict[str, Any] = {}
    if config.labels is not None:
        labels = config.labels
        settings["ConnectedHome"] = {"Labels": list(labels.classes), "MinConfidence": labels.min_confidence}
    if config.faces is not None:
        faces = config.faces
        settings["FaceSearch"] = {"CollectionId": faces.collection, "FaceMatchThreshold": faces.effective_threshold}
        output["KinesisDataStream"] = {"Arn": arns.data_stream(name)}
    for ref in config.outputs:
        if ref.type == "s3":
            place = {"Bucket": ref.options.get("bucket"), "KeyPrefix": ref.options.get("prefix")}
            output["S3Destination"] = {key: value for key, value in place.items() if value}
    shown: dict[str, Any] = {
        "Input": {"KinesisVideoStream": {"Arn": arns.video_stream(name)}},
        "Output": output,
        "Settings": settings,
    }
    topic = next((ref.options.get("topic_arn") for ref in config.outputs if ref.type == "sns"), None)
    if topic:
        shown["NotificationChannel"] = {"SNSTopicArn": topic}
    if config.regions:
        shown["RegionsOfInterest"] = [
            {"Polygon": [{"X": x, "Y": y} for x, y in region.points]} for region in config.regions
        ]
    return shown


def check_start(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the source begins, of a StartStreamProcessor. Raises AwsFault."""
    if "StartSelector" in request:
        selector = request["StartSelector"].get("KVSStreamStartSelector") or {}
        if len(selector) != 1:
            raise _one_selector()
        if "FragmentNumber" in selector:
            return {"fragment": selector["FragmentNumber"]}
        return {"timestamp": selector["ProducerTimestamp"] / 1000}
    return None


def _one_selector() -> AwsFault:
    return invalid_parameter(
        "Request has invalid parameters. StartSelector.KVSStreamStartSelector must have exactly one of ProducerTimestamp "
        "and FragmentNumber."
    )
