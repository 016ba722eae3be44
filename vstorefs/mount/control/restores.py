"""`vstorefs restore`: a worker says what is to be done, and here it is done, many files at a time.

Each change is one entry of the journal, so that a restore that is cut off is finished up to a file,
and the same command goes on.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyfuse3
import trio

from vstorefs import errors
from vstorefs.control import history as asked
from vstorefs.control.protocol import Request
from vstorefs.model import DEFAULT_FOLDER_MODE, Key, RunId, StoreId, Version, name_of, parent_of
from vstorefs.mount.control.paths import MountPaths
from vstorefs.mount.control.server import Pager, Send
from vstorefs.mount.control.surveys import follow
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.tree.inodes import DirectoryNode
from vstorefs.mount.tree.invalidation import Forgetting
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.versions.history import texts
from vstorefs.versions.history.restore import Action, Step, Wanted
from vstorefs.workers import messages

_AT_ONCE = 16
_QUIET = {Action.SAME}
_DONE_HERE = {Action.CREATE, Action.OVERWRITE, Action.REMOVE}


@dataclass(slots=True, eq=False)
class Job:
    """One restore under way."""

    remote: Remote
    base: Key
    run: RunId
    dry_run: bool
    send: Send
    counts: dict[str, int] = field(default_factory=dict)
    bytes_restored: int = 0
    sending: trio.Lock = field(default_factory=trio.Lock)


class RestoreCalls:
    """Carries out restores; touched by the front's loop only."""

    def __init__(
        self,
        paths: MountPaths,
        roots: dict[StoreId, DirectoryNode],
        namespace: Namespace,
        changes: Changes,
        uploads: Uploads,
        runs: Runs,
        forgetting: Forgetting,
        *,
        read_only: bool,
    ) -> None:
        self._paths = paths
        self._roots = roots
        self._namespace = namespace
        self._changes = changes
        self._uploads = uploads
        self._runs = runs
        self._read_only = read_only
        self._making = trio.Lock()
        self._forgetting = forgetting

    def pagers(self) -> dict[type[Request[Any]], Pager]:
        """What the control socket serves."""
        return {asked.Restore: self._restore}

    async def _restore(self, request: asked.Restore, send: Send) -> asked.Restored:
        remote, key = await self._paths.find_uploaded(request.path)
        to, base = None, key
        if request.to is not None:
            other, to = await self._paths.find_uploaded(request.to)
            if other is not remote:
                raise errors.NotSupported("that is another store", key=to, operation="restore")
            base = to
        inside = to is not None and not request.dry_run
        if inside:
            self._check_writable(remote)
        wanted = Wanted(request.version, request.at)
        question = messages.PlanRestore(remote.spec.id, key, to, wanted, request.delete)
        run = self._runs.run_of(request.pid)
        job = Job(remote, base, run, not inside, send)
        files = await self._carry_out(job, question)
        return asked.Restored(files, job.counts, job.bytes_restored)

    def _check_writable(self, remote: Remote) -> None:
        why = "mounted read-only" if self._read_only else remote.read_only
        if why:
            raise errors.Denied(
                f"nothing can be restored here: {why}", store=remote.spec.alias, operation="restore"
            )

    async def _carry_out(self, job: Job, question: messages.PlanRestore) -> int:
        """Do the steps while they come; gives the number of files. Raises: a StoreError."""
        steps, waiting = trio.open_memory_channel[Step](_AT_ONCE)

        async def work() -> None:
            async for step in waiting:
                await self._do(job, step)

        async def take(report: messages.Report) -> None:
            if isinstance(report, messages.Planned):
                for step in report.steps:
                    await steps.send(step)

        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(work)
            with steps:
                ended = await follow(job.remote, question, take)
        return ended.files()

    async def _do(self, job: Job, step: Step) -> None:
        error = ""
        if step.action in _DONE_HERE and not job.dry_run:
            error = await self._attempt(job, step)
        outcome = "failed" if error else step.action.value
        job.counts[outcome] = job.counts.get(outcome, 0) + 1
        if step.version is not None and step.action in _DONE_HERE and not error:
            job.bytes_restored += step.version.size
        if step.action not in _QUIET:
            row = _row(job.base, step, outcome, error)
            async with job.sending:
                await job.send(msgspec.json.encode([row]))

    async def _attempt(self, job: Job, step: Step) -> str:
        """Do one step; gives why it could not be done."""
        try:
            if step.version is None:
                await self._remove(job, step.target)
            else:
                await self._put_back(job, step.target, step.version)
        except errors.VstorefsError as error:
            return str(error)
        except pyfuse3.FUSEError as error:
            return _WHY.get(error.errno, os.strerror(error.errno))
        return ""

    async def _put_back(self, job: Job, target: Key, version: Version) -> None:
        directory = await self._folder(job, parent_of(target))
        pending = await self._changes.put_back(directory, name_of(target), version, job.run)
        await self._tell_kernel(directory, name_of(target))
        await self._uploads.wait(pending)

    async def _remove(self, job: Job, target: Key) -> None:
        directory = await self._folder(job, parent_of(target))
        await self._changes.remove(directory, name_of(target), job.run)
        await self._tell_kernel(directory, name_of(target))

    async def _folder(self, job: Job, path: Key) -> DirectoryNode:
        """A folder, made where it is gone. Raises: FUSEError, a StoreError."""
        directory = self._roots[job.remote.spec.id]
        async with self._making:
            for name in path.split("/") if path else ():
                found = await self._namespace.find(directory, name)
                if found is None:
                    found = await self._changes.make_directory(
                        directory, name, DEFAULT_FOLDER_MODE, job.run
                    )
                    await self._tell_kernel(directory, name)
                if not isinstance(found, DirectoryNode):
                    raise pyfuse3.FUSEError(errno.ENOTDIR)
                directory = found
        return directory

    async def _tell_kernel(self, directory: DirectoryNode, name: str) -> None:
        """What the kernel remembers of a name does not hold any more."""
        if directory.lookups > 0 or directory.parent is None:
            await self._forgetting.forget([(directory.number, os.fsencode(name))])


_WHY = {
    errno.EBUSY: "it is being written; close it first",
    errno.EISDIR: "there is a directory of that name; move it away first",
    errno.ENOTDIR: "a file stands where a directory of its path was; move it away first",
}


def _row(base: Key, step: Step, outcome: str, error: str) -> asked.RestoreRow:
    shown = step.version or step.head
    return asked.RestoreRow(
        path=step.target[len(base) :].lstrip("/"),
        action=step.action.value,
        id=step.version.id if step.version is not None else None,
        time=texts.iso(shown.time_ns) if shown is not None else None,
        size=shown.size if shown is not None else None,
        outcome=outcome,
        error=error or None,
    )
