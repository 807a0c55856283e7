"""Whether a file that holds a secret is readable by this process alone."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reader:
    """A process, and who else is in its groups."""

    user: int
    groups: Collection[int]
    shared_groups: Collection[int]
    """Those of ``groups`` that somebody else on this machine is in; root does not count."""


def exposed(found: os.stat_result, reader: Reader) -> bool:
    """Whether others may read (or change) it. A group may read it where it is the reader's own and nobody else is in it, and where the file
    is somebody else's, who gave it to the reader like this: so Kubernetes mounts a Secret for a pod's fsGroup (root's, mode 0440 or 0640)."""
    mode = stat.S_IMODE(found.st_mode)
    if not mode & 0o077:
        return False
    given = found.st_uid != reader.user and found.st_gid in reader.groups and found.st_gid not in reader.shared_groups
    return bool(mode & 0o037) or not given


def complaint(path: Path) -> str | None:
    """What is wrong with a secret's file and the fix; None where nothing is. Raises OSError."""
    found = path.stat()
    if not exposed(found, _this_process()):
        return None
    fix = f"chmod 600 {path}"
    if found.st_uid != os.geteuid():
        fix = f"chown {os.geteuid()} {path}; {fix}"
    return f"{path} may be read by others; run: {fix}"


def _this_process() -> Reader:
    user, groups = os.geteuid(), {os.getegid(), *os.getgroups()}
    return Reader(user, groups, {group for group in groups if _others_in(group, user)})


def _others_in(group: int, user: int) -> bool:
    try:
        named = set(grp.getgrgid(group).gr_mem)
    except KeyError:  # a number without a name: so it is in most containers
        named = set()
    others = [each for each in pwd.getpwall() if each.pw_uid not in (0, user)]
    return any(each.pw_gid == group or each.pw_name in named for each in others)
