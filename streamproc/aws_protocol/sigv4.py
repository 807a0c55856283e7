"""Signature Version 4 of a request: who signed it, and is it true.

The signature is computed again from the request and compared in constant time. botocore's own signer is the reference in
the tests; it is not called here because it leaves out headers that other SDKs sign (user-agent, x-amzn-trace-id), and
because the signing key is worth keeping: it changes once a day.
Source of the rules and texts: AWS General Reference, "Signature Version 4 signing process"; the 15 minutes are AWS's.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.keys import Key

ALLOWED_SKEW_S = 15 * 60
_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([^,\s]+)\s*"
)
_DATE = re.compile(r"\d{8}T\d{6}Z")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Signed:
    """The parts of a request that a signature covers. ``headers`` has lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class SigningRules:
    """What one service asks of a signature."""

    service: str
    """The service's name in the credential scope."""
    must_be_signed: tuple[str, ...]
    """Headers that have to be signed where the request has them."""
    payload_header: bool = False
    """Whether ``x-amz-content-sha256``, signed or not, is the payload's hash where the request has it; else the body's hash always is."""
    status: int = 400
    """HTTP status of a refusal."""


REKOGNITION = SigningRules("rekognition", ("host", "x-amz-date", "x-amz-target", "x-amz-security-token"))


@dataclass(frozen=True, slots=True)
class _Claim:
    access_key_id: str
    scope: str
    date: str
    region: str
    signed_headers: str
    signature: str


def verify(request: Signed, keys: Mapping[str, Key], now: datetime, rules: SigningRules = REKOGNITION) -> Key:
    """The key that signed ``request``. Raises AwsFault with the service's code; ``now`` is an aware datetime."""
    try:
        return _verify(request, keys, now, rules)
    except AwsFault as fault:
        raise AwsFault(fault.code, fault.message, rules.status) from None


def check_claim(
    headers: Mapping[str, str], keys: Mapping[str, Key], now: datetime, rules: SigningRules = REKOGNITION
) -> None:
    """Raises what ``verify`` will raise whatever the body is: no key of ours, another time, parts left out. For before it is read."""
    try:
        _claimed(headers, keys, now, rules)
    except AwsFault as fault:
        raise AwsFault(fault.code, fault.message, rules.status) from None


def _claimed(
    headers: Mapping[str, str], keys: Mapping[str, Key], now: datetime, rules: SigningRules
) -> tuple[_Claim, str, Key]:
    """What the request says of itself, its time stamp and the key that it names."""
    claim = _read_claim(headers, rules.service)
    _check_signed_headers(claim, headers, rules.must_be_signed)
    stamp = _check_clock(headers.get("x-amz-date", ""), claim.date, now)
    key = keys.get(claim.access_key_id)
    if key is None:
        raise AwsFault("UnrecognizedClientException", "The security token included in the request is invalid.")
    return claim, stamp, key


def _verify(request: Signed, keys: Mapping[str, Key], now: datetime, rules: SigningRules) -> Key:
    claim, stamp, key = _claimed(request.headers, keys, now, rules)
    if not hmac.compare_digest(_bytes(_signature(request, claim, stamp, key, rules)), _bytes(claim.signature)):
        raise AwsFault(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        )
    _check_session_token(request.headers.get("x-amz-security-token"), key)
    return key


