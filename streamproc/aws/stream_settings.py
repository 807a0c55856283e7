"""CreateStreamProcessor and UpdateStreamProcessor as processor documents, and back as DescribeStreamProcessor shows them.

What the client sent is kept in the document's ``aws`` part; the rest of the document is made from it anew at each start,
so a binding that was added in the meantime counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from shapely.geometry import Polygon

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver, Unbound
from streamproc.aws.faults import AwsFault, invalid_parameter
from streamproc.config.processor import (
    LABEL_CLASSES,
    SERVICE_MAX_DURATION_S,
    SERVICE_MAX_REGIONS,
    ConnectorRef,
    FaceSettings,
    LabelSettings,
    ProcessorConfig,
    SessionSettings,
)
from streamproc.config.regions import RegionSettings

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
_BOX_SIDES = ("Left", "Top", "Width", "Height")
_POLYGON_POINTS = range(3, 11)


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
    faults += region_faults(request.get("RegionsOfInterest") or (), "RegionsOfInterest")
    raise_all(faults)


def raise_all(faults: Sequence[str]) -> None:
    if faults:
        raise invalid_parameter(f"Request has invalid parameters. {'; '.join(faults)}.")


def _label_faults(labels: Sequence[str], path: str) -> list[str]:
    known = (*LABEL_CLASSES, "ALL")
    return [
        f"{path}[{index}] must be one of {', '.join(known)}" for index, label in enumerate(labels) if label not in known
    ]


def region_faults(regions: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """Each region is a box or a polygon, of ratios, and can be drawn. A polygon without area is let through, as the
    service does: it is said when the processor starts."""
    faults = []
    for index, region in enumerate(regions):
        here = f"{path}[{index}]"
        box, polygon = region.get("BoundingBox"), region.get("Polygon")
        if (box is None) == (polygon is None):
            faults.append(f"{here} must have exactly one of BoundingBox and Polygon")
            continue
        numbers: list[Any]
        if box is not None:
            numbers = [box.get(side) for side in _BOX_SIDES]
            words = f"{here}.BoundingBox must have Left, Top, Width and Height"
        else:
            assert polygon is not None
            if len(polygon) not in _POLYGON_POINTS:
                faults.append(f"{here}.Polygon must have 3 to 10 points")
                continue
            numbers = [point.get(axis) for point in polygon for axis in ("X", "Y")]
            words = f"{here}.Polygon's points must have X and Y"
        if any(number is None or not 0 <= number <= 1 for number in numbers):
            faults.append(f"{words} from 0 to 1")
        elif not _has_no_area(region):
            faults += _drawing_faults(region, here)
    return faults


def _drawing_faults(region: Mapping[str, Any], path: str) -> list[str]:
    try:
        _region_settings(region)
    except ValidationError as error:
        return [f"{path}: {fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()]
    return []


def _points(region: Mapping[str, Any]) -> list[tuple[float, float]]:
    return [(point["X"], point["Y"]) for point in region["Polygon"]]


def _has_no_area(region: Mapping[str, Any]) -> bool:
    if "BoundingBox" in region:
        return bool(region["BoundingBox"]["Width"] * region["BoundingBox"]["Height"] == 0)
    return bool(Polygon(_points(region)).convex_hull.area < 1e-9)


def _region_settings(region: Mapping[str, Any]) -> RegionSettings:
    if "BoundingBox" in region:
        box = region["BoundingBox"]
        return RegionSettings.model_validate({"box": {side.lower(): box[side] for side in _BOX_SIDES}})
    return RegionSettings.model_validate({"polygon": _points(region)})


def kept(request: Mapping[str, Any]) -> dict[str, Any]:
    """What Describe gives back."""
    return {name: request[name] for name in _KEPT if name in request}


def build(
    name: str, created: Mapping[str, Any], tags: Mapping[str, str], resolver: Resolver, max_duration_s: float
) -> ProcessorConfig:
    """The document for what a client created. What means nothing on this box makes it refuse to start, with the reason."""
    settings = created["Settings"]
    arn = created["Input"]["KinesisVideoStream"]["Arn"]
    problem: str | None = None
    try:
        source = resolver.video_stream(arn)
        outputs = _outputs(created, resolver)
        regions = _regions(created.get("RegionsOfInterest") or ())
    except Unbound as unbound:
        problem, outputs, regions = str(unbound), (), ()
        source = ConnectorRef.model_validate({"type": "unbound", "reason": problem})
    return ProcessorConfig(
        state="stopped",
        source=source,
        session=_session("FaceSearch" in settings, max_duration_s),
        labels=_labels(settings.get("ConnectedHome")),
        faces=_faces(settings.get("FaceSearch")),
        regions=regions,
        allow_many_regions=len(regions) > SERVICE_MAX_REGIONS,
        outputs=outputs,
        tags=dict(tags),
        aws={"create": dict(created), "stream_arn": arn, "name": name},
    )


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


def _regions(drawn: Sequence[Mapping[str, Any]]) -> tuple[RegionSettings, ...]:
    # Nothing is ever more than half inside a region without area: it only matters where there is no other.
    regions = tuple(_region_settings(region) for region in drawn if not _has_no_area(region))
    if drawn and not regions:
        raise Unbound("RegionsOfInterest cover no area, nothing could ever be inside")
    return regions


def updated(created: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """``created`` with an UpdateStreamProcessor applied. Raises AwsFault."""
    home = dict(created["Settings"].get("ConnectedHome") or {})
    change = (request.get("SettingsForUpdate") or {}).get("ConnectedHomeForUpdate") or {}
    regions = request.get("RegionsOfInterestForUpdate")
    delete = set(request.get("ParametersToDelete") or ())
    faults = region_faults(regions or (), "RegionsOfInterestForUpdate")
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
        settings["FaceSearch"] = {"FaceMatchThreshold": DEFAULT_MATCH_THRESHOLD} | settings["FaceSearch"]
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
        settings["FaceSearch"] = {"CollectionId": faces.collection, "FaceMatchThreshold": faces.threshold}
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


def check_start(request: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """(where the source begins, what notifications repeat) of a StartStreamProcessor. Raises AwsFault."""
    at: dict[str, Any] | None = None
    echo: dict[str, Any] = {"name": request["Name"]}
    if "StartSelector" in request:
        selector = request["StartSelector"].get("KVSStreamStartSelector") or {}
        if len(selector) != 1:
            raise _one_selector()
        if "FragmentNumber" in selector:
            at = {"fragment": selector["FragmentNumber"]}
            inner: dict[str, Any] = {"fragmentNumber": selector["FragmentNumber"]}
        else:
            at = {"timestamp": selector["ProducerTimestamp"] / 1000}
            inner = {"producerTimestamp": selector["ProducerTimestamp"]}
        echo["startSelector"] = {"kvsStreamStartSelector": inner}
    stop = (request.get("StopSelector") or {}).get("MaxDurationInSeconds")
    if stop is not None:
        echo["stopSelector"] = {"maxDurationInSeconds": stop}
    return at, echo


def _one_selector() -> AwsFault:
    return invalid_parameter(
        "Request has invalid parameters. StartSelector.KVSStreamStartSelector must have exactly one of ProducerTimestamp "
        "and FragmentNumber."
    )
