"""Without keys or tokens nobody but this host is let in."""

from __future__ import annotations

import pytest

from streamproc.web.guard import safe_listen


@pytest.mark.parametrize(
    ("listen", "guarded", "bound"),
    [
        ("0.0.0.0:4566", False, "127.0.0.1:4566"),
        ("192.168.1.7:80", False, "127.0.0.1:80"),
        ("edge-box:80", False, "127.0.0.1:80"),
        ("[::]:4566", False, "[::1]:4566"),
        ("127.0.0.2:4566", False, "127.0.0.2:4566"),
        ("localhost:4566", False, "localhost:4566"),
        ("0.0.0.0:4566", True, "0.0.0.0:4566"),
    ],
)
def test_what_is_bound(listen: str, guarded: bool, bound: str) -> None:
    assert safe_listen(listen, guarded) == bound
