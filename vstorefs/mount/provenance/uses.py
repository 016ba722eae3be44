"""What programs do with inputs, noted for the runs that they belong to.

A use is an open for reading, decided at OPEN: a file that the kernel has cached is read without any further word.
Notes are gathered and go to a worker a batch at a time, in order, so that an open waits for nothing; what follows from
them (a warning) comes a moment later. Whoever wants to see all that has been done until now waits for `settle`.

How much was read at most is what this mount has given of a content since its node is there: that is all that the kernel
can have of it.

What a run reads of its own work is no input; what that rests on is, as the version that it was (`origins.py`). A file
that another run is writing, or whose change is on its way to its store, has no version yet: its use is noted when it
gets one.
"""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from dataclasses import dataclass

import trio

from vstorefs import errors
from vstorefs.clock import Clock, utc
from vstorefs.ledger.ledger import Note
from vstorefs.ledger.manifest import Input, Place, Seen
from vstorefs.model import CHUNK_BYTES, Content, Key, RunId, Token
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.provenance.origins import Origins
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.tree.inodes import FileNode
from vstorefs.mount.tree.remote import Remote
from vstorefs.project import Project
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_PAUSE_S = 0.05
_AGAIN_S = 5.0
_BATCH = 1000
_REMEMBERED = 10_000
_ABSENT_S = 1.0
_NOTHING = Seen(token=Token(""), size=0)


@dataclass(slots=True, eq=False)
class _Tally:
    """What a run has done with one content since the last batch; times in nanoseconds."""

    run: RunId
    remote: Remote
    path: Key
    content: Content | None
    first_ns: int
    last_ns: int
    opens: int = 0
    read_bytes: int = 0
    inherited: bool = False
    pinned: bool = False
    gone: bool = False
    torn: bool = False
    was_there: bool = False

    def add(self, later: _Tally) -> None:
        """What was done after this, with the same content."""
        self.last_ns = max(self.last_ns, later.last_ns)
        self.opens += later.opens
        self.read_bytes = max(self.read_bytes, later.read_bytes)
        self.inherited |= later.inherited
        self.was_there |= later.was_there


