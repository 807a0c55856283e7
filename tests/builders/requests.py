"""Requests to the endpoint: the two kinds of stream processor, and how a refusal reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.aws_protocol.sigv4 import Signed

STREAM = "arn:aws:kinesisvideo:us-east-1:123456789012:stream/front-door/1510552593"
ROLE = "arn:aws:iam::123456789012:role/rekognition"
HOME: dict[str, Any] = {
    "Input": {"KinesisVideoStream": {"Arn": STREAM}},
    "Output": {"S3Destination": {"Bucket": "videos", "KeyPrefix": "porch"}},
    "Settings": {"ConnectedHome": {"Labels": ["PERSON", "PET"]}},
    "NotificationChannel": {"SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:alerts"},
    "RoleArn": ROLE,
}
SEARCH: dict[str, Any] = {
    "Input": {"KinesisVideoStream": {"Arn": STREAM}},
    "Output": {"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/faces"}},
    "Settings": {"FaceSearch": {"CollectionId": "family", "FaceMatchThreshold": 30.0}},
    "RoleArn": ROLE,
}
BOX = {"BoundingBox": {"Left": 0.1, "Top": 0.1, "Width": 0.5, "Height": 0.5}}
POINT = {"X": 0.5, "Y": 0.5}
TRIANGLE = {"Polygon": [{"X": 0.1, "Y": 0.1}, {"X": 0.9, "Y": 0.1}, {"X": 0.5, "Y": 0.9}]}
SELECTOR = {"KVSStreamStartSelector": {"ProducerTimestamp": 1655930623123}}


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def unsigned(operation: str, body: Any) -> Signed:
    headers = {"x-amz-target": f"RekognitionService.{operation}", "content-type": "application/x-amz-json-1.1"}
    return Signed("POST", "/", "", headers, json.dumps(body).encode())
