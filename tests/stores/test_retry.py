"""What only looks is asked again; what writes is not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vstorefs import errors
from vstorefs.checksums import Told
from vstorefs.model import (
    Key,
    StoreId,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.local.store import LocalStore
from vstorefs.stores.registry import resolve
from vstorefs.stores.retry import Retrying

FOUND = Version(Key("k"), VersionId("1"), VersionKind.CONTENT, 1)


class Shaky:
    """A store that fails as often as it is told, with a clock that only sleeping moves."""

    spec = StoreSpec(StoreId("s"), "s", "s3://x")

    def __init__(self, failures: int, error: type[errors.StoreError] = errors.Unavailable) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0
        self.now = 0.0
        self.asked: list[int] = []

    def _fail(self) -> None:
        self.calls += 1
        if self.failures > 0:
            self.failures -= 1
            raise self.error("no")

    def stat(self, *_: Any) -> Version:
        self._fail()
        return FOUND

    def put(self, *_: Any, **__: Any) -> None:
        self._fail()

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: VersionId | None = None,
        told: Told | None = None,
    ) -> Iterator[bytes]:
        del told
        self.asked.append(start)
        for at in range(start, end):
            if at % 3 == 2:
                self._fail()
            yield bytes([at])

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[()]]]:
        for at, name in enumerate("abcdef"):
            if at % 3 == 2:
                self._fail()
            yield Key(name), ()

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def retrying(store: Shaky, deadline_s: float = 20) -> Retrying:
    return Retrying(store, deadline_s=deadline_s, sleep=store.sleep, now=lambda: store.now)  # type: ignore[arg-type]


def test_a_question_is_asked_again_until_the_deadline() -> None:
    store = Shaky(5)
    assert retrying(store).stat(Key("k")) == FOUND
    assert store.calls == 6
    away = Shaky(10**6)
    with pytest.raises(errors.Unavailable):
        retrying(away).stat(Key("k"))
    assert 5 < away.now <= 20


def test_only_what_waiting_can_cure_is_asked_again() -> None:
    store = Shaky(1, errors.Denied)
    with pytest.raises(errors.Denied):
        retrying(store).stat(Key("k"))
    assert store.calls == 1


def test_a_write_is_never_sent_again_from_here() -> None:
    store = Shaky(1)
    with pytest.raises(errors.Unavailable):
        retrying(store).put(Key("k"), Path("x"), Write(WriteId("w"), VersionId("v"), 0, None))
    assert store.calls == 1


def test_a_body_that_ends_early_goes_on_where_it_stopped() -> None:
    store = Shaky(2)
    assert b"".join(retrying(store).read(Key("k"), Token("t"), 0, 8)) == bytes(range(8))
    assert store.asked == [0, 2, 2]


def test_histories_go_on_where_they_stopped() -> None:
    found = [key for key, _ in retrying(Shaky(3)).histories(Key(""))]
    assert found == list("abcdef")
    away = Shaky(10**6)
    with pytest.raises(errors.Unavailable):
        list(retrying(away).histories(Key("")))


def test_a_stale_handle_of_a_share_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call finds the share's handle stale twice, as after another machine replaced what it led to."""
    (tmp_path / "f").write_bytes(b"content")
    share = LocalStore(resolve("share", tmp_path.as_uri(), environ={}))
    shaky = Shaky(0)
    store = Retrying(share, sleep=shaky.sleep, now=lambda: shaky.now)

    def stale(name: str, times: int) -> None:
        real, left = getattr(os, name), [times]

        def call(*arguments: Any, **options: Any) -> Any:
            if left[0] > 0:
                left[0] -= 1
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    stale("scandir", 2)
    assert [one.key for page in store.list(Key("")) for one in page.entries] == ["f"]
    token = store.stat(Key("f")).token
    stale("pread", 2)
    assert b"".join(store.read(Key("f"), token, 0, 7)) == b"content"
    stale("scandir", 10**6)
    with pytest.raises(errors.Unavailable):
        list(store.list(Key("")))
