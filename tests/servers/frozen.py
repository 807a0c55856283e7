"""A network share whose server is dead: a FUSE file system that nobody answers for. Whoever looks into it waits, until it is let go."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tests.servers.common import Unavailable

_DETACH = 2


class FrozenShare:
    """Mounted on ``directory`` until ``thaw``: who waits in it is then told that the connection is gone. Needs root."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"a frozen share needs /dev/fuse: {error.strerror}") from error
        options = f"fd={self._device},rootmode=40755,user_id={os.getuid()},group_id={os.getgid()}".encode()
        if self._libc.mount(b"frozen", os.fsencode(directory), b"fuse", 0, options):
            os.close(self._device)
            raise Unavailable(f"a frozen share cannot be mounted: {os.strerror(ctypes.get_errno())}")

    def thaw(self) -> None:
        """May be called twice."""
        if self._device >= 0:
            os.close(self._device)
            self._device = -1
            self._libc.umount2(os.fsencode(self._directory), _DETACH)
