"""No secret in texts, descriptions and errors, however it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.config.load import processor_from_text
from streamproc.core.errors import ConfigError
from streamproc.logic.redact import may_be_echoed, redact, without_secrets


@pytest.mark.parametrize(
    "text,expected",
    [
        ("rtsp://admin:p@ss@cam/1 failed", "rtsp://***@cam/1 failed"),
        (
            "rtsp://admin:Pa#ss/w?rd@cam:554/Streaming/Channels/101: refused",
            "rtsp://***@cam:554/Streaming/Channels/101: refused",
        ),
        ("rtsp://admin:two words@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        (
            "rtsp://cam/axis-media/media.amp?resolution=640x480&fps=5",
            "rtsp://cam/axis-media/media.amp?resolution=640x480&fps=5",
        ),
        ("rtsp://cam/cam/realmonitor?channel=1&subtype=0", "rtsp://cam/cam/realmonitor?channel=1&subtype=0"),
        ("rtsp://cam/h264Preview_01_main", "rtsp://cam/h264Preview_01_main"),
        ("rtsp://cam/user=admin_password=abc_channel=1.sdp", "rtsp://cam/***"),
        ("rtsps://cam:7441/AbCdEfGhIjKlMn12", "rtsps://cam:7441/***"),
        ("rtsp://cam/1?user=a&password=b#f", "rtsp://cam/1?***&***"),
        ("http://h/x?token=abc&b=1 http://u:p@h", "http://h/*** http://***@h"),
        ("https://hooks.slack.com/services/T0/B0/XYZ", "https://hooks.slack.com/***"),
        ("https://api.telegram.org/bot12:abc/sendMessage", "https://api.telegram.org/***"),
        ("https://ntfy.sh/my-porch-8361", "https://ntfy.sh/***"),
        ("see s3://bucket/a b", "see s3://bucket/a b"),
        ("http://[::1]:8080/x", "http://[::1]:8080/***"),
        ("login=a password=hunter2 rest", "login=a password=*** rest"),
        ("no address here", "no address here"),
    ],
)
def test_only_what_is_harmless_of_an_address_is_shown(text: str, expected: str) -> None:
    assert redact(text) == expected


SECRETS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=6, max_size=16).map(
    lambda text: "Zq7" + text + "xK9"
)


@given(SECRETS)
def test_no_password_is_left_in_an_address(secret: str) -> None:
    """Any printable characters, and nothing of what follows the first odd one either."""
    text = redact(f"cannot open rtsp://admin:{secret}@cam.example/live: timed out")
    assert secret not in text and "Zq7" not in text and "xK9" not in text
    assert text.endswith("cam.example/live: timed out")


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\"<>,@"), min_size=6).map(
        lambda t: "Zq7" + t + "xK9"
    )
)
def test_no_token_is_left_in_a_path_or_query(secret: str) -> None:
    for form in (
        "https://hook.example/{}",
        "https://hook.example/a?{}",
        "rtsp://cam/user=a_password={}",
        "rtsp://cam/live?token={}",
    ):
        assert "Zq7" not in redact(form.format(secret))


@pytest.mark.parametrize(
    ("document", "hidden", "shown"),
    [
        ({"source": {"url": "rtsp://bob:hunter2@cam/1"}}, "hunter2", "cam/1"),
        ({"source": {"password": "hunter2", "password_env": "CAM_PASSWORD"}}, "hunter2", "CAM_PASSWORD"),
        ({"source": {"password": 123456789}}, "123456789", "source"),
        ({"outputs": [{"secret": "hunter2", "url": "http://hook/x?token=hunter2"}]}, "hunter2", "http://hook/"),
        ({"outputs": [{"headers": {"X-Api": "hunter2", "Accept": "hunter2"}}]}, "hunter2", "Accept"),
        ({"sasl": {"sasl_mechanism": "PLAIN", "sasl_password": "hunter2"}}, "hunter2", "PLAIN"),
        ({"outputs": [{"kms_key_id": "alias/home", "access_key": "hunter2"}]}, "hunter2", "alias/home"),
    ],
)
def test_secrets_are_hidden_in_documents(document: dict[str, object], hidden: str, shown: str) -> None:
    text = json.dumps(without_secrets(document))
    assert hidden not in text and shown in text


def test_errors_do_not_repeat_what_may_be_secret() -> None:
    assert may_be_echoed(("labels", "fps")) and may_be_echoed(("source", "password_env"))
    for where in (
        ("source", "url"),
        ("outputs", 0, "headers", "Accept"),
        ("server", "tokens", 0, "token"),
        ("source", "webhook_url"),
    ):
        assert not may_be_echoed(where)
    text = "source: {type: file, path: a.mp4}\nlabels: {classes: [PERSON]}\ntags: {password: [hunter2]}\n"
    with pytest.raises(ConfigError) as error:
        processor_from_text(text, "door.yaml")
    assert "hunter2" not in str(error.value) and "tags" in str(error.value)
