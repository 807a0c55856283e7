r"""The service model's patterns are Java's; this turns them into Python's.

Java matches the whole value, ``\d`` and ``\w`` are ASCII there, and it has Unicode classes (``\p{L}``) that Python's
``re`` lacks. Only the classes that the model uses are translated; another one is an error when the model is compiled.
"""

from __future__ import annotations

import re
from functools import cache

# Inside a character class. Letters and numbers: Python's \w is exactly L, N and the underscore, which every pattern of
# the model that uses them allows anyway. Separators: the Z categories, written out.
_UNICODE_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": "\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """For ``fullmatch``. Raises ValueError where ``pattern`` uses a class that is not translated."""
    if r"\p" not in pattern:
        return re.compile(pattern, re.ASCII)
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    if r"\p" in pattern:
        raise ValueError(f"a Unicode class in {pattern!r} has no translation; add it to _UNICODE_CLASSES")
    if "_" not in pattern:
        raise ValueError(rf"{pattern!r} does not allow the underscore, so \w is no translation of its classes")
    return re.compile(pattern)