_What = tuple[RunId, str, str, str, str]
"""Run, store, path, token, and what is told apart from ordinary uses."""


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
        self._tallies: dict[_What, _Tally] = {}
        self._absent: dict[tuple[RunId, str, str], tuple[Remote, Key, RunId]] = {}
        self._own: dict[tuple[RunId, str, str], None] = {}
        self._waiting: defaultdict[FileNode, list[tuple[RunId, int, bool]]] = defaultdict(list)
        self._posted = trio.Event()
        self._sending = trio.Lock()
        self._failures = 0
        self._origins = Origins()

    # --- what happens

    def opened(self, node: FileNode, run: RunId, *, inherited: bool = False) -> None:
        """A program of a run opened a file for reading, or had it open when its run began."""
        now_ns = self._clock.wall_ns()
        if _is_changed_by_another(node, run):
            self._waiting[node].append((run, now_ns, inherited))
            return
        tally = self._used(node, run, now_ns)
        if tally is not None:
            tally.opens += 1
            tally.inherited |= inherited

    def _used(self, node: FileNode, run: RunId, now_ns: int) -> _Tally | None:
        """The note of what a run reads in a file that no other one is changing; None for its own work alone."""
        content = node.content if node.draft is None else node.draft.rests_on
        root = None if content is None else self._origins.of(content, run)
        if content is None or root is None:
            return None
        tally = self._tally(run, node.remote, root.key, root, now_ns)
        tally.was_there |= root != node.content or self._origins.is_known(content, run)
        given = root.size if node.draft is not None else min(_served(node, content), root.size)
        tally.read_bytes = max(tally.read_bytes, given)
        return tally

    def opened_version(self, content: Content, remote: Remote, run: RunId) -> None:
        """A program opened a version by its name in `.versions/`."""
        now_ns = self._clock.wall_ns()
        tally = self._tally(run, remote, content.key, content, now_ns, apart="version")
        tally.opens += 1
        tally.pinned = True
        tally.read_bytes = content.size

    def read(self, node: FileNode, content: Content | None, run: RunId) -> None:
        """A program of a run has done with a file."""
        if content is None or node.content != content or not node.served:
            return
        if not _is_changed_by_another(node, run):
            self._used(node, run, self._clock.wall_ns())

    def torn(self, remote: Remote, content: Content, run: RunId) -> None:
        """A content changed in its store while a program read it."""
        now_ns = self._clock.wall_ns()
        self._tally(run, remote, content.key, content, now_ns, apart="torn").torn = True

    def missing(self, remote: Remote, path: Key, run: RunId) -> None:
        """A program asked for a name that is not there; that is told a moment later, unless it makes it."""
        what = (run, remote.spec.id, path)
        # Where chosen versions are shown, what is not among them has not disappeared.
        if what not in self._own and remote.moment_ns is None and not self._pinned:
            self._absent[what] = (remote, path, run)

    def changed_name(self, remote: Remote, path: Key, run: RunId) -> None:
        """A program made or removed a name: that it was not there, or is not any more, is its own doing."""
        what = (run, remote.spec.id, path)
        self._absent.pop(what, None)
        self._own[what] = None
        if len(self._own) > _REMEMBERED:
            del self._own[next(iter(self._own))]

    def published(
        self, node: FileNode, maker: RunId | None, content: Content | None, under: Content | None
    ) -> None:
        """What a run did with a file has become a version, which has bytes of another one, or never will."""
        self._runs.touch()
        if content is not None and maker is not None:
            self._origins.made(content, maker, under)
        for run, time_ns, inherited in self._waiting.pop(node, ()):
            if content is not None:
                tally = self._tally(run, node.remote, content.key, content, time_ns)
                tally.opens += 1
                tally.inherited |= inherited

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
        now_ns = self._clock.wall_ns()
        for remote, path, run in self._absent.values():
            self._tally(run, remote, path, None, now_ns, apart="gone").gone = True
        self._absent.clear()

    async def send_notes(self) -> None:
        """Return when everything that was done until now has been noted, and warned of."""
        await self._runs.ready.wait()
        self._note_absent()
        # Batches go in order. What comes meanwhile is not waited for, or a busy mount would never be done.
        for _ in range(0, len(self._tallies), _BATCH):
            if not await self._send():
                return
        async with self._sending:
            return

    async def _send(self) -> bool:
        """Send one batch; False where it could not be taken, and is kept."""
        failures = self._failures
        async with self._sending:
            if self._failures > failures:
                # That the journal takes nothing now was found out while this waited.
                return False
            await self._runs.catch_up()
            batch = list(itertools.islice(self._tallies.items(), _BATCH))
            for what, _ in batch:
                del self._tallies[what]
            if not self._tallies and self._posted.is_set():
                # One that is not set may be waited for.
                self._posted = trio.Event()
            if not batch:
                return True
            notes = tuple(self._note(tally) for _, tally in batch)
            self._runs.touch()
            answer: messages.Warned | None = None
            try:
                answer = await self._pool.ask(messages.NoteUses(notes))
            except errors.VstorefsError as error:
                log.warning("ledger: cannot record uses now: %s", error)
                self._failures += 1
                return False
            finally:
                # Whoever waited for this may have given up.
                if answer is None:
                    self._take_back(batch)
        for warning in answer.warnings:
            self._runs.warn(warning)
        return True

    def _take_back(self, batch: list[tuple[_What, _Tally]]) -> None:
        """Notes that could not be sent, with what has come meanwhile for the same."""
        newer, self._tallies = self._tallies, dict(batch)
        for what, tally in newer.items():
            older = self._tallies.setdefault(what, tally)
            if older is not tally:
                older.add(tally)
        self._posted.set()

    # --- parts

    def _tally(
        self,
        run: RunId,
        remote: Remote,
        path: Key,
        content: Content | None,
        time_ns: int,
        *,
        apart: str = "",
    ) -> _Tally:
        token = content.token if content is not None else ""
        what = (run, remote.spec.id, path, token, apart)
        tally = self._tallies.get(what)
        if tally is None:
            pinned = self._pinned or remote.moment_ns is not None
            tally = _Tally(run, remote, path, content, time_ns, time_ns, pinned=pinned)
            self._tallies[what] = tally
            self._posted.set()
        tally.last_ns = max(tally.last_ns, time_ns)
        return tally

    def _note(self, tally: _Tally) -> Note:
        spec, content = tally.remote.spec, tally.content
        seen = _NOTHING
        if content is not None:
            seen = Seen(
                token=content.token,
                size=content.size,
                version=content.version,
                strong=content.strong,
            )
        use = Input(
            place=Place(store=spec.id, alias=self._project.alias_of(spec), path=tally.path),
            content=seen,
            first_used=utc(tally.first_ns),
            last_used=utc(tally.last_ns),
            opens=tally.opens,
            read_bytes=tally.read_bytes,
            inherited=tally.inherited,
            pinned=tally.pinned,
        )
        return Note(
            run=tally.run,
            use=use,
            gone=tally.gone,
            torn=tally.torn,
            was_there=tally.was_there,
        )


def _is_changed_by_another(node: FileNode, run: RunId) -> bool:
    """Whether a file has a change that is not in its store yet, and is no work of this run."""
    if node.draft is not None:
        return node.run != run
    return node.pending > 0 and node.mover != run


def _served(node: FileNode, content: Content) -> int:
    return min(node.served.bit_count() * CHUNK_BYTES, content.size)
