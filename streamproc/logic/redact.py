"""Text and documents without secrets. Applied where an error, a log line or a description is made, not where it is shown.

What is shown is what is known to be harmless: of a URL the scheme, host and port; of a camera's path the words and numbers that cameras use
there; of a query the few keys that say which picture is wanted. Everything else is hidden, since secrets stand in userinfo, in paths (XMeye's
``user=..._password=...``, UniFi's and Telegram's tokens, Slack's and Discord's webhooks, ntfy's topics) and in queries alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_SCHEME = re.compile(r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]{0,15})://")
_END = re.compile(r"[\s'\"<>,]|[.:;)](?=\s|$)")
"""Where a URL in running text ends."""
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._\-]*)(?::\d{1,5})?$")
_WORD = r"(?:[A-Z]?[a-z]{3,15}\d{0,4}|\d{1,4})"
_CAMERA_SEGMENT = re.compile(rf"(?:[A-Z]?[a-z]{{1,15}}\d{{0,4}}|\d{{1,4}})(?:[-_.]?{_WORD})*")
"""What cameras call their streams: ``Streaming/Channels/101``, ``h264Preview_01_main``, ``axis-media/media.amp``. A random token is none."""
_CAMERA_QUERY = re.compile(
    r"(?:channel|subtype|stream|streamtype|profile|unicast|proto|transportmode|codec|audio|video|resolution|fps|camera|width|height)"
    r"=(?:\d{1,4}|true|false|tcp|udp|h26[45]|main|sub|onvif|unicast|multicast|\d{1,4}x\d{1,4})",
    re.IGNORECASE,
)
_OPEN_SCHEMES = frozenset({"s3", "file", "kvs", "kafka", "arn"})
"""Their paths are names that the user gave to things, and what errors about them are for."""
_CAMERA_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp"})
_ASSIGNED = re.compile(
    r"((?:pass|pwd|token|secret|signature|credential|auth|api_?key|access_?key|private_?key)[\w\-]*\s*=\s*)[^\s&'\"]+",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(
    r"(pass|pwd|secret|token|credential|sasl|api_?key|access_?key|private_?key|authorization)", re.IGNORECASE
)
_NO_SECRET_KEY = re.compile(r"(_env|_file|key_id|sasl_mechanism)$", re.IGNORECASE)
_HIDDEN_MAPPINGS = frozenset({"headers"})
"""Keys whose values are all hidden: any header may carry a token."""


def redact(text: str) -> str:
    """``text`` with what may be secret of every URL in it hidden, and values that are assigned to secret-looking words."""
    parts, at = [], 0
    found = list(_SCHEME.finditer(text))
    for index, match in enumerate(found):
        if match.start() < at:
            continue
        limit = found[index + 1].start() if index + 1 < len(found) else len(text)
        line_end = text.find("\n", match.end(), limit)
        rest = text[match.end() : limit if line_end < 0 else line_end]
        shown, used = _shown(match.group(1).lower(), rest)
        parts += [text[at : match.start()], match.group(1), "://", shown]
        at = match.end() + used
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", "".join([*parts, text[at:]]))


def is_secret_key(key: str) -> bool:
    """Whether a config key's value is a secret by its name; names of variables, files and key ids are none."""
    return bool(_SECRET_KEY.search(key)) and not _NO_SECRET_KEY.search(key)


def may_be_echoed(where: tuple[str | int, ...]) -> bool:
    """Whether an error may repeat the value that stands at this place of a config: not of URLs, headers and secrets."""
    keys = [part for part in where if isinstance(part, str)]
    return not any(is_secret_key(key) or key in _HIDDEN_MAPPINGS or "url" in key.lower() for key in keys)


def without_secrets(value: Any, key: str = "") -> Any:
    """A JSON-ready document with the values of secret-looking keys and of headers hidden, and URLs as ``redact`` shows them."""
    if isinstance(value, Mapping):
        if key in _HIDDEN_MAPPINGS:
            return dict.fromkeys(map(str, value), HIDDEN)
        return {name: without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item, key) for item in value]
    if value is not None and not isinstance(value, bool) and is_secret_key(key):
        return HIDDEN
    return redact(value) if isinstance(value, str) else value


def _shown(scheme: str, rest: str) -> tuple[str, int]:
    """What is shown of a URL behind ``://``, and how many characters of ``rest`` it takes.

    ``rest`` reaches to the end of the line: a password may hold a space, ``/``, ``?`` or ``#``, so userinfo goes to the last ``@`` there.
    """
    userinfo = "" if scheme in _OPEN_SCHEMES else rest[: rest.rfind("@") + 1]
    behind = rest[len(userinfo) :]
    end = _END.search(behind)
    url = behind[: end.start()] if end else behind
    slash = re.search(r"[/?#]", url)
    host, tail = (url[: slash.start()], url[slash.start() :]) if slash else (url, "")
    if not _HOST.fullmatch(host):
        host = HIDDEN
    return (f"{HIDDEN}@" if userinfo else "") + host + _shown_tail(scheme, tail), len(userinfo) + len(url)


def _shown_tail(scheme: str, tail: str) -> str:
    path, mark, query = tail.partition("?")
    if scheme in _OPEN_SCHEMES:
        return path + (mark and f"?{HIDDEN}")
    if scheme not in _CAMERA_SCHEMES:
        return tail if tail in ("", "/") else f"/{HIDDEN}"
    path, fragment, _ = path.partition("#")
    segments = [
        segment if not segment or (_CAMERA_SEGMENT.fullmatch(segment) and len(segment) <= 32) else HIDDEN
        for segment in path.split("/")
    ]
    shown = "/".join(segments) + (f"#{HIDDEN}" if fragment else "")
    pairs = [pair if _CAMERA_QUERY.fullmatch(pair) else HIDDEN for pair in query.split("&")] if query else []
    return shown + mark + "&".join(pairs)
