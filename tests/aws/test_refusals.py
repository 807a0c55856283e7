"""What a processor fails with when its output may not deliver."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.aws.refusals import words_for
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import SinkDenied

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
FACES = {"Output": {"KinesisDataStream": {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/faces"}}}
LABELS = {"Output": {"S3Destination": {"Bucket": "pictures"}}, "NotificationChannel": {"SNSTopicArn": TOPIC}}


@pytest.mark.parametrize(
    ("created", "service", "missing", "words"),
    [
        (FACES, "kinesis", False, "Access denied to Kinesis Data"),
        (FACES, "kinesis", True, "Stream faces under account 123456789012 not found"),
        (LABELS, "sns", False, f"Access denied to SNS topic {TOPIC}"),
        (LABELS, "sns", True, f"SNS topic {TOPIC} doesn't exist"),
        (LABELS, "s3", False, "Access denied to S3 bucket pictures"),
        (LABELS, "s3", True, "S3 bucket pictures doesn't exist"),
        (LABELS, "kinesis", True, "kinesis doesn't exist"),  # a bucket that is bound to something else
        (None, "sns", False, None),
    ],
)
def test_the_status_message(created: dict[str, Any] | None, service: str, missing: bool, words: str | None) -> None:
    document: dict[str, Any] = {"source": {"type": "rtsp", "url": "rtsp://cam/1"}, "labels": {"classes": ["PERSON"]}}
    config = ProcessorConfig.model_validate(document | {"aws": {"create": created} if created else {}})
    assert words_for(config, SinkDenied("AccessDenied: words", service, missing=missing)) == words
