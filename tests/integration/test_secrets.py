"""A daemon with a secret in every place that takes one, asked by every way it has: nothing of them comes out."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders.secrets import PLACES, SECRETS, TOKENS, escaped, of_place
from tests.caller import Caller
from tests.daemon import Daemon, run_cli, wait_for

OF_THE_NODE = ("PASSWORD", "TOKEN", "ACCESS", "SASL", "HOOK")
"""Variables that the daemon is started with, each a secret."""
WAYS = (
    "/api/processors",
    "/api/outputs",
    "/api/settings",
    "/api/session",
    "/api/events",
    "/api/jobs",
    "/api/faces",
    "/metrics",
    "/readyz",
)
ALL_AT_ONCE = st.tuples(*(TOKENS if place.token else SECRETS for place in PLACES))


class Served:
    """The daemon, and what its own environment holds."""

    def __init__(self, folder: Path) -> None:
        self.secrets = {name: f"{name.lower()[:3]}4Zz77qrs8Yy66{name.lower()[:3]}" for name in OF_THE_NODE}
        hashed = run_cli("passwd", "--json", stdin=self.secrets["PASSWORD"] + "\n")
        environ = {
            **self.secrets,
            "HASH": json.loads(hashed.stdout)["hash"],
            "AWS_SECRET_ACCESS_KEY": self.secrets["ACCESS"],
        }
        self.secrets["hash"] = environ["HASH"]
        self.daemon = Daemon(folder, environ | {"STREAMPROC_LOG_LEVEL": "debug"})
        node = (
            "server:\n  users: [{name: ann, password_hash_env: HASH, role: admin}]\n"
            "  tokens: [{name: script, token_env: TOKEN, may: [admin, watch, publish, metrics]}]\n"
            "  credentials: [{access_key_id: AKID, secret_access_key_env: ACCESS}]\n"
            "kinesis_video: {}\n"
            "bindings:\n  streams:\n    hall: {type: rtsp, url: 'rtsp://ann:aws4Zz77qrs@127.0.0.1:9/1'}\n"
        )  # fmt: skip
        (self.daemon.config / "streamproc.yaml").write_text(node)
        self.secrets["binding"] = "aws4Zz77qrs"
        self.daemon.put("broker", _kafka("source: {type: kafka, start: latest, ", "}\nlabels: {}\n"))
        self.daemon.put("mail", _kafka("source: {type: webrtc}\nlabels: {}\noutputs: [{type: kafka, ", "}]\n"))
        self.daemon.put(
            "hook",
            "source: {type: webrtc}\nlabels: {}\noutputs: [{type: webhook, url_env: HOOK, headers_env: {X: SASL}}]\n",
        )
        self.daemon.start()
        self.call = Caller(self.daemon.port)

    def ask(self, path: str, method: str = "GET", body: object = None) -> str:
        answer = self.call(method, path, body, Authorization="Bearer " + self.secrets["TOKEN"])
        assert answer.status < 500, (path, answer.body)
        return json.dumps(answer.body, ensure_ascii=False) + json.dumps(answer.headers)

    def told(self) -> dict[str, str]:
        """Everything that comes out, by the way it took."""
        found = {path: self.ask(path) for path in WAYS}
        for row in json.loads(json.dumps(self.call("GET", "/api/processors", Authorization=self.bearer).body)):
            name = row["name"]
            for part in ("", "/events", "/regions", "/explain", "/schedule"):
                path = f"/api/processors/{name}{part}"
                found[path] = self.ask(path)
            found[f"settings {name}"] = self.ask("/api/settings?file=" + quote(f"processors/{name}.yaml"))
        for output in self.call("GET", "/api/outputs", Authorization=self.bearer).body["outputs"]:
            path = f"/api/outputs/{output['output']}/test"
            if output["type"] in ("webhook", "s3", "sns"):  # the others wait for longer than a test can
                found[path] = self.ask(path, "POST", {})
        found["wrong password"] = self._wrongly()
        found["log"] = self.daemon.log.read_text()
        return found

    @property
    def bearer(self) -> str:
        return "Bearer " + self.secrets["TOKEN"]

    def _wrongly(self) -> str:
        """Somebody who knows a part of them."""
        answers = [
            self.call("POST", "/api/session", {"name": "ann", "password": self.secrets["PASSWORD"][:-1]}),
            self.call("GET", "/api/processors", Authorization=self.bearer[:-1]),
            self.call("POST", "/whip/hook", b"v=0", Authorization=self.bearer[:-1], Content_Type="application/sdp"),
            self.call("POST", "/", {}, X_Amz_Target="RekognitionService.ListStreamProcessors"),
        ]
        return json.dumps([answer.body for answer in answers])

    def doctor(self) -> str:
        done = run_cli("doctor", "--json", "--data-dir", self.daemon.data, **self.daemon_environ)
        return done.stdout + done.stderr

    @property
    def daemon_environ(self) -> dict[str, str]:
        return {name: self.secrets[name] for name in OF_THE_NODE}


def _kafka(before: str, after: str) -> str:
    return (
        f"{before}bootstrap_servers: '127.0.0.1:9', topic: t, security_protocol: SASL_PLAINTEXT, username_env: SASL, "
        f"password_env: SASL{after}"
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    node = Served(tmp_path_factory.mktemp("secrets"))
    yield node
    node.daemon.close()


@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(secrets=ALL_AT_ONCE)
def test_no_secret_comes_out_of_a_daemon(served: Served, secrets: tuple[str, ...]) -> None:
    secrets = tuple(of_place(secret, number) for number, secret in enumerate(secrets))
    for number, (place, secret) in enumerate(zip(PLACES, secrets, strict=True)):
        served.daemon.put(f"place{number}", place.text(secret) + f"# {number}\n")
    rows = wait_for(lambda: _all_read(served), 60, "every file")
    assert {row["state"] for row in rows} >= {"refused", "stopped"}
    hidden = {secret for place, secret in zip(PLACES, secrets, strict=True) if not place.no_such}
    for way, text in served.told().items():
        found = escaped(hidden | set(served.secrets.values()), text)
        assert not found, [
            f"{way}: ...{text[max(0, at - 150) : at + 60]}" for part in found if (at := text.find(part)) >= 0
        ]


def _all_read(served: Served) -> list[dict[str, object]]:
    rows = served.call("GET", "/api/processors", Authorization=served.bearer).body
    names = {row["name"] for row in rows}
    done = names >= {f"place{number}" for number in range(len(PLACES))} and all(
        row["state"] != "starting" for row in rows
    )
    return rows if done else []


def test_no_secret_comes_out_of_the_doctor_and_of_probe(served: Served) -> None:
    assert not escaped(set(served.secrets.values()), served.doctor())
    for place, secret in ((PLACES[0], "two words#q7/?x"), (PLACES[2], "abc4Zz77"), (PLACES[3], "abc4Zz77def5Yy66")):
        url = json.loads(place.text(secret).partition("url: ")[2].partition("}")[0])
        with socket.create_server(("127.0.0.1", 0)) as camera:
            url = url.replace("127.0.0.1:9", f"127.0.0.1:{camera.getsockname()[1]}")
        done = run_cli("probe", "--json", url)
        assert done.returncode and not escaped({secret}, done.stdout + done.stderr), done.stderr