def _read_claim(headers: Mapping[str, str], wanted: str) -> _Claim:
    authorization = headers.get("authorization")
    if authorization is None:
        raise AwsFault("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(authorization.strip())
    scope = match.group(1).split("/") if match else []
    if match is None or len(scope) != 5:
        raise AwsFault(
            "IncompleteSignatureException",
            f"Authorization header requires '{_ALGORITHM} Credential=KEY/DATE/REGION/{wanted}/aws4_request, "
            "SignedHeaders=..., Signature=...'.",
        )
    access_key_id, date, region, service, terminator = scope
    if service != wanted or terminator != "aws4_request":
        raise AwsFault(
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: '{wanted}' and end in 'aws4_request'.",
        )
    return _Claim(access_key_id, "/".join(scope[1:]), date, region, match.group(2), match.group(3))


def _check_signed_headers(claim: _Claim, headers: Mapping[str, str], must_be_signed: tuple[str, ...]) -> None:
    signed = claim.signed_headers.split(";")
    for name in signed:
        if name not in headers:
            raise AwsFault("InvalidSignatureException", f"The signed header '{name}' is not in the request.")
    if "x-amz-date" not in headers:
        raise AwsFault(
            "IncompleteSignatureException", "Authorization header requires existence of 'X-Amz-Date' header."
        )
    for name in must_be_signed:
        if name in headers and name not in signed:
            raise AwsFault("InvalidSignatureException", f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_clock(stamp: str, scope_date: str, now: datetime) -> str:
    try:
        if not _DATE.fullmatch(stamp):
            raise ValueError(stamp)
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise AwsFault(
            "IncompleteSignatureException", "X-Amz-Date must be in ISO 8601 basic form, as 20060102T150405Z."
        ) from None
    if stamp[:8] != scope_date:
        raise AwsFault(
            "InvalidSignatureException",
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope_date}' != '{stamp[:8]}'.",
        )
    skew = (now - signed_at).total_seconds()
    if abs(skew) > ALLOWED_SKEW_S:
        words = "expired" if skew > 0 else "not yet current"
        relation = "earlier" if skew > 0 else "later"
        raise AwsFault(
            "InvalidSignatureException",
            f"Signature {words}: {stamp} is {relation} than {now:%Y%m%dT%H%M%SZ} by more than "
            f"{ALLOWED_SKEW_S // 60} min; set the clock.",
        )
    return stamp


def _check_session_token(token: str | None, key: Key) -> None:
    # A token that this key was not given is no harm: temporary-looking credentials are signed by the secret all the same.
    if key.session_token is None:
        return
    if token is None or not hmac.compare_digest(_bytes(token), _bytes(key.session_token)):
        raise AwsFault("UnrecognizedClientException", "The security token included in the request is invalid.")


def _signature(request: Signed, claim: _Claim, stamp: str, key: Key, rules: SigningRules) -> str:
    text = canonical_request(request, claim.signed_headers, _payload_hash(request, rules))
    canonical = hashlib.sha256(_bytes(text)).hexdigest()
    to_sign = f"{_ALGORITHM}\n{stamp}\n{claim.scope}\n{canonical}"
    signing_key = _signing_key(key.secret, claim.date, claim.region, rules.service)
    return hmac.new(signing_key, _bytes(to_sign), hashlib.sha256).hexdigest()


def _payload_hash(request: Signed, rules: SigningRules) -> str:
    """The hash that the canonical request ends with. A header that is a hash must be that of the body, where a body was read."""
    own = hashlib.sha256(request.body).hexdigest()
    said = request.headers.get("x-amz-content-sha256") if rules.payload_header else None
    if said is None or (request.body and _HASH.fullmatch(said) and said != own):
        return own
    return said


def canonical_request(request: Signed, signed_headers: str, payload_hash: str) -> str:
    """The text whose hash is signed."""
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed_headers.split(";"))
    path = quote(request.path or "/", safe="/~%")
    query = "&".join(
        sorted(
            f"{quote(name, safe='~')}={quote(value, safe='~')}"
            for name, value in parse_qsl(request.query, keep_blank_values=True)
        )
    )
    return "\n".join((request.method, path, query, headers, signed_headers, payload_hash))


@lru_cache(maxsize=512)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, _bytes(part), hashlib.sha256).digest()
    return key


def _bytes(text: str) -> bytes:
    """The bytes that were on the wire: HTTP servers decode odd header bytes to surrogates."""
    return text.encode("utf-8", "surrogateescape")
