"""What a run reads in a content: what was there before it, or its own work, over any chain of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstorefs.model import Content, Key, RunId, StoreId, Token
from vstorefs.mount.provenance.origins import Origins

ONE, OTHER = RunId("one"), RunId("other")


def content(path: str, token: str = "t") -> Content:
    return Content(StoreId("store"), Key(path), Token(token), 1)


@pytest.fixture
def origins() -> Origins:
    return Origins()


def test_what_nobody_made_here_is_what_it_is(origins: Origins) -> None:
    assert origins.of(content("a"), ONE) == content("a")
    assert not origins.is_known(content("a"), ONE)


def test_a_chain_of_changes_leads_to_what_was_there(origins: Origins) -> None:
    origins.made(content("b"), ONE, content("a"))
    origins.made(content("c"), ONE, content("b"))
    assert origins.of(content("c"), ONE) == content("a")
    assert origins.is_known(content("c"), ONE)
    assert origins.of(content("c"), OTHER) == content("c")


def test_what_was_written_anew_rests_on_nothing_whatever_it_is_called_later(
    origins: Origins,
) -> None:
    origins.made(content("b"), ONE, None)
    origins.made(content("c"), ONE, content("b"))
    assert origins.of(content("c"), ONE) is None


def test_what_another_run_goes_on_with_rests_on_what_the_first_made(origins: Origins) -> None:
    origins.made(content("a", "t1"), ONE, None)
    origins.made(content("a", "t2"), OTHER, content("a", "t1"))
    assert origins.of(content("a", "t2"), OTHER) == content("a", "t1")
    assert origins.of(content("a", "t2"), ONE) == content("a", "t2")


def test_renamed_there_and_back_it_is_what_it_was(origins: Origins) -> None:
    origins.made(content("b"), ONE, content("a"))
    origins.made(content("a"), ONE, content("b"))
    assert origins.of(content("a"), ONE) == content("a")
    assert origins.is_known(content("a"), ONE)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "a", "b", "c"]))))
def test_what_is_found_is_never_what_the_run_has_written_anew(
    changes: list[tuple[str, str]],
) -> None:
    origins = Origins()
    root = {name: name for name in "abc"}
    now = {name: content(name, "0") for name in "abc"}
    for number, (target, source) in enumerate(changes, 1):
        made = content(target, str(number))
        origins.made(made, ONE, now[source] if source else None)
        now[target], root[target] = made, root[source] if source else ""
    for name, found in now.items():
        expected = content(root[name], "0") if root[name] else None
        assert origins.of(found, ONE) == expected
