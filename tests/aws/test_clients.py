"""Unmodified clients: boto3 in both retry modes, the AWS command line from its package, aiobotocore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from tests.aws.plain_faces import picture
from tests.aws.serving import client
from tests.aws.signing import ACCESS_KEY, SECRET
from tests.builders.requests import HOME, SELECTOR


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_boto3(url: str, mode: str) -> None:
    made = client(url, mode)
    made.create_stream_processor(Name="porch", **HOME)
    assert made.start_stream_processor(Name="porch", StartSelector=SELECTOR)["SessionId"]
    with pytest.raises(made.exceptions.ResourceInUseException) as caught:
        made.start_stream_processor(Name="porch")
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        client(url, mode, secret="wrong").list_collections()


def aws(url: str, *words: str, home: Path) -> tuple[int, Any, str]:
    """The command line as a user has it, with a home of its own."""
    command = [str(Path(sys.executable).with_name("aws")), "rekognition", *words]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ENDPOINT_URL_REKOGNITION": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr


def test_the_command_line(url: str, tmp_path: Path) -> None:
    code, made, errors = aws(
        url,
        "create-stream-processor",
        "--name=porch",
        f"--input={json.dumps(HOME['Input'])}",
        f"--stream-processor-output={json.dumps(HOME['Output'])}",
        f"--settings={json.dumps(HOME['Settings'])}",
        f"--notification-channel={json.dumps(HOME['NotificationChannel'])}",
        f"--role-arn={HOME['RoleArn']}",
        home=tmp_path,
    )
    assert (code, errors) == (0, "") and made["StreamProcessorArn"].endswith(":streamprocessor/porch")
    code, found, _ = aws(url, "describe-stream-processor", "--name", "porch", home=tmp_path)
    assert code == 0 and found["Status"] == "STOPPED" and found["Settings"]["ConnectedHome"]["MinConfidence"] == 50.0
    client(url).create_collection(CollectionId="family")
    (tmp_path / "alice.png").write_bytes(picture(100))
    photo = f"fileb://{tmp_path / 'alice.png'}"
    code, answer, _ = aws(
        url,
        "index-faces",
        "--collection-id=family",
        "--external-image-id=alice",
        f"--image-bytes={photo}",
        home=tmp_path,
    )
    assert code == 0 and len(answer["FaceRecords"]) == 1
    code, _, errors = aws(url, "describe-stream-processor", "--name", "attic", home=tmp_path)
    assert code != 0 and "ResourceNotFoundException" in errors and "attic" in errors


async def test_aiobotocore(url: str) -> None:
    async with get_session().create_client(
        "rekognition",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
    ) as made:
        await made.create_collection(CollectionId="family")
        pages = [page async for page in made.get_paginator("list_collections").paginate()]
        assert [name for page in pages for name in page["CollectionIds"]] == ["family"]


def test_the_life_that_terraform_gives_a_stream_processor(rekognition: Any) -> None:
    """create (with retries while the role settles), wait, read, tags; update in place; read; delete, wait till it is gone."""
    tags = {"Name": "porch"}
    regions = [
        {"Polygon": [{"X": 0.5, "Y": 0.5}] * 3},
        {"BoundingBox": {"Height": 0.5, "Left": 0.5, "Top": 0.25, "Width": 0.33}},
    ]
    arn = rekognition.create_stream_processor(
        Name="tf-acc-test",
        **HOME,
        DataSharingPreference={"OptIn": True},
        RegionsOfInterest=regions,
        Tags=tags,
    )["StreamProcessorArn"]

    def read() -> dict[str, Any]:
        found = rekognition.describe_stream_processor(Name="tf-acc-test")
        assert found["Status"] == "STOPPED" and found["StreamProcessorArn"] == arn
        return found  # type: ignore[no-any-return]

    assert read()["RegionsOfInterest"] == regions and read()["DataSharingPreference"] == {"OptIn": True}
    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags

    rekognition.update_stream_processor(
        Name="tf-acc-test",
        SettingsForUpdate={"ConnectedHomeForUpdate": {"Labels": ["PERSON", "ALL"], "MinConfidence": 60.0}},
        DataSharingPreferenceForUpdate={"OptIn": False},
        ParametersToDelete=[],
    )
    found = read()
    assert found["Settings"]["ConnectedHome"] == {"Labels": ["PERSON", "ALL"], "MinConfidence": 60.0}
    assert found["RegionsOfInterest"] == regions and found["LastUpdateTimestamp"] >= found["CreationTimestamp"]

    rekognition.update_stream_processor(
        Name="tf-acc-test",
        RegionsOfInterestForUpdate=[],
        ParametersToDelete=["RegionsOfInterest", "ConnectedHomeMinConfidence"],
    )
    assert "RegionsOfInterest" not in read() and read()["Settings"]["ConnectedHome"]["MinConfidence"] == 50.0

    rekognition.untag_resource(ResourceArn=arn, TagKeys=["Name"])
    rekognition.tag_resource(ResourceArn=arn, Tags={"key1": "value1updated", "key2": "value2"})
    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"key1": "value1updated", "key2": "value2"}

    rekognition.delete_stream_processor(Name="tf-acc-test")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.describe_stream_processor(Name="tf-acc-test")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.delete_stream_processor(Name="tf-acc-test")
