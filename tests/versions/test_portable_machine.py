"""The portable layout against the simplest model there is: what a path shows, and how often it changed."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.digests import hash_file
from vstorefs.model import (
    Capabilities,
    EntryKind,
    Key,
    Token,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.ids import new_id
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings

_FILES = st.sampled_from([Key(name) for name in ("a", "b", "d/a", "d/@", "d/e/~", "d/e/f")])
_FOLDERS = st.sampled_from([Key(name) for name in ("d", "d/e", "x")])
_HOSTS = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """Several hosts, one after the other; another tool now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_790_000_000_000_000_000
        self.number = 0
        self.heads: dict[Key, bytes] = {}
        self.contents: dict[Key, list[bytes]] = {}
        self.folders: set[Key] = set()

    @initialize(put=st.booleans(), copy=st.booleans())
    def begin(self, put: bool, copy: bool) -> None:
        self.shelf = Shelf(conditions=put)
        found = Findings(put, put, put and copy, pinned=True)
        self.stores = [
            PortableStore(MemoryBucket(self.shelf), Capabilities(writable=True), lambda: found)
            for _ in range(3)
        ]

    def teardown(self) -> None:
        self.folder.cleanup()

    def write(self) -> Write:
        self.now += 1_000_000
        return Write(WriteId(new_id()), VersionId(new_id()), self.now, None)

    def token(self, host: int, path: Key) -> Token | None:
        try:
            return self.stores[host].stat(path).token
        except errors.NotFound:
            return None

    @rule(host=_HOSTS, path=_FILES, large=st.booleans(), mode=st.sampled_from([None, 0o600]))
    def put(self, host: int, path: Key, large: bool, mode: int | None) -> None:
        self.number += 1
        data = f"content {self.number}".encode() * (2000 if large else 1)
        source = Path(self.folder.name) / "source"
        source.write_bytes(data)
        base = self.token(host, path)
        write = replace(
            self.write(), base=base, size=len(data), hashes=hash_file(source), mode=mode
        )
        made = self.stores[host].put(path, source, write)
        assert made.is_head
        assert made.marks == ()
        self.heads[path] = data
        self.contents.setdefault(path, []).append(data)

    @rule(host=_HOSTS, path=_FILES)
    def remove(self, host: int, path: Key) -> None:
        write = replace(self.write(), base=self.token(host, path))
        removed = self.stores[host].remove(path, write)
        assert (removed is not None) == (path in self.heads)
        self.heads.pop(path, None)

    @rule(host=_HOSTS, path=_FILES, to=_FILES)
    def rename(self, host: int, path: Key, to: Key) -> None:
        if path == to or path not in self.heads:
            return
        token = self.token(host, path)
        assert token is not None
        write = replace(self.write(), base=self.token(host, to))
        self.stores[host].copy(path, token, to, write)
        self.stores[host].remove(path, replace(self.write(), base=token))
        self.heads[to] = self.heads.pop(path)
        self.contents.setdefault(to, []).append(self.heads[to])

    @rule(host=_HOSTS, path=_FILES, mode=st.sampled_from([0o600, 0o755]))
    def change_mode(self, host: int, path: Key, mode: int) -> None:
        write = replace(self.write(), mode=mode)
        if path not in self.heads:
            with pytest.raises(errors.NotFound):
                self.stores[host].set_attributes(path, write)
            return
        assert self.stores[host].set_attributes(path, write).mode == mode
        assert self.stores[0].stat(path).mode == mode

    @rule(host=_HOSTS, path=_FILES)
    def tidy(self, host: int, path: Key) -> None:
        self.stores[host].tidy(path)

    @rule(host=_HOSTS, folder=_FOLDERS)
    def make_folder(self, host: int, folder: Key) -> None:
        try:
            self.stores[host].make_directory(folder, self.write())
        except errors.AlreadyExists:
            assert folder in self.folders or self.is_there(folder)
        self.folders.add(folder)

    @rule(host=_HOSTS, folder=_FOLDERS)
    def remove_folder(self, host: int, folder: Key) -> None:
        inside = [*self.heads, *(self.folders - {folder})]
        if any(one.startswith(f"{folder}/") for one in inside):
            with pytest.raises(errors.NotSupported):
                self.stores[host].remove_directory(folder, self.write())
            return
        try:
            self.stores[host].remove_directory(folder, self.write())
        except errors.NotSupported:
            # Folders that nobody made and that only superseded files are left in go from below.
            assert folder == "d"
            return
        self.folders.discard(folder)

    @rule(path=_FILES)
    def another_tool_writes(self, path: Key) -> None:
        self.number += 1
        data = f"outside {self.number}".encode()
        self.shelf.objects.pop(path, None)
        self.shelf.write(path, data, {}, absent=False)
        self.heads[path] = data

    def is_there(self, folder: Key) -> bool:
        return any(one.startswith(f"{folder}/") for one in self.heads)

    @invariant()
    def every_host_shows_the_same(self) -> None:
        if not hasattr(self, "stores"):
            return
        shown: list[dict[Key, bytes]] = []
        for store in self.stores[:2]:
            found: dict[Key, bytes] = {}
            waiting = [Key("")]
            folders: set[Key] = set()
            while waiting:
                for page in store.list(waiting.pop()):
                    for entry in page.entries:
                        if entry.kind is EntryKind.DIRECTORY:
                            assert entry.key not in folders
                            folders.add(entry.key)
                            waiting.append(entry.key)
                        else:
                            found[entry.key] = b"".join(
                                store.read(entry.key, entry.token, 0, entry.size)
                            )
            shown.append(found)
            assert self.folders <= folders
        assert shown == [self.heads, self.heads]

    @invariant()
    def no_content_of_ours_is_lost(self) -> None:
        for path, wanted in self.contents.items():
            history = self.stores[2].history(path)
            kept = [
                b"".join(self.stores[2].read(path, one.token, 0, one.size))
                for one in history
                if one.kind is VersionKind.CONTENT and one.token and one.write_id is not None
            ]
            # What was under a plain key is lost to another tool that writes over it, and only that.
            lost = Counter(wanted) - Counter(kept)
            assert Counter(kept) - Counter(wanted) == Counter()
            assert lost.total() <= 1
            left = list(wanted)
            for data in lost:
                left.remove(data)
            assert left == kept
        assert [name for name in self.shelf.taken_away if name.startswith(".vstorefs/")] == []


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
