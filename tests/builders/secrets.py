"""Every place of a config that takes a secret, or into which people put one by mistake; and how to look for it in what comes out.

A secret is made of words of letters and digits with anything printable between them, so that a part that escapes is found too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

WORD = st.from_regex(r"[a-z]{3}[0-9][a-zA-Z]{2}[0-9]{2}", fullmatch=True)
BETWEEN = st.text(st.sampled_from(" /#?@:&=%+;,!$'\"\\<>()[]{}|^~*-_.é"), max_size=2)
SECRETS = st.lists(st.tuples(BETWEEN, WORD), min_size=1, max_size=3).map(
    lambda parts: "".join(gap + word for gap, word in parts)
)
TOKENS = st.lists(WORD, min_size=2, max_size=3).map("".join)
"""As services hand them out: nothing but letters and digits."""
_WORDS = re.compile(r"[a-z]{3}[0-9][a-zA-Z]{2}[0-9]{2}")


def of_place(secret: str, number: int) -> str:
    """The secret with words that are this place's alone; ``number`` under 100."""
    return _WORDS.sub(lambda match: f"{match[0][:-2]}{number:02}", secret)


def words(secret: str) -> set[str]:
    return {*_WORDS.findall(secret), secret, quote(secret, ""), quote_plus(secret)}


def escaped(secrets: set[str], text: str) -> set[str]:
    """Parts of the secrets that stand in ``text``."""
    return {word for secret in secrets for word in words(secret) if word in text}


@dataclass(frozen=True)
class Place:
    """``text`` of a document with a secret in it. ``token``: only letters and digits can stand there."""

    name: str
    text: Callable[[str], str]
    token: bool = False
    no_such: bool = False
    """Nothing tells that the value is a secret: it is not repeated, and stands in the file's own text."""


