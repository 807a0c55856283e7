"""Page tokens: nobody makes them up, they expire, they hold for one question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.core.errors import BadPageToken
from streamproc.logic.pages import LIFE_S, PageTokens

PAGES = PageTokens(b"secret")


@given(names=st.lists(st.text("ab.-", min_size=1, max_size=255), unique=True, max_size=30), size=st.integers(1, 7))
def test_pages_joined_are_the_list(names: list[str], size: int) -> None:
    names.sort()
    joined: list[str] = []
    token = None
    while True:
        page, token = PAGES.page("q", names, token, size, 0.0)
        joined += page
        if token is None:
            break
        assert page and len(token) <= 255
    assert joined == names


def test_a_token_expires_and_is_for_one_question_and_one_box() -> None:
    token = PAGES.seal("q", "place", 0.0)
    assert PAGES.open("q", token, LIFE_S) == "place"
    for pages, question, now in ((PAGES, "q", LIFE_S + 1), (PAGES, "other", 0), (PageTokens(b"another"), "q", 0)):
        with pytest.raises(BadPageToken):
            pages.open(question, token, now)


@given(st.text(max_size=120))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(BadPageToken):
        PAGES.open("q", text, 0.0)


def test_every_changed_byte_is_noticed() -> None:
    token = PAGES.seal("q", "place", 0.0)
    for index in range(len(token) - 2):
        with pytest.raises(BadPageToken):
            PAGES.open("q", token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :], 0.0)


def test_what_comes_and_goes_between_pages_moves_nothing_else() -> None:
    _, token = PAGES.page("q", ["b", "d", "f", "h"], None, 2, 0.0)
    assert PAGES.page("q", ["a", "b", "f", "h"], token, 9, 0.0)[0] == ["f", "h"]
    long = ["x" * 200 + str(number) for number in range(5)]
    _, token = PAGES.page("q", long, None, 2, 0.0)
    assert PAGES.page("q", long, token, 9, 0.0)[0] == long[2:]
