"""What an output's settings refuse, how webhook bodies are filled, what AWS errors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from pydantic import ValidationError

from connectors.aws import sink_error
from connectors.catalog import check
from connectors.webhook import template
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import SinkBusy, SinkDenied, SinkError, SinkRejected
from tests.builders.examples import GAP, LABEL, delivery

HOOK = {"type": "webhook", "url": "https://chat.example/hook"}
KAFKA = {"type": "kafka", "bootstrap_servers": "b:9092", "topic": "events"}
SNS = {"type": "sns", "topic_arn": "arn:aws:sns:eu-west-1:123456789012:alerts"}
MQTT = {"type": "mqtt", "host": "192.168.1.5"}
S3 = {"type": "s3", "bucket": "home"}


@pytest.mark.parametrize(
    "ref",
    [
        HOOK | {"template": '{"text": "{class}", "raw": {"a": 1}}', "content_type": "application/json"},
        HOOK | {"template": {"a": ["{event}", 3, None]}, "timeout": "5s"},
        KAFKA | {"bootstrap_servers": "a:9092, b:9092", "key": "processor"},
        KAFKA | {"security_protocol": "SASL_SSL", "username_env": "U", "password_env": "P"},
        SNS | {"topic_arn": "arn:aws-cn:sns:cn-north-1:123456789012:alerts.fifo", "format": "aws"},
        S3 | {"prefix": "", "kms_key_id": "alias/edge", "path_style": False},
        {"type": "file", "directory": "out", "records": True, "events": ["label_detected"]},
        {"type": "stdout", "style": "text", "name": "tty"},
    ],
)
def test_sound_settings(ref: dict[str, Any]) -> None:
    check(ConnectorRef.model_validate(ref), "sink")


@pytest.mark.parametrize(
    ("ref", "field", "words"),
    [
        (HOOK | {"template": "{clas} seen"}, "template", "no such placeholder: {clas}"),
        (HOOK | {"url": "chat.example/hook"}, "url", "pattern"),
        (HOOK | {"url": "https://me:secret@chat.example/hook"}, "", "headers_env"),
        (HOOK | {"url": "https://me:[#bracket@chat.example/hook"}, "", "no address"),
        (HOOK | {"url": "https://me:pa#ss@chat.example/hook"}, "", "no address"),
        ({"type": "webhook"}, "", "url_env"),
        (HOOK | {"url_env": "HOOK_URL"}, "", "url_env"),
        (HOOK | {"headers": {"X Y": "1"}}, "headers", "no HTTP header"),
        (HOOK | {"headers": {"X": "1\r\nHost: other"}}, "headers", "line break"),
        (HOOK | {"evnts": ["label_detected"]}, "evnts", "Extra inputs"),
        (HOOK | {"events": ["label"]}, "events.0", "label_detected"),
        (HOOK | {"events": []}, "events", "at least 1"),
        (KAFKA | {"security_protocol": "SASL_SSL"}, "", "username_env"),
        (KAFKA | {"topic": "with space"}, "topic", "pattern"),
        (SNS | {"topic_arn": "alerts"}, "topic_arn", "pattern"),
        (S3 | {"bucket": "x"}, "bucket", "pattern"),
        ({"type": "file"}, "directory", "required"),
        ({"type": "file", "directory": "out", "stream": "../up"}, "stream", "pattern"),
        ({"type": "file", "directory": "out", "format": "xml"}, "format", "'plain' or 'aws'"),
        (MQTT | {"host": "mqtt://192.168.1.5:1883"}, "host", "name or address alone"),
        (MQTT | {"prefix": "home/#"}, "prefix", "without + and #"),
        (MQTT | {"discovery": True}, "discovery", "homeassistant if nobody changed it, or false"),
        (MQTT | {"password": "secret"}, "", "password_env"),
    ],
)
def test_mistakes_name_their_field(ref: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        check(ConnectorRef.model_validate(ref), "sink")
    error = raised.value.errors()[0]
    assert ".".join(map(str, error["loc"])) == field
    assert words in error["msg"]
    assert "secret" not in error["msg"]


def test_a_text_for_json_is_escaped() -> None:
    values = {"text": 'a "quoted"\nline', "tags": {"k": "v"}, "person": None, "confidence": 97.1}
    body = template.render(
        '{"say": "{text}", "tags": {tags}, "who": "{person}", "n": {confidence}}', values, "application/json"
    )
    assert json.loads(body) == {"say": 'a "quoted"\nline', "tags": {"k": "v"}, "who": "", "n": 97.1}


def test_a_structure_keeps_types_and_braces_that_mean_nothing() -> None:
    values = template.values(delivery(LABEL), "plain")
    body = json.loads(
        template.render({"n": "{confidence}", "s": "{class}!", "css": "{Color: red}"}, values, "application/json")
    )
    assert body == {"n": 97.12, "s": "PERSON!", "css": "{Color: red}"}
    assert json.loads(template.render({"e": "{event}"}, values, "application/json"))["e"]["class"] == "PERSON"


def test_placeholders_that_an_event_does_not_have_are_empty() -> None:
    values = template.values(delivery(GAP), "plain")
    assert template.render("{class}|{seconds}|{reason}", values, "text/plain") == "|20.5|lost"


def client_error(status: int, code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Publish")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (client_error(400, "InvalidParameter"), SinkRejected),
        (client_error(400, "KeyTooLongError"), SinkRejected),
        (client_error(413, ""), SinkRejected),
        (client_error(400, "ThrottlingException"), SinkBusy),
        (client_error(400, "ExpiredToken"), SinkBusy),
        (client_error(403, "AccessDenied"), SinkDenied),
        (client_error(400, "AccessDeniedException"), SinkDenied),
        (client_error(403, "AuthorizationError"), SinkDenied),
        (client_error(404, "NoSuchBucket"), SinkDenied),
        (client_error(400, "ResourceNotFoundException"), SinkDenied),
        (client_error(403, "InvalidClientTokenId"), SinkBusy),
        (client_error(500, "InternalError"), SinkBusy),
        (client_error(503, "SlowDown"), SinkBusy),
        (EndpointConnectionError(endpoint_url="http://s3"), SinkBusy),
        (NoCredentialsError(), SinkBusy),
        (ParamValidationError(report="bad"), SinkRejected),
        (TimeoutError(), SinkBusy),
    ],
)
def test_what_can_be_mended_is_waited_for(error: Exception, meaning: type[SinkError]) -> None:
    found = sink_error(error, "sns")
    assert type(found) is meaning
    assert str(found)
