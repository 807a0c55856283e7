"""The life of stream processors through boto3: texts, states and limits are the service's."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.config.processor import ProcessorConfig
from tests.aws.memory import MemoryProcessors
from tests.builders.requests import BOX, HOME, POINT, SEARCH, SELECTOR, STREAM, TRIANGLE, refused


def test_label_processor_life(rekognition: Any, processors: MemoryProcessors) -> None:
    arn = rekognition.create_stream_processor(
        Name="porch", Tags={"site": "home"}, RegionsOfInterest=[BOX], KmsKeyId="alias/door", **HOME
    )
    assert arn["StreamProcessorArn"] == "arn:aws:rekognition:us-east-1:123456789012:streamprocessor/porch"
    found = rekognition.describe_stream_processor(Name="porch")
    assert found["Status"] == "STOPPED" and "StatusMessage" not in found and "Tags" not in found
    assert found["Settings"] == {"ConnectedHome": {"Labels": ["PERSON", "PET"], "MinConfidence": 50.0}}
    assert found["RegionsOfInterest"] == [BOX] and found["DataSharingPreference"] == {"OptIn": False}
    assert found["KmsKeyId"] == "alias/door"
    for part in ("Input", "Output", "NotificationChannel", "RoleArn"):
        assert found[part] == HOME[part]

    started = rekognition.start_stream_processor(
        Name="porch", StartSelector=SELECTOR, StopSelector={"MaxDurationInSeconds": 30}
    )
    assert started["SessionId"]
    name, request = processors.starts[-1]
    assert (name, request.duration_s, request.at) == ("porch", 30, {"timestamp": 1655930623.123})
    assert request.echo == {"Name": "porch", "StartSelector": SELECTOR, "StopSelector": {"MaxDurationInSeconds": 30}}
    processors.run("porch")
    assert rekognition.describe_stream_processor(Name="porch")["Status"] == "STARTING"
    assert rekognition.list_stream_processors()["StreamProcessors"] == [{"Name": "porch", "Status": "STARTING"}]
    assert refused(rekognition.start_stream_processor, Name="porch")[1] == "Specified resource is in use."
    assert refused(rekognition.update_stream_processor, Name="porch")[0] == "ResourceInUseException"
    rekognition.stop_stream_processor(Name="porch")
    assert refused(rekognition.stop_stream_processor, Name="porch") == (
        "ResourceInUseException",
        "Processor not available for stopping stream.",
    )
    rekognition.start_stream_processor(Name="porch")
    assert processors.starts[-1][1].duration_s == 10
    rekognition.delete_stream_processor(Name="porch")  # from STARTING, as the service tells users to
    assert refused(rekognition.describe_stream_processor, Name="porch")[0] == "ResourceNotFoundException"


def test_face_search_life(rekognition: Any, processors: MemoryProcessors) -> None:
    rekognition.create_stream_processor(Name="door", RegionsOfInterest=[BOX, TRIANGLE], **SEARCH)
    answer = rekognition.start_stream_processor(Name="door")
    assert "SessionId" not in answer
    assert processors.starts[-1][1].duration_s is None
    assert rekognition.describe_stream_processor(Name="door")["Status"] == "STARTING"
    processors.run("door")
    found = rekognition.describe_stream_processor(Name="door")
    assert found["Status"] == "RUNNING" and found["RegionsOfInterest"] == [BOX, TRIANGLE]
    assert found["Settings"]["FaceSearch"]["FaceMatchThreshold"] == 80.0, (
        "lower values are set to 80, as the service does"
    )
    assert processors.rows["door"].config.faces.effective_threshold == 80.0  # type: ignore[union-attr]
    assert processors.rows["door"].config.session.duration == 0
    assert refused(rekognition.delete_stream_processor, Name="door")[1] == "Cannot delete stream processor."
    rekognition.stop_stream_processor(Name="door")
    assert refused(rekognition.update_stream_processor, Name="door")[0] == "InvalidParameterException"


def test_update(rekognition: Any, processors: MemoryProcessors) -> None:
    rekognition.create_stream_processor(Name="porch", RegionsOfInterest=[BOX], **HOME)
    rekognition.update_stream_processor(
        Name="porch",
        SettingsForUpdate={"ConnectedHomeForUpdate": {"Labels": ["ALL"], "MinConfidence": 80.0}},
        DataSharingPreferenceForUpdate={"OptIn": True},
        ParametersToDelete=[],
    )
    found = rekognition.describe_stream_processor(Name="porch")
    assert found["Settings"]["ConnectedHome"] == {"Labels": ["ALL"], "MinConfidence": 80.0}
    assert found["RegionsOfInterest"] == [BOX] and found["DataSharingPreference"] == {"OptIn": True}
    labels = processors.rows["porch"].config.labels
    assert labels is not None and labels.min_confidence == 80 and len(labels.classes) == 3
    rekognition.update_stream_processor(
        Name="porch",
        ParametersToDelete=["ConnectedHomeMinConfidence", "RegionsOfInterest"],
        RegionsOfInterestForUpdate=[],
    )
    found = rekognition.describe_stream_processor(Name="porch")
    assert found["Settings"]["ConnectedHome"] == {"Labels": ["ALL"], "MinConfidence": 50.0}
    assert "RegionsOfInterest" not in found and processors.rows["porch"].config.regions == ()


async def test_a_processor_of_the_control_api(rekognition: Any, processors: MemoryProcessors) -> None:
    document = {
        "source": {"type": "rtsp", "url": "rtsp://127.0.0.1:1/cam"},
        "labels": {"classes": ["PERSON"], "min_confidence": 70, "fps": 3},
        "regions": [{"name": "porch", "box": {"left": 0.1, "top": 0.1, "width": 0.5, "height": 0.5}}],
    }
    await processors.create("own", ProcessorConfig.model_validate(document))
    found = rekognition.describe_stream_processor(Name="own")
    assert found["Settings"]["ConnectedHome"] == {"Labels": ["PERSON"], "MinConfidence": 70.0}
    assert len(found["RegionsOfInterest"][0]["Polygon"]) == 4
    rekognition.update_stream_processor(
        Name="own", SettingsForUpdate={"ConnectedHomeForUpdate": {"MinConfidence": 75.0}}
    )
    assert processors.rows["own"].config.regions[0].name == "porch"
    rekognition.update_stream_processor(
        Name="own",
        SettingsForUpdate={"ConnectedHomeForUpdate": {"Labels": ["PET"]}},
        RegionsOfInterestForUpdate=[TRIANGLE],
    )
    config = processors.rows["own"].config
    assert config.labels is not None and (config.labels.classes, config.labels.fps) == (("PET",), 3)
    assert config.labels.min_confidence == 75 and len(config.regions[0].points) == 3
    assert config.source.type == "rtsp"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Settings": {}}, "exactly one of ConnectedHome and FaceSearch"),
        ({"Settings": HOME["Settings"] | SEARCH["Settings"]}, "exactly one"),
        ({"Output": SEARCH["Output"]}, "S3Destination"),
        ({"Output": HOME["Output"] | SEARCH["Output"]}, "no other output"),
        ({"Settings": SEARCH["Settings"]}, "KinesisDataStream"),
        ({"NotificationChannel": None}, "NotificationChannel"),
        ({"Settings": {"ConnectedHome": {"Labels": ["CAR"]}}}, r"Labels[0] must be one of PERSON"),
        ({"Settings": {"ConnectedHome": {"Labels": ["PERSON"], "MinConfidence": 200.0}}}, "MinConfidence"),
        ({"Input": {}}, "Input.KinesisVideoStream.Arn"),
        ({"RegionsOfInterest": [{}]}, "RegionsOfInterest[0] must have exactly one"),
        ({"RegionsOfInterest": [BOX | TRIANGLE]}, "RegionsOfInterest[0] must have exactly one"),
        ({"RegionsOfInterest": [{"Polygon": [POINT] * 2}]}, "3 to 10 points"),
        ({"RegionsOfInterest": [{"Polygon": [POINT] * 11}]}, "3 to 10 points"),
        ({"RegionsOfInterest": [BOX, {"Polygon": [POINT, POINT, {"X": 1.1, "Y": 0.0}]}]}, "RegionsOfInterest[1]"),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0.8, "Top": 0.0, "Width": 0.5, "Height": 0.5}}]}, "outside"),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0.8}}]}, "Left, Top, Width and Height"),
        ({"RegionsOfInterest": [BOX] * 11}, "length less than or equal to 10"),
        ({"Name": "a" * 129}, "length less than or equal to 128"),
        ({"Name": "front door"}, "regular expression"),
        ({"Tags": {"aws:mine": "x"}}, "Tags.aws:mine"),
        ({"RoleArn": "me"}, "RoleArn"),
    ],
)
def test_what_cannot_be_created(rekognition: Any, change: dict[str, Any], words: str) -> None:
    request = {"Name": "porch", **HOME, **change}
    code, message = refused(
        rekognition.create_stream_processor, **{key: value for key, value in request.items() if value is not None}
    )
    assert code == "InvalidParameterException" and words in message


def test_names_are_taken_once(rekognition: Any) -> None:
    rekognition.create_stream_processor(Name="porch", **HOME)
    assert refused(rekognition.create_stream_processor, Name="porch", **HOME) == (
        "ResourceInUseException",
        "Stream processor name already in use.",
    )


def test_a_region_without_area_is_accepted_and_fails_at_start(rekognition: Any) -> None:
    rekognition.create_stream_processor(Name="dot", RegionsOfInterest=[{"Polygon": [POINT] * 3}], **HOME)
    assert rekognition.describe_stream_processor(Name="dot")["RegionsOfInterest"] == [{"Polygon": [POINT] * 3}]
    rekognition.start_stream_processor(Name="dot")
    assert "no area" in rekognition.describe_stream_processor(Name="dot")["StatusMessage"]
    rekognition.create_stream_processor(Name="both", RegionsOfInterest=[{"Polygon": [POINT] * 3}, BOX], **HOME)
    rekognition.start_stream_processor(Name="both")
    assert rekognition.describe_stream_processor(Name="both")["Status"] == "STARTING"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"Input": {"KinesisVideoStream": {"Arn": STREAM.replace("front-door", "attic")}}},
            "Stream attic doesn't exist",
        ),
        (
            {"Output": {"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/nobody"}}},
            "Stream nobody under account 123456789012 not found",
        ),
        ({"Settings": {"FaceSearch": {"CollectionId": "nobody"}}}, "Collection not found"),
    ],
)
def test_what_is_not_bound_fails_after_start(rekognition: Any, change: dict[str, Any], message: str) -> None:
    rekognition.create_stream_processor(Name="door", **(SEARCH | change))
    assert rekognition.describe_stream_processor(Name="door")["Status"] == "STOPPED"
    rekognition.start_stream_processor(Name="door")
    found = rekognition.describe_stream_processor(Name="door")
    assert (found["Status"], found["StatusMessage"]) == ("FAILED", message)
    rekognition.delete_stream_processor(Name="door")


def test_start_selectors(rekognition: Any, processors: MemoryProcessors) -> None:
    stream = {"KinesisVideoStream": {"Arn": STREAM.replace("front-door", "kafka-7")}}
    rekognition.create_stream_processor(Name="porch", **(HOME | {"Input": stream}))
    assert processors.rows["porch"].config.source.options == {"stream": "kafka-7"}
    for selector in (
        {},
        {"KVSStreamStartSelector": {}},
        {"KVSStreamStartSelector": {"ProducerTimestamp": 1, "FragmentNumber": "1"}},
    ):
        code, _ = refused(rekognition.start_stream_processor, Name="porch", StartSelector=selector)
        assert code == "InvalidParameterException"
    rekognition.start_stream_processor(Name="porch", StartSelector={"KVSStreamStartSelector": {"FragmentNumber": "12"}})
    assert processors.starts[-1][1].at == {"fragment": "12"}
    code, message = refused(
        rekognition.start_stream_processor, Name="porch", StopSelector={"MaxDurationInSeconds": 121}
    )
    assert code == "InvalidParameterException" and "120" in message


def test_tags(rekognition: Any) -> None:
    arn = rekognition.create_stream_processor(Name="porch", Tags={"a": "1"}, **HOME)["StreamProcessorArn"]
    rekognition.tag_resource(ResourceArn=arn, Tags={"b": "2", "Straße": ""})
    rekognition.untag_resource(ResourceArn=arn, TagKeys=["a", "never was"])
    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "2", "Straße": ""}
    code, _ = refused(rekognition.tag_resource, ResourceArn=arn, Tags={f"k{n}": "" for n in range(199)})
    assert code == "ServiceQuotaExceededException"
    for unknown in (arn + "x", "arn:aws:s3:::some-bucket-of-mine", "x" * 30):
        assert refused(rekognition.list_tags_for_resource, ResourceArn=unknown)[0] == "ResourceNotFoundException"


def test_pages(rekognition: Any) -> None:
    names = [f"cam-{n:02}" for n in range(7)]
    for name in names:
        rekognition.create_stream_processor(Name=name, **HOME)
    pages = rekognition.get_paginator("list_stream_processors").paginate(PaginationConfig={"PageSize": 3})
    assert [found["Name"] for page in pages for found in page["StreamProcessors"]] == names
    first = rekognition.list_stream_processors(MaxResults=3, NextToken="")
    rekognition.delete_stream_processor(Name="cam-02")
    rekognition.delete_stream_processor(Name="cam-00")
    rest = rekognition.list_stream_processors(NextToken=first["NextToken"])
    assert [found["Name"] for found in rest["StreamProcessors"]] == names[3:] and "NextToken" not in rest
    for wrong in ("x", first["NextToken"][:-4] + "AAA=", "x" * 256, "ä"):
        assert refused(rekognition.list_stream_processors, NextToken=wrong)[0] == "InvalidPaginationTokenException"
