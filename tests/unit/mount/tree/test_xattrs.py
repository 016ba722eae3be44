"""Extended attributes: what is known of a file, and nothing where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.contents import hashes_of
from tests.support.ledgers import START
from tests.support.pools import ScriptedPool
from vstorefs import errors
from vstorefs.ledger.changes import text
from vstorefs.ledger.manifest import ChangeWarning, Place, WarningKind
from vstorefs.model import Content, Key, RunId, StoreId, Token, VersionId
from vstorefs.mount.tree.xattrs import value_of, warning_of
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

STORE = StoreId("s")
CONTENT = Content(STORE, Key("a"), Token("token"), 3)
HASHES = hashes_of(b"abc")


def warning(kind: WarningKind) -> ChangeWarning:
    place = Place(store=STORE, alias="", path=Key("a"))
    return ChangeWarning(
        kind=kind, place=place, time=START, run=RunId("run"), before=None, now=None
    )


async def test_the_newest_warning_of_a_path_is_told(pool: ScriptedPool) -> None:
    newest = warning(WarningKind.DISAPPEARED)
    pool.answers(messages.FindWarnings, messages.Warned((warning(WarningKind.CHANGED), newest)))
    assert await warning_of(STORE, Key("a"), pool) == text(newest).encode()
    assert pool.asked == [messages.FindWarnings(STORE, Key("a"), below=False)]


async def test_a_path_without_a_warning_has_none(pool: ScriptedPool) -> None:
    pool.answers(messages.FindWarnings, messages.Warned(()))
    assert await warning_of(STORE, Key("a"), pool) is None


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
async def test_known_hashes_are_told(pool: ScriptedPool, name: str) -> None:
    pool.answers(messages.Known, messages.HashesKnown(HASHES, read=False))
    wanted = str(getattr(HASHES, name)).encode()
    assert await value_of(b"user.vstorefs." + name.encode(), CONTENT, pool) == wanted


async def test_unknown_hashes_are_no_attribute(pool: ScriptedPool) -> None:
    pool.answers(messages.Known, messages.HashesKnown(None, read=False))
    assert await value_of(b"user.vstorefs.md5", CONTENT, pool) is None


async def test_hashes_that_cannot_be_asked_for_are_an_error(pool: ScriptedPool) -> None:
    pool.answers(messages.Known, errors.Unavailable("no worker"))
    with pytest.raises(errors.Unavailable):
        await value_of(b"user.vstorefs.md5", CONTENT, pool)


async def test_a_version_is_told_by_its_id_or_else_its_token(pool: ScriptedPool) -> None:
    versioned = replace(CONTENT, version=VersionId("v7"))
    assert await value_of(b"user.vstorefs.version", versioned, pool) == b"v7"
    assert await value_of(b"user.vstorefs.version", CONTENT, pool) == b"token"


@pytest.mark.parametrize("name", [b"user.vstorefs.other", b"user.md5", b"user.vstorefs.\xff"])
async def test_other_names_are_nothing_and_cost_nothing(pool: ScriptedPool, name: bytes) -> None:
    assert await value_of(name, CONTENT, pool) is None
    assert pool.asked == []


async def test_a_new_file_has_nothing_yet(pool: ScriptedPool) -> None:
    assert await value_of(b"user.vstorefs.version", None, pool) is None
    assert pool.asked == []
