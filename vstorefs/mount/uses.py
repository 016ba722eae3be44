"""What programs do with inputs, noted for the runs that they belong to.

A use is an open for reading, decided at OPEN: a file that the kernel has cached is read without any further word.
Notes are gathered and go to a worker a batch at a time, in order, so that an open waits for nothing; what follows from
them (a warning) comes a moment later. Whoever wants to see all that has been done until now waits for `settle`.

How much was read at most is what this mount has given of a content since its node is there: that is all that the kernel
can have of it.

A file that is being written, or on its way to its store, has no version yet: its use is noted when it gets one, unless
it is the run's own work, which is no input.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.ledger.ledger import Note
from vstorefs.ledger.manifest import Input, Place, Seen
from vstorefs.model import CHUNK_BYTES, Content, Key, RunId, Token
from vstorefs.mount.inodes import FileNode
from vstorefs.mount.pool import Pool
from vstorefs.mount.remote import Remote
from vstorefs.mount.runs import Runs
from vstorefs.project import Project
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_PAUSE_S = 0.05
_AGAIN_S = 5.0
_BATCH = 1000
_REMEMBERED = 10_000
_ABSENT_S = 1.0
_NOTHING = Seen(token=Token(""), size=0)
_What = tuple[RunId, str, str, str, bool]


class Uses:
    """The notes of one mount; touched by the front's loop only.

    `pinned`: the mount shows chosen versions, which are compared with nothing.
    """

    def __init__(
        self, pool: Pool, project: Project, runs: Runs, clock: Clock, *, pinned: bool
    ) -> None:
        self._pinned = pinned
        self._pool = pool
        self._project = project
        self._runs = runs
        self._clock = clock
        self._notes: dict[_What, Note] = {}
        self._absent: dict[tuple[RunId, str, str], Note] = {}
        self._own: dict[tuple[RunId, str, str], None] = {}
        self._waiting: defaultdict[FileNode, list[tuple[RunId, Input]]] = defaultdict(list)
        self._posted = trio.Event()
        self._sending = trio.Lock()

    # --- what happens

    def opened(self, node: FileNode, run: RunId, *, inherited: bool = False) -> None:
        """A program of a run opened a file for reading, or had it open when its run began."""
        content = node.content if node.draft is None else None
        use = self._use(node.remote, node.path, content, inherited=inherited)
        if content is not None:
            served = min(node.served.bit_count() * CHUNK_BYTES, content.size)
            self._note(Note(run=run, use=replace(use, read_bytes=served)))
        elif node.run != run:
            self._waiting[node].append((run, use))

    def opened_version(self, content: Content, remote: Remote, run: RunId) -> None:
        """A program opened a version by its name in `.versions/`."""
        use = self._use(remote, content.key, content)
        self._note(Note(run=run, use=replace(use, pinned=True, read_bytes=content.size)))

    def read(self, node: FileNode, content: Content | None, run: RunId) -> None:
        """A program of a run has done with a file."""
        if content is None or node.content != content or not node.served:
            return
        use = self._use(node.remote, node.path, content)
        served = min(node.served.bit_count() * CHUNK_BYTES, content.size)
        self._note(Note(run=run, use=replace(use, opens=0, read_bytes=served)))

    def torn(self, remote: Remote, content: Content, run: RunId) -> None:
        """A content changed in its store while a program read it."""
        self._note(Note(run=run, use=self._use(remote, content.key, content), torn=True))

    def missing(self, remote: Remote, path: Key, run: RunId) -> None:
        """A program asked for a name that is not there; that is told a moment later, unless it makes it."""
        if remote.moment_ns is not None:
            return
        what = (run, remote.spec.id, path)
        if what not in self._own:
            use = replace(self._use(remote, path, None), opens=0)
            self._absent[what] = Note(run=run, use=use, gone=True)

    def changed_name(self, remote: Remote, path: Key, run: RunId) -> None:
        """A program made or removed a name: that it was not there, or is not any more, is its own doing."""
        what = (run, remote.spec.id, path)
        self._absent.pop(what, None)
        self._own[what] = None
        if len(self._own) > _REMEMBERED:
            del self._own[next(iter(self._own))]

    def published(self, node: FileNode, content: Content | None) -> None:
        """What was written to a file has become a version, or never will."""
        for run, use in self._waiting.pop(node, ()):
            if content is not None:
                self._note(Note(run=run, use=replace(use, content=_seen(content))))

    # --- notes on their way

    async def run(self) -> None:
        """Send notes until cancelled."""
        await self._runs.ready.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_of_absent)
            while True:
                await self._posted.wait()
                await trio.sleep(_PAUSE_S if await self._send() else _AGAIN_S)

    async def _tell_of_absent(self) -> None:
        while True:
            await trio.sleep(_ABSENT_S)
            self._note_absent()

    def _note_absent(self) -> None:
        for note in self._absent.values():
            self._note(note)
        self._absent.clear()

    async def settle(self) -> None:
        """Return when everything that was done until now has been noted, and warned of."""
        await self._runs.ready.wait()
        self._note_absent()
        while self._notes:
            if not await self._send():
                return
        async with self._sending:
            return

    async def _send(self) -> bool:
        """Send one batch; False where it could not be taken, and is kept."""
        async with self._sending:
            batch = list(self._notes.items())[:_BATCH]
            for what, _ in batch:
                del self._notes[what]
            if not self._notes:
                self._posted = trio.Event()
            if not batch:
                return True
            try:
                answer = await self._pool.ask(messages.NoteUses(tuple(note for _, note in batch)))
            except errors.VstorefsError as error:
                log.warning("the ledger: uses cannot be noted now: %s", error)
                for _, note in batch:
                    self._note(note)
                return False
        assert isinstance(answer, messages.Warned)
        for warning in answer.warnings:
            self._runs.warn(warning)
        return True

    def _note(self, note: Note) -> None:
        use = note.use
        what = (
            note.run,
            use.place.store,
            use.place.path,
            use.content.token,
            note.gone or note.torn,
        )
        known = self._notes.get(what)
        if known is not None:
            note = replace(known, use=_merged(known.use, use))
        self._notes[what] = note
        self._posted.set()

    # --- parts

    def _use(
        self, remote: Remote, path: Key, content: Content | None, *, inherited: bool = False
    ) -> Input:
        now = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)
        spec = remote.spec
        return Input(
            place=Place(store=spec.id, alias=self._project.alias_of(spec), path=path),
            content=_seen(content) if content is not None else _NOTHING,
            first_used=now,
            last_used=now,
            inherited=inherited,
            pinned=self._pinned or remote.moment_ns is not None,
        )


def _seen(content: Content) -> Seen:
    return Seen(
        token=content.token, size=content.size, version=content.version, strong=content.strong
    )


def _merged(one: Input, other: Input) -> Input:
    return replace(
        one,
        last_used=max(one.last_used, other.last_used),
        opens=one.opens + other.opens,
        read_bytes=max(one.read_bytes, other.read_bytes),
        inherited=one.inherited or other.inherited,
        pinned=one.pinned and other.pinned,
    )
