"""Text and documents without secrets. Applied where an error, a log line or a description is made, not where it is shown.

What is shown is what is known to be harmless: of a URL the scheme, host and port; of a camera's path the words and numbers that cameras use
there; of a query the few keys that say which picture is wanted. Everything else is hidden, since secrets stand in userinfo, in paths (XMeye's
``user=..._password=...``, UniFi's and Telegram's tokens, Slack's and Discord's webhooks, ntfy's topics) and in queries alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"

_SCHEME = re.compile(r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]{0,15})://")
_END = re.compile(r"[\s'\"<>]|[.,:;)](?=\s|$)")
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
_SECRET_LINE = re.compile(rf"({_SECRET_KEY.pattern}\w*[\"']?\s*:).*", re.IGNORECASE)
_NO_SECRET_KEY = re.compile(r"(_env|_file|key_id|sasl_mechanism)$", re.IGNORECASE)
_HIDDEN_MAPPINGS = frozenset({"headers"})
"""Keys whose values are all hidden: any header may carry a token."""
_BODY = "template"
"""Of a web hook: Pushover and others want their token in the body."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
"""A name of an environment variable as people write them. Who puts the password itself there writes something else."""
_TOKEN_LIKE = re.compile(r"(?=[A-Za-z_\-]*\d)(?=[\d_\-]*[A-Za-z])[A-Za-z0-9_\-]{6,}|[^\s\x20-\x7e]{6,}")
"""Letters and digits in one run."""
_HARMLESS = re.compile(r"[A-Za-z0-9_ .,:%+\-/\\]{0,60}")
"""What an error may repeat of a value."""


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


def redact_url(url: str) -> str:
    """An address and nothing else, whatever odd characters stand in it; a text that is none as ``redact`` has it."""
    address = _SCHEME.match(url)
    if address is None:
        return redact(url)
    return f"{address.group(1)}://{_shown(address.group(1).lower(), url[address.end() :], whole=True)[0]}"


def is_secret_key(key: str) -> bool:
    """Whether a config key's value is a secret by its name; names of variables, files and key ids are none."""
    return bool(_SECRET_KEY.search(key)) and not _NO_SECRET_KEY.search(key)


def shown_variable(name: str) -> str:
    """The name of an environment variable; hidden where it looks like no such name, since it may be the secret itself."""
    return name if _VARIABLE.fullmatch(name) else HIDDEN


def echo(value: Any) -> str:
    """``value`` as an error repeats it: quoted where it is a short harmless text, else hidden."""
    if isinstance(value, str):
        return repr(value) if _HARMLESS.fullmatch(value) and not _TOKEN_LIKE.search(value) else HIDDEN
    return repr(value) if value is None or isinstance(value, bool | int | float) else HIDDEN


def redact_loosely(text: str) -> str:
    """A text of which nobody knows what stands where, a broken config: also what only looks like a token, and the rest of a secret key's line."""
    return "\n".join(
        _TOKEN_LIKE.sub(HIDDEN, _SECRET_LINE.sub(rf"\g<1> {HIDDEN}", redact(line))) for line in text.split("\n")
    )


def without(text: str, secrets: Iterable[str]) -> str:
    """``text``, which somebody else wrote who was told these secrets, without them and without parts of them that they are made of."""
    parts = {part for secret in secrets for part in (secret, *re.split(r"[^A-Za-z0-9_\-]+", secret)) if len(part) >= 4}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, HIDDEN)
    return text


def may_be_echoed(where: tuple[str | int, ...]) -> bool:
    """Whether an error may repeat the value that stands at this place of a config: not of URLs, headers and secrets."""
    keys = [part for part in where if isinstance(part, str)]
    return not any(is_secret_key(key) or key in _HIDDEN_MAPPINGS or "url" in key.lower() for key in keys)


def without_secrets(value: Any, key: str = "") -> Any:
    """A JSON-ready document with the values of secret-looking keys and of headers hidden, and URLs as ``redact`` shows them."""
    if isinstance(value, Mapping):
        if key in _HIDDEN_MAPPINGS:
            return dict.fromkeys(map(str, value), HIDDEN)
        return {name: without_secrets(item, _inner(key, str(name))) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item, key) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if is_secret_key(key) or key in _HIDDEN_MAPPINGS:
        return HIDDEN
    if not isinstance(value, str):
        return value
    if key.endswith("_env"):
        return shown_variable(value)
    if key == _BODY:
        return _TOKEN_LIKE.sub(HIDDEN, redact(value))
    if _SCHEME.match(value):
        return redact_url(value)
    if "url" in key.lower():
        return value if echo(value) != HIDDEN else HIDDEN
    return redact(value)


def _inner(key: str, name: str) -> str:
    """The key by which a value within a mapping is judged: names of headers and keys of a body are the user's own words."""
    if key.endswith("_env"):
        return key
    return _BODY if key == _BODY and not is_secret_key(name) else name


def _shown(scheme: str, rest: str, whole: bool = False) -> tuple[str, int]:
    """What is shown of a URL behind ``://``, and how many characters of ``rest`` it takes.

    ``rest`` reaches to the end of the line: a password may hold a space, ``/``, ``?`` or ``#``, so userinfo goes to the last ``@`` there.
    ``whole``: all of it is the URL.
    """
    userinfo = "" if scheme in _OPEN_SCHEMES else rest[: rest.rfind("@") + 1]
    behind = rest[len(userinfo) :]
    if userinfo and _HOST.fullmatch(re.split(r"[/?#]", userinfo)[0]) and re.search(r"[/?#]", userinfo):
        # Either the user and a password with a slash, or a host whose path or query has an @: which one nobody can tell.
        end = None if whole else _END.search(behind)
        return HIDDEN, len(rest) if end is None else len(userinfo) + end.start()
    end = None if whole else _END.search(behind)
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
