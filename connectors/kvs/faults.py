"""What errors of a Kinesis Video service mean, in words that name the fix and hold no credentials."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.session import get_session

from streamproc.core.errors import SourceError, SourceRefused

_KEYS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException"}
    | {
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationTokenException",
        "MissingAuthenticationToken",
    }
)
_RIGHTS = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorizedException"})
_MISSING = frozenset({"ResourceNotFoundException"})
_CLOCK = ("signature expired", "signature not yet current", "not yet valid")
STALE_ENDPOINT = frozenset({"InvalidEndpointException"})
"""The data endpoint is to be asked for anew."""


class Place:
    """Where a stream is looked for, as words for people."""

    def __init__(self, stream: str, region: str, endpoint_url: str | None) -> None:
        self.stream = stream
        self.region = region
        self.endpoint_url = endpoint_url

    def __str__(self) -> str:
        return f"at {self.endpoint_url}" if self.endpoint_url else f"in {self.region}"


def code_of(error: Exception) -> str:
    """The service's own name of an error; empty where it is none of the service's."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def source_error(error: Exception, place: Place) -> SourceError:
    """SourceRefused where somebody has to act, else SourceError."""
    if isinstance(error, ClientError):
        return _of_service(error, place)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SourceRefused(
            "there are no AWS credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the daemon, or name a "
            "profile or access_key_id_env and secret_access_key_env"
        )
    if isinstance(error, ProfileNotFound):
        return SourceRefused(f"profile: {error}; name one of ~/.aws/config")
    if isinstance(error, NoRegionError | InvalidRegionError):
        return SourceRefused(f"region: {error}; write one such as us-east-1")
    if isinstance(error, EndpointConnectionError) and place.endpoint_url is None and not _is_known(place.region):
        return SourceRefused(f"region: {place.region} has no Kinesis Video that is known here; check region")
    words = str(error) or type(error).__name__
    kind = "" if isinstance(error, BotoCoreError | OSError | TimeoutError) else f"{type(error).__name__}: "
    return SourceError(f"{place.stream} {place}: {kind}{words}")


def _of_service(error: ClientError, place: Place) -> SourceError:
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")).strip()
    if code in _MISSING:
        return SourceRefused(f"there is no stream {place.stream} {place}; check stream and region ({code})")
    if any(word in said.lower() for word in _CLOCK):
        return SourceError(f"{place.stream} {place}: this node's clock is wrong, so its requests are refused: {said}")
    if code in _KEYS:
        return SourceRefused(f"the access key or its secret is wrong {place} ({code}); check the credentials")
    if code in _RIGHTS:
        need = "kinesisvideo:GetDataEndpoint and kinesisvideo:GetMedia"
        return SourceRefused(f"this access key may not read {place.stream} {place} ({code}); allow {need}")
    return SourceError(f"{place.stream} {place}: {f'{code}: {said}'.strip(': ')}")


def _is_known(region: str) -> bool:
    session = get_session()
    return any(
        region in session.get_available_regions("kinesisvideo", partition)
        for partition in session.get_available_partitions()
    )
