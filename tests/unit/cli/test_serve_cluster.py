"""A node that cannot share its processors does not start as if it did."""

from __future__ import annotations

from pathlib import Path

from tests.daemon import run_cli


def test_a_cluster_is_refused_while_it_cannot_be_served(tmp_path: Path) -> None:
    (tmp_path / "streamproc.yaml").write_text("cluster: {name: site, bootstrap_servers: '127.0.0.1:9'}\n")
    done = run_cli("serve", "--config-dir", tmp_path, "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "streamproc.yaml: cluster: this version cannot share processors yet; take it out" in done.stderr
    assert not (tmp_path / "data").exists()
