"""What strangers send as JSON."""

from __future__ import annotations

import pytest

from streamproc.core.errors import InputError
from streamproc.web.json_body import MAX_DEPTH, parse_object


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"5",
        b'{"duration_s": NaN}',
        b'{"duration_s": Infinity}',
        b'{"duration_s": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=lambda body: body[:16].decode("latin-1"),
)
def test_what_is_no_sound_object_is_an_input_error(body: bytes) -> None:
    with pytest.raises(InputError):
        parse_object(body)


def test_an_object_is_read() -> None:
    assert parse_object('{"a": [1, {"b": "ü"}]}'.encode()) == {"a": [1, {"b": "ü"}]}
    assert parse_object(b'{"face": "\\ud83d\\ude00", "n": 1e308}') == {"face": "\U0001f600", "n": 1e308}