def _q(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _source(form: str, kind: str = "rtsp") -> Callable[[str], str]:
    return lambda secret: f"source: {{type: {kind}, url: {_q(form.replace('SECRET', secret))}}}\nlabels: {{}}\n"


def _output(form: str) -> Callable[[str], str]:
    head = "source: {type: webrtc}\nlabels: {}\nstate: stopped\noutputs:\n  - "
    return lambda secret: head + re.sub(r'"([^"]*)SECRET([^"]*)"', lambda m: _q(m[1] + secret + m[2]), form) + "\n"


PLACES = (
    Place("rtsp password", _source("rtsp://admin:SECRET@127.0.0.1:9/live")),
    Place("rtsps user", _source("rtsps://SECRET:x@127.0.0.1:9/live")),
    Place("xmeye path", _source("rtsp://127.0.0.1:9/user=admin_password=SECRET_channel=1_stream=0.sdp")),
    Place("path token", _source("rtsp://127.0.0.1:9/SECRET"), token=True),
    Place("query", _source("rtsp://127.0.0.1:9/live?auth=SECRET")),
    Place("odd scheme", _source("rtmp://admin:SECRET@127.0.0.1/live")),
    Place("http camera", _source("http://admin:SECRET@127.0.0.1/mjpeg")),
    Place("srt", _source("srt://127.0.0.1:9?passphrase=SECRET")),
    Place("type is the address", lambda s: f"source: {{type: {_q('rtsp://a:' + s + '@h/1')}}}\nlabels: {{}}\n"),
    Place("source is the address", lambda s: f"source: {_q('rtsp://a:' + s + '@h/1')}\nlabels: {{}}\n"),
    Place("path is the address", lambda s: f"source: {{type: file, path: {_q('rtsp://a:' + s + '@h/1')}}}\nlabels: {{}}\n"),
    Place("password instead of its variable", lambda s: _rtsp_env(s)),
    Place("kvs address", lambda s: f"source: {{type: kvs, stream: a, endpoint_url: {_q('http://k:' + s + '@h')}}}\nlabels: {{}}\n"),
    Place("kvs key", lambda s: f"source: {{type: kvs, stream: a, access_key_id_env: A, secret_access_key_env: {_q(s)}}}\nlabels: {{}}\n"),
    Place("kvs secret", lambda s: f"source: {{type: kvs, stream: a, secret_access_key: {_q(s)}}}\nlabels: {{}}\n"),
    Place("kafka password", lambda s: f"source: {{type: kafka, bootstrap_servers: 'h:1', topic: t, sasl_plain_password: {_q(s)}}}\nlabels: {{}}\n"),
    Place("kafka variable", lambda s: _kafka(s)),
    Place("hook path", _output('{type: webhook, url: "https://127.0.0.1:9/services/SECRET"}'), token=True),
    Place("hook query", _output('{type: webhook, url: "https://127.0.0.1:9/?token=SECRET"}'), token=True),
    Place("hook user", _output('{type: webhook, url: "https://me:SECRET@127.0.0.1:9/"}')),
    Place("hook odd", _output('{type: webhook, url: "127.0.0.1/SECRET"}')),
    Place("header", _output('{type: webhook, url: "https://127.0.0.1:9/", headers: {Authorization: "Bearer SECRET"}}')),
    Place("headers no mapping", _output('{type: webhook, url: "https://127.0.0.1:9/", headers: "Bearer SECRET"}')),
    Place("header variable", _output('{type: webhook, url: "https://127.0.0.1:9/", headers_env: {X-Key: "SECRET"}}')),
    Place("hook secret", _output('{type: webhook, url: "https://127.0.0.1:9/", secret_env: "SECRET"}')),
    Place("hook body", _output('{type: webhook, url: "https://127.0.0.1:9/", template: {token: "SECRET", m: "{class}"}}')),
    Place("hook text", _output('{type: webhook, url: "https://127.0.0.1:9/", template: "token=SECRET {class}"}'), token=True),
    Place("hook list", _output('{type: webhook, url: "https://127.0.0.1:9/", template: [{user: "SECRET"}]}'), token=True),
    Place("mqtt password", _output('{type: mqtt, host: 127.0.0.1, port: 9, password: "SECRET"}')),
    Place("mqtt address", _output('{type: mqtt, host: "mqtt://u:SECRET@h"}')),
    Place("mqtt variable", _output('{type: mqtt, host: 127.0.0.1, port: 9, username_env: U, password_env: "SECRET"}')),
    Place("s3 key", _output('{type: s3, bucket: home, secret_access_key: "SECRET"}')),
    Place("s3 variable", _output('{type: s3, bucket: home, access_key_id_env: A, secret_access_key_env: "SECRET"}')),
    Place("s3 address", _output('{type: s3, bucket: home, endpoint_url: "http://k:SECRET@127.0.0.1:9"}')),
    Place("sns token", _output('{type: sns, topic_arn: "arn:aws:sns:eu-west-1:123456789012:a", session_token: "SECRET"}')),
    Place("an alias", lambda s: f"source: {{type: rtsp, url: 'rtsp://h/1', password: *{s}}}\nlabels: {{}}\n", token=True),
    Place("a tag", lambda s: f"source: {{type: rtsp, url: 'rtsp://h/1', password: !{s} x}}\nlabels: {{}}\n", token=True),
    Place("a number's place", lambda s: f"source: {{type: webrtc}}\nlabels: {{fps: {_q(s)}}}\n", no_such=True),
    Place("a duration's place", lambda s: f"source: {{type: webrtc}}\nlabels: {{}}\nsession: {{duration: {_q(s)}}}\n", no_such=True),
)  # fmt: skip
"""Of a processor's document."""
NODE_PLACES = (
    Place("token", lambda s: f"server: {{tokens: [{{name: hall, token: {_q(s)}}}]}}\n"),
    Place("token's variable", lambda s: f"server: {{tokens: [{{name: hall, token_env: {_q(s)}}}]}}\n"),
    Place("key", lambda s: f"server: {{credentials: [{{access_key_id: AK, secret_access_key: {_q(s)}}}]}}\n"),
    Place("key's variable", lambda s: f"server: {{credentials: [{{access_key_id: AK, secret_access_key_env: {_q(s)}}}]}}\n"),
    Place("session token", lambda s: f"server: {{credentials: [{{access_key_id: AK, session_token: {_q(s)}}}]}}\n"),
    Place("user", lambda s: f"server: {{users: [{{name: eve, password_hash_env: {_q(s)}}}]}}\n"),
    Place("user's password", lambda s: f"server: {{users: [{{name: eve, password: {_q(s)}}}]}}\n"),
    Place("turn", lambda s: f"webrtc: {{ice_servers: [{{url: 'turn:h:1', username: u, credential_env: {_q(s)}}}]}}\n"),
    Place("turn address", lambda s: f"webrtc: {{ice_servers: [{{url: {_q('turn://u:' + s + '@h')}}}]}}\n"),
    Place("aws address", lambda s: f"aws: {{endpoint_url: {_q('http://k:' + s + '@h/')}}}\n"),
    Place("node's output", lambda s: f"outputs: [{{type: webhook, url: {_q('https://u:' + s + '@h/')}}}]\n"),
    Place("binding", lambda s: f"bindings: {{streams: {{a: {{type: rtsp, url: {_q('rtsp://u:' + s + '@h/')}}}}}}}\n"),
)  # fmt: skip
"""Of the node's own document."""


def _rtsp_env(secret: str) -> str:
    return f"source: {{type: rtsp, url: 'rtsp://127.0.0.1:9/1', username_env: USER, password_env: {_q(secret)}}}\nlabels: {{}}\n"


def _kafka(secret: str) -> str:
    return (
        "source: {type: kafka, bootstrap_servers: '127.0.0.1:9', topic: t, security_protocol: SASL_PLAINTEXT, username_env: USER, "
        f"password_env: {_q(secret)}}}\nlabels: {{}}\n"
    )
