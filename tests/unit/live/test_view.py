"""What Describe shows of a config: no secret, however it was written."""

from __future__ import annotations

import json

import pytest

from streamproc.live.view import without_secrets


@pytest.mark.parametrize(
    ("document", "hidden", "shown"),
    [
        ({"source": {"url": "rtsp://bob:hunter2@cam/1"}}, "hunter2", "cam/1"),
        ({"source": {"password": "hunter2", "password_env": "CAM_PASSWORD"}}, "hunter2", "CAM_PASSWORD"),
        ({"outputs": [{"secret": "hunter2", "url": "http://hook/x?token=hunter2"}]}, "hunter2", "http://hook/x"),
        ({"sasl": {"mechanism": "PLAIN", "sasl_password": "hunter2"}}, "hunter2", "PLAIN"),
        ({"outputs": [{"kms_key_id": "alias/home", "access_key": "hunter2"}]}, "hunter2", "alias/home"),
    ],
)
def test_secrets_are_hidden(document: dict[str, object], hidden: str, shown: str) -> None:
    text = json.dumps(without_secrets(document))
    assert hidden not in text and shown in text
