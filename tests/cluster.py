"""Several daemons that share one folder of processors over a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.daemon import STREAMPROC, Daemon, read_lines, wait_for

ENDLESS = (
    "session: {duration: 0s, allow_long: true}\nlabels: {classes: [PERSON, PET], profile: small, min_confidence: 50}\n"
)
SLOTS = 16


class Node(Daemon):
    """One node of a cluster. Its events go to a folder of its own: ``told``."""

    def __init__(
        self, folder: Path, name: str, cluster: str, face_key: bytes, environ: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder / name, environ)
        self.name = name
        self.stopped = False
        self.out = self.config / "out"
        key_file = self.config / "faces.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(face_key)
        (self.config / "streamproc.yaml").write_text(f"cluster: {cluster}\nfaces: {{key_file: '{key_file}'}}\n")

    def launch(self) -> None:
        command = [*STREAMPROC, "serve", "--config-dir", str(self.config), "--listen", f"127.0.0.1:{self.port}"]
        command += ["--data-dir", str(self.data), "--node-id", self.name, "--address", self.url, "--json"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    def told(self) -> list[dict[str, Any]]:
        return read_lines(self.out)

    def rekognition(self) -> Any:
        """boto3's client. No keys are set: only this host is let in."""
        import boto3

        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
        return boto3.client("rekognition", endpoint_url=self.url, **keys)

    def create(self, name: str, config: dict[str, Any]) -> None:
        """By the control API of this node."""
        body = json.dumps({"name": name, "config": config}).encode()
        request = urllib.request.Request(self.url + "/api/processors", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["name"] == name

    def answers(self) -> bool:
        return self.running() and not self.stopped

    def runs(self) -> set[str]:
        """Names of the processors that run on this very node."""
        return {name for name, state in self.states().items() if state == "running"}

    def logged(self, event: str) -> list[dict[str, Any]]:
        whole = self.log.read_text().rpartition("\n")[0].splitlines()  # the last one may be half written
        lines = [json.loads(line) for line in whole if line.startswith("{") and f'"{event}"' in line]
        return [line for line in lines if line["event"] == event]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)
        self.stopped = number == signal.SIGSTOP


class Nodes:
    """The nodes, and what all of them told together."""

    def __init__(self, folder: Path, bootstrap: str, session_timeout: str = "6s") -> None:
        self.folder = folder
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.bootstrap = bootstrap
        self._timeout = session_timeout
        self.all: list[Node] = []
        self.more = ""
        """Of the part ``cluster`` of every node's ``streamproc.yaml``, in braces' form."""
        self._processors: dict[str, str] = {}

    def add(
        self,
        name: str,
        bootstrap: str | None = None,
        face_key: bytes = bytes(32),
        more: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> Node:
        """``bootstrap``: where this one finds the broker, if it is another place. ``more``: of its ``streamproc.yaml``."""
        servers = bootstrap or self.bootstrap
        inner = (
            f"name: {self.name}, bootstrap_servers: '{servers}', partitions: {SLOTS}, session_timeout: {self._timeout}"
        )
        document = f"{{{', '.join(filter(None, (inner, self.more)))}}}"
        node = Node(self.folder, name, document, face_key, environ)
        with (node.config / "streamproc.yaml").open("a") as file:
            file.write(more)
        for processor, text in self._processors.items():
            node.put(processor, text)
        self.all.append(node)
        return node

    def start(self, *names: str) -> list[Node]:
        """Nodes of these names, all at once, ready."""
        added = [self.add(name) for name in names]
        for node in added:
            node.launch()
        for node in added:
            wait_for(node.ready, what=f"readiness of {node.name}")
        return added

    def running(self) -> set[str]:
        """Names of the processors that run on some node."""
        return {name for node in self.all if node.answers() for name in node.runs()}

    def put(self, name: str, text: str) -> None:
        """A processor in the folder of every node."""
        self._processors[name] = text + "outputs: [{type: file, directory: out}]\n"
        for node in self.all:
            node.put(name, self._processors[name])

    def events(self) -> list[dict[str, Any]]:
        return [event for node in self.all for event in node.told()]

    def runners(self, processor: str) -> list[Node]:
        """Nodes that answer and say that they run it."""
        return [node for node in self.all if node.answers() and processor in node.runs()]

    def runner(self, processor: str, timeout: float = 90) -> Node:
        def found() -> Node | None:
            nodes = self.runners(processor)
            return nodes[0] if nodes else None

        node: Node = wait_for(found, timeout, f"a node that runs {processor}")
        return node

    def close(self) -> None:
        for node in self.all:
            if node.running():
                node.signal(signal.SIGCONT)
            node.close()
