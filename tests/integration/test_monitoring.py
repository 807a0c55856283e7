"""The dashboard and the alert rules ask only for metrics and labels that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from streamproc.metrics import REGISTRY
from tests.conftest import PROJECT, skip

FOLDER = PROJECT / "docker" / "monitoring"
_OURS = re.compile(r"\b(streamproc_\w+)(?:\{([^}]*)\})?")
_EVERYWHERE = {"instance", "job", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL)."""
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]


def known() -> dict[str, set[str]]:
    """Labels by the name of each series that ``/metrics`` can have."""
    found: dict[str, set[str]] = {}
    for collector in list(REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels
    return found


@pytest.mark.parametrize(("where", "query"), list(expressions()), ids=lambda value: value if " " in value else None)
def test_every_query_is_of_metrics_that_there_are(where: str, query: str) -> None:
    series = known()
    for name, matchers in _OURS.findall(query):
        assert name in series, f"{where}: there is no {name}"
        used = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
        assert used <= series[name] | _EVERYWHERE, f"{where}: {name} has no labels {used - series[name]}"
    for grouped in re.findall(r"\bby \(([^)]*)\)", query):
        labels = {label.strip() for label in grouped.split(",")}
        assert any(labels <= series[name] | _EVERYWHERE for name, _ in _OURS.findall(query)), f"{where}: by {labels}"


def test_alerts_name_labels_that_their_series_have() -> None:
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            names = {name for name, _ in _OURS.findall(rule["expr"])}
            labels = set().union(*(known()[name] for name in names)) | _EVERYWHERE
            text = " ".join(rule["annotations"].values())
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels, rule["alert"]


def test_promtool_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        skip("promtool is missing (Debian: prometheus)")
        return
    done = subprocess.run([promtool, "check", "rules", str(FOLDER / "alerts.yaml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_promtool_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, for promtool reads nothing else."""
    promtool = shutil.which("promtool")
    if promtool is None:
        skip("promtool is missing (Debian: prometheus)")
        return
    rules = [
        {"record": f"check:{number}", "expr": query.replace("$instance", ".*")}
        for number, (where, query) in enumerate(expressions())
        if where.startswith("panel")
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
