"""Apache Kafka itself: one KRaft node from its Maven artefacts."""

from __future__ import annotations

import base64
import contextlib
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.certificates import Authority
from tests.servers.common import ServerProcess, Unavailable, cache_dir, free_port, port_open, run_checked

VERSION = "4.1.0"
_POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>streamproc</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def install() -> Path:
    """The folder of Kafka's jars, fetched by Maven the first time."""
    libs = cache_dir() / f"kafka-{VERSION}"
    if libs.is_dir() and any(libs.glob("kafka_2.13-*.jar")):
        return libs
    if not shutil.which("java") or not shutil.which("mvn"):
        raise Unavailable("Apache Kafka needs java and mvn")
    work = cache_dir() / f"kafka-{VERSION}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "pom.xml").write_text(_POM)
    run_checked(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"],
        cwd=work,
    )
    (work / "libs").rename(libs)
    shutil.rmtree(work, ignore_errors=True)
    return libs


@dataclass(frozen=True)
class Secured:
    """Listeners that ask who is there, beside the open one, each on a port of its own."""

    authority: Authority
    """Signs the broker's certificate, and those of clients: SSL asks for one."""
    user: str
    password: str
    """May come in by SASL, PLAIN or SCRAM-SHA-256."""
    ports: Mapping[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("SSL", "SASL_PLAINTEXT", "SASL_SSL")}
    )

    def settings(self, directory: Path) -> dict[str, str]:
        """The broker's, without its listeners."""
        certificate, key = self.authority.sign("broker")
        store, trusted = directory / "broker-store.pem", self.authority.certificate
        store.write_bytes(key.read_bytes() + certificate.read_bytes())
        modules = "org.apache.kafka.common.security"
        settings = {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(trusted),
            "listener.name.ssl.ssl.client.auth": "required",
        }
        for listener in ("sasl_plaintext", "sasl_ssl"):
            place = f"listener.name.{listener}"
            plain = f'{modules}.plain.PlainLoginModule required user_{self.user}="{self.password}";'
            settings[f"{place}.plain.sasl.jaas.config"] = plain
            settings[f"{place}.scram-sha-256.sasl.jaas.config"] = f"{modules}.scram.ScramLoginModule required;"
        return settings


class KafkaServer:
    """A broker on free ports that writes only to ``directory``. ``restart`` keeps its port and its log."""

    def __init__(
        self, directory: Path, secured: Secured | None = None, behind: Mapping[int, int] | None = None
    ) -> None:
        """``behind``: further listeners, open ones: the port of each, and the port of a relay that it tells clients to come through."""
        if not shutil.which("java"):
            raise Unavailable("Apache Kafka needs java")
        self._libs = install()
        self._directory = directory
        self.port = free_port()
        self._controller = free_port()
        self._process: ServerProcess | None = None
        self._secured = secured
        self._behind = {f"BEHIND{number}": ports for number, ports in enumerate((behind or {}).items())}
        self._configure()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _configure(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        ports = {"PLAINTEXT": self.port, **(self._secured.ports if self._secured else {})}
        listeners, told = (
            ",".join(f"{name}://127.0.0.1:{port}" for name, port in (ports | found).items())
            for found in (
                {name: each for name, (each, _) in self._behind.items()},
                {name: relay for name, (_, relay) in self._behind.items()},
            )
        )
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": told,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(
                [
                    "CONTROLLER:PLAINTEXT",
                    *(f"{name}:{name}" for name in ports),
                    *(f"{name}:PLAINTEXT" for name in self._behind),
                ]
            ),
            "log.dirs": str(self._directory / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "message.max.bytes": "10485760",
        }
        settings |= self._secured.settings(self._directory) if self._secured else {}
        self._properties = self._directory / "server.properties"
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        formatted = cache_dir() / f"kafka-{VERSION}-formatted"
        if not self._secured and formatted.is_dir():
            shutil.copytree(formatted, self._directory / "data")
            return
        self._format()
        if not self._secured:
            part = formatted.with_name(f"{formatted.name}-{uuid.uuid4().hex}")
            shutil.copytree(self._directory / "data", part)
            with contextlib.suppress(OSError):  # another test was quicker
                part.rename(formatted)
            shutil.rmtree(part, ignore_errors=True)

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)]
        if self._secured:
            who = f"name={self._secured.user},password={self._secured.password}"
            command += ["--add-scram", f"SCRAM-SHA-256=[{who}]"]
        run_checked(command)

    def _java(self) -> list[str]:
        # Short-lived: one collector thread and the quick compiler halve what a start costs.
        return [
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-cp",
            f"{self._libs}/*",
        ]

    def start(self) -> KafkaServer:
        log = self._directory / "kafka.log"
        log.write_bytes(b"")
        self._process = ServerProcess([*self._java(), "kafka.Kafka", str(self._properties)], log)
        process = self._process
        process.wait_until(
            lambda: "Kafka Server started" in process.log() and port_open(self.port), timeout_s=60, what="Kafka"
        )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, *, kill: bool = False) -> None:
        if self._process:
            self._process.stop(kill=kill, timeout_s=30)
            self._process = None
