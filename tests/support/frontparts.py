"""What writes of a front, put together without a kernel and without workers.

The parts are the real ones. In the place of the workers is a pool that lists what a test says, takes entries into a
journal that is a list, and publishes an entry when the test says so.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
import trio.testing

from vstorefs import errors
from vstorefs.ledger.ledger import Note
from vstorefs.model import (
    CHUNK_BYTES,
    Capabilities,
    Content,
    Entry,
    EntryKind,
    JournalEntry,
    Key,
    Operation,
    RunId,
    SessionId,
    StoreId,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    parent_of,
)
from vstorefs.mount.backend.job import OnReport
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Inodes
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import draft_of
from vstorefs.mount.writing.names import Names
from vstorefs.mount.writing.renames import Renames
from vstorefs.mount.writing.scratch import ScratchNames
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.state.staging import StagingArea
from vstorefs.workers import messages

STORE = StoreId("store")
RUN = RunId("run")
NOW_NS = 1_800_000_000_000_000_000
NO_JOURNAL = errors.Unavailable("the disk of the journal is full")


@dataclass
class StillClock:
    """A clock that goes on when a test says so."""

    now_s: float = 1000.0

    def wall_ns(self) -> int:
        return NOW_NS + int((self.now_s - 1000.0) * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s


@dataclass(eq=False)
class Publishing:
    """An entry that a worker was asked to publish."""

    entry: JournalEntry
    done: trio.Event = field(default_factory=trio.Event)
    answer: messages.Published | errors.VstorefsError | None = None


@dataclass
class AnsweringPool:
    """Stands where the workers do.

    `listed`: what the store lists, by path; `contents`: what it has, by token. `journal`: the entries that were taken,
    `dropped`: the numbers of those that were ended. `notes`: what was noted of runs.
    """

    clock: StillClock
    listed: dict[str, Entry] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    refusal: BaseException | None = None
    no_room: errors.StoreError | None = None
    before_record: Callable[[], None] = lambda: None
    under_way: list[Publishing] = field(default_factory=list)
    listings: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    hashes_asked: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _seqs: Any = field(default_factory=lambda: itertools.count(1))

    async def ask(
        self, request: messages.AnyRequest, *, on_report: OnReport | None = None, **_: Any
    ) -> messages.Answer:
        await trio.lowlevel.checkpoint()
        match request:
            case messages.Check():
                return messages.Checked(Capabilities(writable=True))
            case messages.Look() | messages.SetAside() | messages.CheckRoom():
                return self._noted(request)
            case messages.ListDirectory(_, directory, _):
                self.listings += 1
                there = [one for one in self.listed.values() if parent_of(one.key) == directory]
                return messages.Listed(tuple(there), self.clock.monotonic_s())
            case messages.Record(entries, drop):
                self.before_record()
                if self.refusal is not None:
                    raise self.refusal
                self.journal += entries
                self.dropped += drop
                return messages.Recorded(tuple(next(self._seqs) for _ in entries))
            case messages.Fetch(content, first, last):
                return self._fetch(content, range(first, last), on_report)
            case messages.Known(content):
                self.hashes_asked.append(content.key)
                return messages.HashesKnown(None, read=True)
            case messages.NoteUses(notes):
                self.notes += notes
                return messages.Warned(())
            case messages.ExchangeLedger():
                return messages.Exchanged(waiting=0)
        raise AssertionError(f"nobody was expected to ask {request!r}")

    def _noted(self, request: messages.AnyRequest) -> messages.Noted:
        if isinstance(request, messages.CheckRoom) and self.no_room is not None:
            raise self.no_room
        return messages.Noted()

    def _fetch(
        self, content: Content, chunks: range, on_report: OnReport | None
    ) -> messages.Fetched:
        data = self.contents.get(content.token)
        if data is None:
            raise errors.Changed("the store has another content", key=content.key)
        assert on_report is not None
        for chunk in chunks:
            start = chunk * CHUNK_BYTES
            on_report(messages.Arrived(chunk, data[start : start + CHUNK_BYTES]))
        return messages.Fetched(len(data))

    def start(self, request: messages.Publish) -> Publishing:
        publishing = Publishing(request.entry)
        self.under_way.append(publishing)
        return publishing

    async def finish(self, publishing: Publishing) -> messages.Published:
        await publishing.done.wait()
        assert publishing.answer is not None
        if isinstance(publishing.answer, errors.VstorefsError):
            raise publishing.answer
        return publishing.answer

    async def publish(self, answer: messages.Published | errors.VstorefsError) -> JournalEntry:
        """Answer for the entry that has been under way for longest, and let the front take note."""
        await trio.testing.wait_all_tasks_blocked()
        publishing = self.under_way.pop(0)
        publishing.answer = answer
        publishing.done.set()
        await trio.testing.wait_all_tasks_blocked()
        return publishing.entry

    @property
    def asked(self) -> list[tuple[Operation, str]]:
        """What the journal was asked to hold, in order."""
        return [(one.operation, one.path) for one in self.journal]


def version(path: str, token: str, size: int = 0, **more: Any) -> Version:
    """A version as a store tells of it."""
    return Version(
        Key(path),
        VersionId(f"id-{token}"),
        VersionKind.CONTENT,
        NOW_NS,
        token=Token(token),
        size=size,
        **more,
    )


def published(path: str, token: str, size: int = 0, **more: Any) -> messages.Published:
    """The store has made a version."""
    return messages.Published(version(path, token, size), **more)


@dataclass
class Front:
    """The parts, over one store."""

    clock: StillClock
    pool: AnsweringPool
    inodes: Inodes
    namespace: Namespace
    root: DirectoryNode
    uploads: Uploads
    commits: Commits
    changes: Changes
    renames: Renames
    told: list[tuple[str, Content | None]]

    def later(self) -> None:
        """A second goes by: what is listed from now on is newer than what was settled until now."""
        self.clock.now_s += 1

    def there(self, path: str, kind: EntryKind = EntryKind.FILE, token: str = "t0") -> None:
        """Something that the store lists."""
        size, target = (5, None) if kind is EntryKind.FILE else (0, "to")
        self.pool.listed[path] = Entry(
            Key(path),
            kind,
            size,
            NOW_NS - 1,
            Token("" if kind is EntryKind.DIRECTORY else token),
            target=target if kind is EntryKind.SYMLINK else None,
        )

    async def names(self, directory: DirectoryNode | None = None) -> list[str]:
        """What a program that lists a folder sees."""
        return sorted(await self.namespace.entries(directory or self.root))

    async def node(self, name: str, directory: DirectoryNode | None = None) -> Any:
        """What a program that looks a name up gets; the kernel holds it from then on."""
        node = await self.namespace.find(directory or self.root, name)
        if node is not None:
            self.inodes.looked_up(node)
        return node

    async def file(self, name: str) -> FileNode:
        node = await self.node(name)
        assert isinstance(node, FileNode)
        return node

    async def folder(self, name: str) -> DirectoryNode:
        node = await self.node(name)
        assert isinstance(node, DirectoryNode)
        return node

    async def written(self, name: str, data: bytes) -> FileNode:
        """A file that a program has created and written, and not closed."""
        node = await self.changes.create(self.root, name, 0o644, RUN)
        self.inodes.looked_up(node)
        node.pins += 1
        node.write_handles += 1
        await self.write(node, data)
        return node

    async def write(self, node: FileNode, data: bytes) -> None:
        """Bytes at the start of a file."""
        await self.commits.write(node, 0, data)

    async def read(self, node: FileNode) -> bytes:
        """All that a file has which no store has yet."""
        transfers: Any = None
        draft = draft_of(node)
        assert draft is not None
        return await draft.read(transfers, node.remote, 0, draft.size)

    async def settle(self) -> None:
        """Let everything that goes on go as far as it does."""
        await trio.testing.wait_all_tasks_blocked()

    async def close(self, node: FileNode) -> None:
        """The only handle that writes is closed."""
        await self.commits.commit_and_wait(node)
        node.pins -= 1
        node.write_handles -= 1
        await self.commits.finish(node)


@asynccontextmanager
async def front(folder: Path, *, through: bool = False) -> AsyncIterator[Front]:
    """The parts that write, until the end of the test."""
    clock = StillClock()
    pool: Any = AnsweringPool(clock)
    session = SessionId("session")
    area = StagingArea(folder, session)
    told: list[tuple[str, Content | None]] = []
    async with trio.open_nursery() as nursery:
        inodes = Inodes()
        namespace = Namespace(inodes, clock)
        remote = Remote(StoreSpec(STORE, "store", "file:///store"), pool, clock)
        await remote.check()
        root = namespace.new_root(remote)
        uploads = Uploads(pool, {STORE: remote}, clock, nursery)
        commits = Commits(
            session,
            area,
            uploads,
            namespace,
            inodes,
            clock,
            ScratchNames(),
            lambda node, run, content, under: told.append((node.name, content)),
            through=through,
        )
        names = Names(session, namespace, inodes, uploads, hidden=(".versions",))
        changes = Changes(names, namespace, commits, uploads, clock)
        renames = Renames(names, namespace, changes, commits, uploads)
        yield Front(clock, pool, inodes, namespace, root, uploads, commits, changes, renames, told)
        for node in inodes.files():
            draft = draft_of(node)
            if draft is not None:
                draft.discard()
        nursery.cancel_scope.cancel()
