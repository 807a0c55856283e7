"""The service model's patterns mean in Python what they mean in Java."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from streamproc.aws.service import operation_models, service_model
from streamproc.aws_protocol.patterns import compile_pattern

TAG = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"


def test_every_pattern_of_the_model_compiles() -> None:
    model = service_model()
    patterns = {pattern for name in model.shape_names if (pattern := model.shape_for(name).metadata.get("pattern"))}
    assert len(patterns) > 20
    for pattern in patterns:
        compile_pattern(pattern)
    assert len(operation_models()) == len(model.operation_names)


def test_unicode_classes_are_the_categories() -> None:
    compiled = compile_pattern(TAG)
    allowed = set("_.:/=+-@")
    # A few CJK characters are letters with a numeric value: in L either way.
    wrong = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code <= 0xDFFF
        and (compiled.fullmatch(chr(code)) is not None)
        != (unicodedata.category(chr(code))[0] in "LZN" or chr(code) in allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("^[0-9]+$", "12\n", False),
        (r"\d{3}", "١٢٣", False),
        ("[a-zA-Z0-9_.\\-]+", "porch/cam", False),
        (r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$", "aws:mine", False),
        (r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$", "Straße 7", True),
    ],
)
def test_as_java_matches(pattern: str, value: str, matches: bool) -> None:
    assert (compile_pattern(pattern).fullmatch(value) is not None) is matches


def test_an_unknown_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="no translation"):
        compile_pattern(r"[\p{M}_]")
