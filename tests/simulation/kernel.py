"""What a kernel does between programs and a front: walks, locks, lookups that it forgets, handles.

As in Linux: who changes names in a directory holds it, and what loses its name, until the front has answered; a lookup
shares it. Not as in Linux: while something is renamed, or a directory removed, nobody is on his way to another name, for
what a walk finds then is beyond the model. Writes, truncates and fsyncs of one file come one after the other, a flush at any time; a read shares no page
with a write. A close is a flush, whose error the program gets, and a release that nobody waits for. ESTALE is tried once
more from the top. Nothing is cached: every walk asks.

Source: Linux, fs/namei.c, fs/fuse/{dir,file}.c.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyfuse3
import trio

from tests.simulation.world import Life
from vstorefs.control.protocol import Request

ROOT = 1
_MOST = 1 << 20


class Gone(Exception):
    """The front has died: the mount point answers nothing any more."""


@dataclass(eq=False)
class Handle:
    """An open file."""

    number: int
    inode: int
    writable: bool


class Kernel:
    """The kernel's side of one mount."""

    def __init__(self, life: Life, chance: random.Random) -> None:
        self._life = life
        self._chance = chance
        self._names: dict[int, _Shared] = defaultdict(_Shared)
        self._contents: dict[int, trio.Lock] = defaultdict(trio.Lock)
        self._pages: dict[int, _Shared] = defaultdict(_Shared)
        self._tree = _Shared()
        self._kept: list[int] = []

    # --- calls

    async def _call(self, name: str, *arguments: Any) -> Any:
        """One upcall. Raises: OSError, Gone."""
        return await self._ask(getattr(self._life.operations, name), *arguments)

    async def control(self, request: Request[Any]) -> Any:
        """What the control socket answers. Raises: an error of ours, Gone."""
        return await self._ask(self._life.parts.control._handlers[type(request)], request)

    async def _ask(self, handler: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """One call, in a task of the front. Raises: as the handler; Gone where there is no front to answer."""
        life = self._life
        done = trio.Event()
        box: list[Any] = []

        async def answer() -> None:
            try:
                box.append(await handler(*arguments))
            except pyfuse3.FUSEError as error:
                box.append(OSError(error.errno, os.strerror(error.errno)))
            except Exception as error:  # noqa: BLE001 — it belongs to who asked
                box.append(error)
            finally:
                done.set()

        if life.dead or life.nursery is None:
            raise Gone
        life.nursery.start_soon(answer)
        await done.wait()
        if not box or life.dead:
            raise Gone
        if isinstance(box[0], BaseException):
            raise box[0]
        return box[0]

    async def _look_up(self, parent: int, name: str, who: Any, held: list[int]) -> Any:
        entry = await self._call("lookup", parent, os.fsencode(name), who)
        if entry.st_ino == 0:
            raise OSError(errno.ENOENT, name)
        held.append(entry.st_ino)
        return entry

    async def _walk(self, path: str, who: Any, held: list[int]) -> tuple[int, str]:
        """The directory of a path, and the last name."""
        *folders, last = path.split("/")
        at = ROOT
        for name in folders:
            async with self._names[at].shared():
                entry = await self._look_up(at, name, who, held)
            if not stat.S_ISDIR(entry.st_mode):
                raise OSError(errno.ENOTDIR, name)
            at = entry.st_ino
        return at, last

    async def _with_retry(self, act: Callable[[list[int]], Any], *, alone: bool = False) -> Any:
        """A call by path; names that turn out to be stale are looked up anew, once."""
        for last in (False, True):
            held: list[int] = []
            try:
                async with self._tree.alone() if alone else self._tree.shared():
                    return await act(held)
            except OSError as error:
                if error.errno != errno.ESTALE or last:
                    raise
            finally:
                await self._forget(held)
        raise AssertionError("never reached")

    async def _forget(self, held: list[int]) -> None:
        """The kernel keeps names for a while, or not."""
        self._kept += held
        if self._chance.random() < 0.5 and self._kept and not self._life.dead:
            forgotten, self._kept = self._kept, []
            await self._call("forget", [(number, 1) for number in forgotten])

    # --- names

    async def entry(self, path: str, who: Any) -> Any:
        """stat"""

        async def act(held: list[int]) -> Any:
            parent, name = await self._walk(path, who, held)
            async with self._names[parent].shared():
                return await self._look_up(parent, name, who, held)

        return await self._with_retry(act)

    async def names(self, path: str, who: Any) -> set[str]:
        """ls"""

        async def act(held: list[int]) -> set[str]:
            inode = ROOT
            if path:
                parent, name = await self._walk(path, who, held)
                async with self._names[parent].shared():
                    found = await self._look_up(parent, name, who, held)
                if not stat.S_ISDIR(found.st_mode):
                    raise OSError(errno.ENOTDIR, path)
                inode = found.st_ino
            number = await self._call("opendir", inode, who)
            rows: list[tuple[bytes, Any]] = []
            try:
                async with self._names[inode].shared():
                    await self._call("readdir", number, 0, rows)
            finally:
                held += [entry.st_ino for _, entry in rows]
                await self._call("releasedir", number)
            return {os.fsdecode(name) for name, _ in rows}

        found: set[str] = await self._with_retry(act)
        return found

    async def readlink(self, path: str, who: Any) -> str:
        """readlink"""

        async def act(held: list[int]) -> str:
            parent, name = await self._walk(path, who, held)
            async with self._names[parent].shared():
                entry = await self._look_up(parent, name, who, held)
            if not stat.S_ISLNK(entry.st_mode):
                raise OSError(errno.EINVAL, path)
            return os.fsdecode(await self._call("readlink", entry.st_ino, who))

        found: str = await self._with_retry(act)
        return found

    async def _make(self, call: str, path: str, who: Any, *rest: Any) -> None:
        async def act(held: list[int]) -> None:
            parent, name = await self._walk(path, who, held)
            async with self._names[parent].alone():
                entry = await self._call("lookup", parent, os.fsencode(name), who)
                if entry.st_ino:
                    held.append(entry.st_ino)
                    raise OSError(errno.EEXIST, path)
                made = await self._call(call, parent, os.fsencode(name), *rest, who)
                held.append(made.st_ino)

        await self._with_retry(act)

    async def mkdir(self, path: str, who: Any) -> None:
        """mkdir"""
        await self._make("mkdir", path, who, stat.S_IFDIR | 0o755)

    async def symlink(self, path: str, target: str, who: Any) -> None:
        """ln -s"""
        await self._make("symlink", path, who, os.fsencode(target))

    async def _remove(self, call: str, path: str, who: Any) -> None:
        async def act(held: list[int]) -> None:
            parent, name = await self._walk(path, who, held)
            async with self._names[parent].alone():
                entry = await self._look_up(parent, name, who, held)
                is_folder = stat.S_ISDIR(entry.st_mode)
                if is_folder != (call == "rmdir"):
                    raise OSError(errno.EISDIR if is_folder else errno.ENOTDIR, path)
                lock = self._names[entry.st_ino].alone if is_folder else self._file(entry.st_ino)
                async with lock():
                    await self._call(call, parent, os.fsencode(name), who)

        await self._with_retry(act, alone=call == "rmdir")

    def _file(self, inode: int) -> Callable[[], Any]:
        return lambda: self._contents[inode]

    async def unlink(self, path: str, who: Any) -> None:
        """rm"""
        await self._remove("unlink", path, who)

    async def rmdir(self, path: str, who: Any) -> None:
        """rmdir"""
        await self._remove("rmdir", path, who)

    async def rename(self, path: str, new_path: str, who: Any) -> None:
        """mv"""

        async def act(held: list[int]) -> None:
            async with AsyncExitStack() as stack:
                source, name = await self._walk(path, who, held)
                target, new_name = await self._walk(new_path, who, held)
                for one in sorted({source, target}):
                    await stack.enter_async_context(self._names[one].alone())
                await self._rename(source, name, target, new_name, who, held, stack)

        await self._with_retry(act, alone=True)

    async def _rename(
        self,
        source: int,
        name: str,
        target: int,
        new_name: str,
        who: Any,
        held: list[int],
        stack: AsyncExitStack,
    ) -> None:
        moved = await self._look_up(source, name, who, held)
        over = await self._call("lookup", target, os.fsencode(new_name), who)
        if moved.st_ino == target:
            raise OSError(errno.EINVAL, new_name)
        files = []
        if over.st_ino:
            held.append(over.st_ino)
            if over.st_ino == moved.st_ino:
                return
            if stat.S_ISDIR(moved.st_mode) != stat.S_ISDIR(over.st_mode):
                wrong = errno.ENOTDIR if stat.S_ISDIR(moved.st_mode) else errno.EISDIR
                raise OSError(wrong, new_name)
            files = [over.st_ino] if stat.S_ISREG(over.st_mode) else []
        if stat.S_ISREG(moved.st_mode):
            files.append(moved.st_ino)
        for one in sorted(files):
            await stack.enter_async_context(self._contents[one])
        await self._call("rename", source, os.fsencode(name), target, os.fsencode(new_name), 0, who)

    # --- files

    async def open(self, path: str, flags: int, who: Any) -> Handle:
        """open"""

        async def act(held: list[int]) -> Handle:
            parent, name = await self._walk(path, who, held)
            creates = bool(flags & os.O_CREAT)
            lock = self._names[parent].alone() if creates else self._names[parent].shared()
            writable = flags & os.O_ACCMODE != os.O_RDONLY
            async with lock:
                entry = await self._call("lookup", parent, os.fsencode(name), who)
                if entry.st_ino == 0:
                    if not creates:
                        raise OSError(errno.ENOENT, path)
                    info, made = await self._call(
                        "create", parent, os.fsencode(name), stat.S_IFREG | 0o644, flags, who
                    )
                    return Handle(info.fh, made.st_ino, writable)
                held.append(entry.st_ino)
            if stat.S_ISDIR(entry.st_mode):
                raise OSError(errno.EISDIR, path)
            if stat.S_ISLNK(entry.st_mode):
                raise OSError(errno.ELOOP, path)
            info = await self._call("open", entry.st_ino, flags & ~os.O_CREAT, who)
            # The handle holds the inode.
            held.remove(entry.st_ino)
            return Handle(info.fh, entry.st_ino, writable)

        handle: Handle = await self._with_retry(act)
        return handle

    async def read(self, handle: Handle) -> bytes:
        """All that a file has."""
        async with self._pages[handle.inode].shared():
            return bytes(await self._call("read", handle.number, 0, _MOST))

    async def write(self, handle: Handle, offset: int, data: bytes) -> None:
        """pwrite"""
        async with self._contents[handle.inode], self._pages[handle.inode].alone():
            await self._call("write", handle.number, offset, data)

    async def fsync(self, handle: Handle) -> None:
        """fsync"""
        async with self._contents[handle.inode]:
            await self._call("fsync", handle.number, False)

    async def ftruncate(self, handle: Handle, size: int, who: Any) -> None:
        """ftruncate"""
        async with self._contents[handle.inode]:
            await self._set_size(handle.inode, size, handle.number, who)

    async def truncate(self, path: str, size: int, who: Any) -> None:
        """truncate"""

        async def act(held: list[int]) -> None:
            parent, name = await self._walk(path, who, held)
            async with self._names[parent].shared():
                entry = await self._look_up(parent, name, who, held)
            if not stat.S_ISREG(entry.st_mode):
                raise OSError(errno.EISDIR if stat.S_ISDIR(entry.st_mode) else errno.ELOOP, path)
            async with self._contents[entry.st_ino]:
                await self._set_size(entry.st_ino, size, None, who)

        await self._with_retry(act)

    async def _set_size(self, inode: int, size: int, number: int | None, who: Any) -> None:
        wanted = pyfuse3.EntryAttributes()
        wanted.st_size = size
        fields = SimpleNamespace(
            update_size=True,
            update_mode=False,
            update_uid=False,
            update_gid=False,
            update_mtime=False,
        )
        await self._call("setattr", inode, wanted, fields, number, who)

    async def close(self, handle: Handle) -> None:
        """close"""
        try:
            await self._call("flush", handle.number)
        finally:
            if self._life.nursery is not None and not self._life.dead:
                self._life.nursery.start_soon(self._release, handle)

    async def _release(self, handle: Handle) -> None:
        await self._call("release", handle.number)
        await self._call("forget", [(handle.inode, 1)])


class _Shared:
    """A lock that many may share, or one hold alone; whoever came first goes first."""

    def __init__(self) -> None:
        self._turn = trio.Lock()
        self._sharing = 0
        self._free = trio.Event()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """With others that share."""
        async with self._turn:
            self._sharing += 1
        try:
            yield
        finally:
            self._sharing -= 1
            self._free.set()
            self._free = trio.Event()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """With nobody else."""
        async with self._turn:
            while self._sharing:
                await self._free.wait()
            yield
