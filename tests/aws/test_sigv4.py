"""Signatures: true ones pass, whoever made them; every other is refused with the service's code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.aws_protocol.faults import AwsFault
from streamproc.aws_protocol.keys import Key
from streamproc.aws_protocol.sigv4 import Signed, verify
from tests.aws.signing import ACCESS_KEY, SECRET, now, request

KEYS = {ACCESS_KEY: Key(ACCESS_KEY, SECRET)}


def _code(signed: Signed, keys: dict[str, Key] = KEYS, **shift: float) -> str:
    with pytest.raises(AwsFault) as caught:
        verify(signed, keys, now() + timedelta(**shift))
    assert caught.value.status == 400
    return caught.value.code


def _with(signed: Signed, **headers: str | None) -> Signed:
    changed = dict(signed.headers)
    for name, value in headers.items():
        name = name.replace("_", "-")
        if value is None:
            changed.pop(name)
        else:
            changed[name] = value
    return replace(signed, headers=changed)


@given(body=st.binary(max_size=200), agent=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_what_botocore_signs_is_true(body: bytes, agent: str) -> None:
    signed = request("ListCollections", body, headers={"X-Amz-User-Agent": f"sdk   {agent}"})
    assert verify(signed, KEYS, now()).access_key_id == ACCESS_KEY


def test_temporary_credentials() -> None:
    keys = {ACCESS_KEY: Key(ACCESS_KEY, SECRET, session_token="the-token")}
    assert verify(request("X", token="the-token"), keys, now())
    assert _code(request("X", token="another"), keys) == "UnrecognizedClientException"
    assert _code(request("X"), keys) == "UnrecognizedClientException"


@pytest.mark.parametrize("minutes", [-14, 0, 14])
def test_a_clock_a_little_wrong_is_fine(minutes: int) -> None:
    verify(request("X"), KEYS, now() + timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_far_off_is_refused(minutes: int) -> None:
    assert _code(request("X"), minutes=minutes) == "InvalidSignatureException"


def test_wrong_secret() -> None:
    assert _code(request("X", secret="guess")) == "InvalidSignatureException"


def test_unknown_key() -> None:
    assert _code(request("X", access_key="AKIDNOBODY")) == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"authorization": None}, "MissingAuthenticationTokenException"),
        ({"authorization": ""}, "IncompleteSignatureException"),
        ({"authorization": "Bearer abc"}, "IncompleteSignatureException"),
        (
            {"authorization": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"},
            "IncompleteSignatureException",
        ),
        ({"x_amz_date": None}, "InvalidSignatureException"),
        ({"x_amz_date": "yesterday"}, "IncompleteSignatureException"),
        ({"x_amz_date": "20269999T999999Z"}, "IncompleteSignatureException"),
        ({"x_amz_date": "20200101T000000Z"}, "InvalidSignatureException"),
        ({"x_amz_target": "RekognitionService.DeleteCollection"}, "InvalidSignatureException"),
        ({"x_amz_target": None}, "InvalidSignatureException"),
        ({"host": "elsewhere"}, "InvalidSignatureException"),
        ({"x_amz_security_token": "slipped in"}, "InvalidSignatureException"),
    ],
)
def test_tampering_is_refused(change: dict[str, str | None], code: str) -> None:
    assert _code(_with(request("X", {"Name": "a"}), **change)) == code


def test_another_body_is_refused() -> None:
    assert _code(replace(request("X", {"Name": "a"}), body=b'{"Name":"b"}')) == "InvalidSignatureException"


def test_another_service_is_refused() -> None:
    signed = request("X")
    scoped = signed.headers["authorization"].replace("/rekognition/", "/s3/")
    assert _code(_with(signed, authorization=scoped)) == "InvalidSignatureException"


def test_a_signature_that_leaves_out_the_target_is_refused() -> None:
    signed = request("X")
    trimmed = signed.headers["authorization"].replace(";x-amz-target", "")
    assert _code(_with(signed, authorization=trimmed)) == "InvalidSignatureException"


@given(st.text(max_size=80))
def test_no_authorization_header_breaks_it(text: str) -> None:
    with pytest.raises(AwsFault):
        verify(_with(request("X"), authorization=text), KEYS, now())
    with pytest.raises(AwsFault):
        verify(_with(request("X"), authorization=request("X").headers["authorization"] + text + "\udcff"), KEYS, now())
