"""Who may what, and how often a password may be tried."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streamproc.web.attempts import ALLOWED, LONGEST_S, WINDOW_S, Attempts
from streamproc.web.passwords import hash_password, is_hash, matches
from streamproc.web.roles import ROLES, Identity, needed, rights_of_token


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/api/processors", "view"),
        ("GET", "/api/events", "view"),
        ("GET", "/api/facesimile", "view"),
        ("GET", "/api/faces", "review"),
        ("GET", "/api/faces/family/people", "review"),
        ("POST", "/api/faces/family", "review"),
        ("GET", "/api/jobs/1/result", "review"),
        ("GET", "/api/events/x/feedback", "review"),
        ("POST", "/api/events/x/feedback", "review"),
        ("PUT", "/api/processors/door", "control"),
        ("DELETE", "/api/processors/door", "control"),
        ("POST", "/api/outputs/x/test", "control"),
        ("GET", "/api/settings", "admin"),
        ("POST", "/api/settings/check", "admin"),
        ("GET", "/api/cluster", "view"),
        ("POST", "/api/cluster/drain", "admin"),
    ],
)
def test_what_a_request_needs(method: str, path: str, right: str) -> None:
    assert needed(method, path) == right


def test_each_role_has_the_rights_of_those_before_it() -> None:
    sizes = [ROLES[role] for role in ("view", "review", "control", "admin")]
    assert all(before < after for before, after in pairwise(sizes))
    assert [Identity("x", ROLES[role]).role for role in ROLES] == list(ROLES)


def test_a_tokens_words() -> None:
    assert rights_of_token(frozenset({"control"})) == {"view", "review", "control"}
    assert rights_of_token(frozenset({"watch"})) == {"watch"}
    assert rights_of_token(frozenset({"publish", "view"})) == {"publish", "view"}


def test_five_tries_then_waits_that_double() -> None:
    attempts, now = Attempts(), 1000.0
    for _ in range(ALLOWED):
        assert attempts.wait_s("a", now) == 0
        attempts.begin("a", now)
    assert attempts.wait_s("a", now) == WINDOW_S
    assert attempts.wait_s("b", now) == 0
    waits = []
    for _ in range(8):
        now += attempts.wait_s("a", now)
        attempts.begin("a", now)
        waits.append(attempts.wait_s("a", now))
    assert waits[:3] == [2 * WINDOW_S, 4 * WINDOW_S, 8 * WINDOW_S]
    assert waits[-1] == LONGEST_S


def test_success_and_time_forgive() -> None:
    attempts = Attempts()
    for _ in range(ALLOWED - 1):
        attempts.begin("a", 0.0)
    attempts.succeeded("a")
    attempts.begin("a", 1.0)
    assert attempts.wait_s("a", 1.0) == 0
    for _ in range(20):
        attempts.begin("b", 0.0)
    attempts.begin("b", 2.5 * LONGEST_S)
    assert attempts.wait_s("b", 2.5 * LONGEST_S) == 0


def test_passwords() -> None:
    hashed = hash_password("correct horse")
    assert is_hash(hashed) and not is_hash("correct horse")
    assert matches(hashed, "correct horse")
    assert not matches(hashed, "battery staple")
    assert not matches(None, "x" * 40)
    assert not matches("$argon2id$damaged", "correct horse")
