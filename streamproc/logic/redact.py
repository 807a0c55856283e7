"""Text without secrets. Applied where an error or a log line is made, not where it is shown."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s?#]*@")
_QUERY = re.compile(
    r"(?P<key>[?&;][^=\s&]*(?:pass|pwd|token|secret|key|signature|credential|auth|sig)[^=\s&]*=)[^&\s#'\"]*",
    re.IGNORECASE,
)
_HIDDEN = "***"


def redact(text: str) -> str:
    """``text`` with user, password and secret query values of every URL in it hidden."""
    text = _USERINFO.sub(rf"\g<scheme>{_HIDDEN}@", text)
    return _QUERY.sub(rf"\g<key>{_HIDDEN}", text)
