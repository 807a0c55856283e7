"""REST-JSON without the HTTP: who asks, for what, and what an answer or a refusal looks like."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.keys import Key
from streamproc.aws_protocol.parse import Faults
from streamproc.aws_protocol.sigv4 import Signed, SigningRules, check_claim, verify
from streamproc.core.errors import (
    AlreadyExists,
    HeldUp,
    InputError,
    LimitExceeded,
    NotFound,
    StreamprocError,
)
from streamproc.kinesis.models import OperationModel
from streamproc.kinesis.store import StoreAway
from streamproc.kinesis.streams import TooManyTags, VersionMismatch
from streamproc.web.json_body import parse_object

RULES = SigningRules("kinesisvideo", ("host", "x-amz-date"), payload_header=True, status=403)
"""The C and C++ SDKs do not sign x-amz-security-token; some clients hash nothing, some say UNSIGNED-PAYLOAD."""


@dataclass(frozen=True, slots=True)
class Call:
    """One validated request."""

    operation: str
    input: Mapping[str, Any]
    stream: str | None
    """The stream that it is about, by name or ARN."""
    key: Key | None
    """Who calls; None where the endpoint has no keys."""
    base_url: str
    """Scheme, host and port that the request was sent to."""


def authorize(signed: Signed, keys: Mapping[str, Key], now: datetime) -> Key | None:
    """Who signed it; None where there are no keys. Raises AwsFault."""
    return verify(signed, keys, now, RULES) if keys else None


def let_in(headers: Mapping[str, str], keys: Mapping[str, Key], now: datetime) -> None:
    """Before the body is read. Raises AwsFault for whom no body could help."""
    if keys:
        check_claim(headers, keys, now, RULES)


def check_permission(key: Key | None, operation: str, stream: str | None) -> None:
    """Raises AwsFault where the key may not do that."""
    if key is None or (key.may_call(operation) and (stream is None or key.may_use_stream(stream))):
        return
    raise AwsFault(
        "AccessDeniedException",
        f"User: {key.access_key_id} is not authorized to perform: kinesisvideo:{operation} on resource: {stream or '*'}.",
        403,
    )


def read_input(model: OperationModel, body: bytes) -> dict[str, Any]:
    """The validated members. Raises AwsFault."""
    try:
        document = parse_object(body or b"{}")
    except InputError:
        raise invalid("The request body must be one JSON object in UTF-8.") from None
    faults = Faults()
    read = model.read(document, "", faults)
    if faults.messages:
        raise invalid(faults.text())
    return dict(read)


def stream_of(members: Mapping[str, Any], name_key: str = "StreamName", arn_key: str = "StreamARN") -> str | None:
    """The stream's name out of a name or an ARN; None where there is neither. Raises AwsFault.

    Region, account and creation time of an ARN are not compared: scripts bring those of the account that they were written for.
    """
    name, arn = members.get(name_key), members.get(arn_key)
    if name and arn:
        raise invalid(f"Give either {name_key} or {arn_key}, not both.")
    if arn:
        return stream_name(arn)
    return name or None


def stream_name(arn: str) -> str:
    """The name in ``arn:aws:kinesisvideo:REGION:ACCOUNT:stream/NAME/TIME``. Raises AwsFault."""
    resource = arn.split(":", 5)[5] if arn.count(":") >= 5 else ""
    parts = resource.split("/")
    if len(parts) < 2 or parts[0] != "stream" or not parts[1]:
        raise invalid(f"{arn[:100]} is no ARN of a video stream.")
    return parts[1]


def invalid(message: str) -> AwsFault:
    return AwsFault("InvalidArgumentException", message)


def fault_of(error: StreamprocError) -> AwsFault:
    """What an error of ours is on the wire."""
    codes: tuple[tuple[type[StreamprocError], str, int], ...] = (
        (NotFound, "ResourceNotFoundException", 404),
        (AlreadyExists, "ResourceInUseException", 400),
        (VersionMismatch, "VersionMismatchException", 400),
        (TooManyTags, "TagsPerResourceExceededLimitException", 400),
        (LimitExceeded, "ClientLimitExceededException", 400),
        (HeldUp, "ServiceUnavailableException", 503),
        (StoreAway, "ServiceUnavailableException", 503),
        (InputError, "InvalidArgumentException", 400),
    )
    for kind, code, status in codes:
        if isinstance(error, kind):
            return AwsFault(code, str(error), status)
    return internal()


def internal() -> AwsFault:
    """Says nothing about the cause on purpose: that is in the log, under the request id."""
    return AwsFault("InternalFailure", "Internal server error", 500)


def refusal(fault: AwsFault, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) as boto3, SDK v1 and the producer SDK read them."""
    return fault.status, headers(request_id) | {"x-amzn-ErrorType": fault.code}, dump({"Message": fault.message})


def headers(request_id: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": request_id}


def new_request_id() -> str:
    return str(uuid.uuid4())


def dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
