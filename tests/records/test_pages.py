"""Page tokens: read by who made them, for the query that they were made for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.errors import InvalidArgumentError
from modelkeep_server.records.pages import Pages

PAGES = Pages(b"k" * 32)
KEYS = st.lists(st.one_of(st.text(max_size=50), st.integers(-(2**63), 2**63 - 1)), max_size=3)


@given(st.binary(max_size=50), KEYS)
def test_a_token_gives_its_keys_back(query: bytes, keys: list[str | int]) -> None:
    assert PAGES.place(query, PAGES.token(query, keys)) == keys


@given(st.binary(max_size=50), st.binary(max_size=50), KEYS)
def test_a_token_of_another_query_is_refused(
    query: bytes, other: bytes, keys: list[str | int]
) -> None:
    token = PAGES.token(query, keys)
    if query != other:
        with pytest.raises(InvalidArgumentError) as refused:
            PAGES.place(other, token)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


def test_a_token_of_another_server_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        PAGES.place(b"q", Pages(b"x" * 32).token(b"q", [1]))


@given(st.text(max_size=200))
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        PAGES.place(b"q", token)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


@given(st.data())
def test_an_altered_token_says_the_same_or_is_refused(data: st.DataObject) -> None:
    token = PAGES.token(b"q", ["a/b", 7])
    at = data.draw(st.integers(0, len(token) - 1))
    altered = token[:at] + data.draw(st.characters()) + token[at + 1 :]
    try:
        keys = PAGES.place(b"q", altered)
    except InvalidArgumentError:
        return
    assert keys == ["a/b", 7]
