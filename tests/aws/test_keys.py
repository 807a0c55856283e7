"""Access keys: where they may come from, and that a secret is nowhere to be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.aws_protocol.keys import Key, load_keys
from streamproc.config.node import AccessKey, ServerSettings
from streamproc.core.errors import ConfigError


def test_secret_from_the_environment() -> None:
    settings = ServerSettings(credentials=(AccessKey(access_key_id="A", secret_access_key_env="EDGE"),))
    keys = load_keys(settings, Path(), {"EDGE": "hush"})
    assert keys["A"].secret == "hush"
    assert "hush" not in repr(keys)
    with pytest.raises(ConfigError, match="EDGE is not set"):
        load_keys(settings, Path(), {})


def test_secret_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("- {access_key_id: A, secret_access_key: hush, operations: ['Describe*'], processors: [porch]}\n")
    settings = ServerSettings(credentials_file=Path("keys.yaml"))
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"chmod 600"):
        load_keys(settings, tmp_path, {})
    file.chmod(0o600)
    key = load_keys(settings, tmp_path, {})["A"]
    assert key.may_call("DescribeStreamProcessor") and not key.may_call("DeleteStreamProcessor")
    assert key.may_touch("porch") and not key.may_touch("attic")


@pytest.mark.parametrize("text", ["- {access_key_id: A, secret_access_key: hush, colour: red}", "- [", "12"])
def test_a_broken_file_is_named_and_not_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"keys\.yaml") as caught:
        load_keys(ServerSettings(credentials_file=file), tmp_path, {})
    assert "hush" not in str(caught.value)


def test_a_secret_in_the_box_file_is_refused() -> None:
    settings = ServerSettings.model_validate({"credentials": [{"access_key_id": "A", "secret_access_key": "hush"}]})
    with pytest.raises(ConfigError, match="credentials_file"):
        load_keys(settings, Path(), {})


def test_one_id_twice_is_refused() -> None:
    entry = AccessKey(access_key_id="A", secret_access_key_env="EDGE")
    with pytest.raises(ConfigError, match="twice"):
        load_keys(ServerSettings(credentials=(entry, entry)), Path(), {"EDGE": "x"})


def test_a_key_without_lists_may_all() -> None:
    assert Key("A", "s").may_call("Anything") and Key("A", "s").may_touch("anything")
