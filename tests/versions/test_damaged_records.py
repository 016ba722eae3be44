"""Records that say what cannot be: the file that they are of suffers, nobody else, and nobody waits."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.model import Capabilities, Entry, Key, Mark, Version, VersionId, Write, WriteId
from vstorefs.stores.ids import new_id
from vstorefs.stores.retry import Retrying
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings
from vstorefs.versions.records import Area, RecordKind, Summary
from vstorefs.workers.messages import Listed

BAD, GOOD = Key("d/bad"), Key("d/good")
FINDINGS = Findings(put=True, parts=True, copy=True)


def opened(shelf: Shelf) -> PortableStore:
    """A store of a host that has seen nothing of it yet."""
    return PortableStore(MemoryBucket(shelf), Capabilities(writable=True), lambda: FINDINGS)


def written(store: PortableStore, key: Key, source: Path, base: Version | None) -> Version:
    identity = new_id()
    token = base.token if base is not None else None
    size = source.stat().st_size
    write = Write(WriteId(identity), VersionId(identity), 1, token, size=size, uid=7, gid=7)
    return store.put(key, source, write)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two files of two versions each, the second in its record."""
    shelf = Shelf(page=1000)
    store = opened(shelf)
    store.ready()
    for key in (BAD, GOOD):
        base = None
        for content in (b"first", b"second"):
            (tmp_path / "source").write_bytes(content)
            base = written(store, key, tmp_path / "source", base)
    return shelf


def garble(shelf: Shelf, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the newest record of the bad file says."""
    name = max(one for one in shelf.objects if one.startswith(f"{Area.HEADS.value}{BAD}@"))
    body = json.loads(shelf.objects[name].data)
    changed = change(body)
    data = changed if isinstance(changed, bytes) else json.dumps(body).encode()
    shelf.objects[name] = replace(shelf.objects[name], data=data)


def shown(store: PortableStore) -> dict[Key, Entry]:
    found = {one.key: one for page in store.list(Key("d")) for one in page.entries}
    # As a worker tells it to the front.
    msgspec.msgpack.decode(msgspec.msgpack.encode(Listed(tuple(found.values()), 0)), type=Listed)
    return found


def read(store: PortableStore, entry: Entry) -> bytes:
    """As a worker reads, on a clock that stands still: who waited here would wait for ever."""
    patient = Retrying(store, sleep=_never, now=lambda: 0.0)
    return b"".join(patient.read(entry.key, entry.token, 0, entry.size))


def _never(_seconds: float) -> None:
    raise AssertionError("a damaged record does not heal by waiting")


def the_good_one_is_well(store: PortableStore) -> None:
    assert read(store, shown(store)[GOOD]) == b"second"
    assert store.stat(GOOD).size == 6
    assert [one.size for one in store.history(GOOD)] == [5, 6]
    histories = dict(store.histories(Key("")))
    assert [one.size for one in histories[GOOD]] == [5, 6]
    msgspec.msgpack.encode(list(histories.values()))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("inline"),
        lambda body: body.update(inline=None),
        lambda body: body.update(inline=""),
        lambda body: body.update(inline="AAAA"),
        lambda body: body.update(inline="?"),
        lambda body: body.update(uid=-5),
        lambda body: body.update(uid=1 << 40),
        lambda body: body.update(gid=10**25),
        lambda body: body.update(uid="root"),
        lambda body: body.update(plain={"id": "x", "size": 10**25, "modified": 0}),
        lambda body: body.update(plain={"id": "x", "size": 1, "modified": 1 << 64}),
        lambda body: b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        lambda body: b"[" * 200_000,
        lambda body: b'{"path":"\xff"}',
        lambda body: b"",
    ],
)
def test_a_damaged_body_harms_its_file_alone(
    shelf: Shelf, change: Callable[[dict[str, Any]], object]
) -> None:
    garble(shelf, change)
    store = opened(shelf)
    with pytest.raises(errors.Corrupt):
        read(store, shown(store)[BAD])
    the_good_one_is_well(store)
    assert [one.size for one in store.history(BAD)] == [5, 6]


@pytest.mark.parametrize("what", ["time", "size"])
def test_a_name_that_says_too_much_harms_its_file_alone(shelf: Shelf, what: str) -> None:
    """The characters of a name have room for more than a time, or a size, can be."""
    newest = max(one for one in shelf.objects if one.startswith(f"{Area.HEADS.value}{BAD}@"))
    at = len(newest) - records.SUMMARY_CHARS + {"time": 9, "size": 22}[what]
    width = {"time": 13, "size": 11}[what]
    wild = newest[:at] + "z" * width + newest[at + width :]
    shelf.objects[wild] = shelf.objects[newest]
    store = opened(shelf)
    shown(store)
    the_good_one_is_well(store)
    msgspec.msgpack.encode(store.history(BAD))


def test_a_summary_has_only_times_that_can_be() -> None:
    last = Summary(1, RecordKind.CONTENT, (1 << 63) - 1, 0, 0, stat.S_IFREG, "-" * 8, "a" * 26)
    text = last.encode()
    assert records.decode_summary(text) == last
    assert records.decode_summary(text[:9] + "z" * 13 + text[22:]) is None
    with pytest.raises(errors.NotSupported):
        replace(last, time_ns=1 << 63)


@pytest.mark.parametrize(
    "told",
    [
        {"mtime": str(1 << 64)},
        {"mtime": "9" * 5000},
        {"time": "-1"},
        {"time": str(10**25)},
        {"mode": "-5"},
        {"mode": "7" * 30},
        {"marks": "[" * 200_000},
        {"marks": "5"},
    ],
)
def test_metadata_that_cannot_be_are_none(told: dict[str, str]) -> None:
    about = metadata.decode(
        {f"vstorefs-{name}": value for name, value in told.items()} | {"vstorefs-write": "w"}
    )
    assert about == metadata.About(WriteId("w"), marks=())
    assert Mark.OUTSIDE not in about.marks
