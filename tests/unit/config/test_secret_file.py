"""Who may read a secret's file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streamproc.config.secret_file import Reader, complaint, exposed

ME, MY_GROUP, USERS = 999, 999, 100
READER = Reader(ME, {MY_GROUP, USERS}, {USERS})


def found(mode: int, user: int, group: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "user", "group", "wrong"),
    [
        (0o600, ME, MY_GROUP, False),
        (0o400, 0, 0, False),
        (0o440, 0, MY_GROUP, False),  # a Secret with defaultMode 0400 and an fsGroup
        (0o640, 0, MY_GROUP, False),  # ... with the default mode less others
        (0o644, 0, MY_GROUP, True),  # ... with the default mode
        (0o660, 0, MY_GROUP, True),  # the group may change it
        (0o640, 0, USERS, True),  # somebody else is in that group
        (0o640, 0, 42, True),  # a group that is not ours
        (0o640, ME, MY_GROUP, True),  # ours: we can take the right away
        (0o604, ME, MY_GROUP, True),
    ],
)
def test_who_may_read_it(mode: int, user: int, group: int, wrong: bool) -> None:
    assert exposed(found(mode, user, group), READER) is wrong


def test_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    assert complaint(path) is None
    path.chmod(0o640)
    assert complaint(path) == f"{path} may be read by others; run: chmod 600 {path}"
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    monkeypatch.setattr(os, "getgroups", list)
    monkeypatch.setattr(os, "getegid", lambda: path.stat().st_gid + 1)
    assert str(complaint(path)).endswith(f"run: chown {os.geteuid()} {path}; chmod 600 {path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o444, False)])
def test_a_mounted_secret_is_taken_by_a_process_of_its_group(mode: int, fine: bool) -> None:
    """By a process that becomes another user, who has no name here, with the file's group beside its own."""
    user, group = 64321, 64322
    script = (
        "import os, sys; from pathlib import Path; from streamproc.config.secret_file import complaint\n"
        f"os.setgroups([{group}]); os.setgid({user}); os.setuid({user})\n"
        "print(complaint(Path(sys.argv[1])))"
    )
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies where other users may not look
        Path(folder).chmod(0o711)
        path = Path(folder) / "key"
        path.touch()
        os.chown(path, 0, group)
        path.chmod(mode)
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    assert (done.stdout == "None\n") is fine and done.returncode == 0, done
