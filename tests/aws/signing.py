"""Requests signed as boto3 signs them, without sending them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from streamproc.aws_protocol.sigv4 import Signed

ACCESS_KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def request(
    operation: str,
    body: Any = None,
    *,
    secret: str = SECRET,
    access_key: str = ACCESS_KEY,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> Signed:
    """A request to ``operation`` signed now; ``body`` is JSON-ready or raw bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    sent = {
        "Host": "edge-box:4566",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"RekognitionService.{operation}",
        **(headers or {}),
    }
    prepared = AWSRequest("POST", "http://edge-box:4566/", headers=sent, data=data)
    SigV4Auth(Credentials(access_key, secret, token), "rekognition", "us-east-1").add_auth(prepared)
    lower = {name.lower(): value for name, value in prepared.headers.items()}
    return Signed("POST", "/", "", lower, data)


def now() -> datetime:
    return datetime.now(UTC)
