"""The upcalls: find the node, act, map the error. Nothing here knows how.

Every upcall runs in a task of pyfuse3's.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Any

import pyfuse3
import trio

from vstorefs.model import Content
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.dotversions.nodes import (
    FileHistory,
    LatestLink,
    SpecialFile,
    VersionFile,
    VersionsFolder,
    WarningsFile,
)
from vstorefs.mount.dotversions.top import AllWarnings, TopVersions
from vstorefs.mount.dotversions.tree import DotVersions
from vstorefs.mount.handles import FileHandle, FolderHandle, Handles, TextHandle
from vstorefs.mount.kernel import Device
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.reading.transfers import Bytes
from vstorefs.mount.readings import Readings
from vstorefs.mount.shown import Shown
from vstorefs.mount.tree import xattrs
from vstorefs.mount.tree.inodes import (
    DirectoryNode,
    FileNode,
    Inodes,
    Node,
    StoreNode,
    SymlinkNode,
    TopNode,
)
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.upcalls import upcall
from vstorefs.mount.writing.changes import Changes, NewAttributes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import draft_of
from vstorefs.mount.writing.names import check_writable, target_of
from vstorefs.mount.writing.opener import opener_of, still_writes
from vstorefs.mount.writing.renames import Renames

_HUGE_BLOCKS = 1 << 38


class Operations(pyfuse3.Operations):
    """What the kernel asks; every method runs on the front's loop."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(
        self,
        inodes: Inodes,
        namespace: Namespace,
        shown: Shown,
        handles: Handles,
        readings: Readings,
        commits: Commits,
        changes: Changes,
        renames: Renames,
        versions: DotVersions,
        uses: Uses,
        runs: Runs,
        pool: Pool,
        mount_point: str,
        device: Device,
    ) -> None:
        super().__init__()
        self._inodes = inodes
        self._namespace = namespace
        self._shown = shown
        self._handles = handles
        self._readings = readings
        self._commits = commits
        self._changes = changes
        self._renames = renames
        self._versions = versions
        self._uses = uses
        self._runs = runs
        self._pool = pool
        self._mount_point = mount_point
        self._device = device

    # --- names

    @upcall
    async def lookup(self, parent_inode: int, name: bytes, ctx: Any) -> pyfuse3.EntryAttributes:
        parent = self._node(parent_inode)
        if not _is_text(name):
            # Stores name things in UTF-8, so none has that one, and nobody can be asked for it.
            return self._shown.tell_absent(parent)
        node = await self._shown.find(parent, os.fsdecode(name))
        if node is None:
            return self._shown.tell_missing(parent, name, ctx.pid)
        return self._shown.tell(node)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for number, count in inode_list:
            self._inodes.forget(number, count)

    @upcall
    async def getattr(self, inode: int, ctx: Any) -> pyfuse3.EntryAttributes:
        del ctx
        node = self._node(inode)
        return self._shown.attributes(node)

    @upcall
    async def readlink(self, inode: int, ctx: Any) -> bytes:
        del ctx
        node = self._node(inode)
        if isinstance(node, LatestLink):
            return os.fsencode(await self._versions.latest(node))
        if isinstance(node, SymlinkNode):
            if not node.target and not node.busy:
                # It could not be read when its directory was listed.
                self._namespace.expire(node.parent)
                await self._namespace.find(node.parent, node.name)
            return os.fsencode(target_of(node))
        raise pyfuse3.FUSEError(errno.EINVAL)

    @upcall
    async def opendir(self, inode: int, ctx: Any) -> int:
        del ctx
        node = self._node(inode)
        if isinstance(node, DirectoryNode):
            # A store that cannot be listed must fail here, not look like an empty folder.
            await self._namespace.refresh(node)
        return self._handles.add(FolderHandle(node))

    @upcall
    async def readdir(self, fh: int, start_id: int, token: Any) -> None:
        handle = self._handles.get(fh)
        assert isinstance(handle, FolderHandle)
        if handle.rows is None or start_id == 0:
            handle.rows = await self._shown.rows(handle.node)
        for index in range(start_id, len(handle.rows)):
            name, row = handle.rows[index]
            node = self._shown.node_of(handle.node, name, row)
            attributes = self._shown.attributes(node)
            if not pyfuse3.readdir_reply(token, os.fsencode(name), attributes, index + 1):
                break
            self._inodes.looked_up(node)

    async def releasedir(self, fh: int) -> None:
        self._handles.remove(fh)

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        # Every change of names is in the journal, on disk, before it returns.
        del fh, datasync

    # --- files

    @upcall
    async def open(self, inode: int, flags: int, ctx: Any) -> pyfuse3.FileInfo:
        node = self._node(inode)
        writing = flags & os.O_ACCMODE != os.O_RDONLY
        match node:
            case FileNode():
                return await self._open_file(node, flags, ctx.pid, writing=writing)
            case VersionFile() | SpecialFile() | WarningsFile() | AllWarnings() if writing:
                raise pyfuse3.FUSEError(errno.EROFS)
            case VersionFile():
                content = self._versions.content(node)
                self._uses.opened_version(content, node.remote, self._runs.run_of(ctx.pid))
                path = f"{self._mount_point}/{content.key}"
                handle = FileHandle(None, node.remote, content, f"{path} ({node.name})")
                keeps = self._readings.is_cached_right(content)
                return _info(self._handles.add(handle), keep_cache=keeps)
            case SpecialFile() | WarningsFile() | AllWarnings():
                text = await self._shown.text(node)
                return _info(self._handles.add(TextHandle(text)), direct_io=True)
            case _:
                raise pyfuse3.FUSEError(errno.EISDIR)

    async def _open_file(
        self, node: FileNode, flags: int, pid: int, *, writing: bool
    ) -> pyfuse3.FileInfo:
        if node.outdated and not node.busy:
            # The kernel then looks the name up anew, and opens what that finds.
            raise pyfuse3.FUSEError(errno.ESTALE)
        handle = FileHandle(node, node.remote, None, self._shown.path_of(node))
        run = self._runs.run_of(pid)
        if flags & os.O_ACCMODE != os.O_WRONLY and not (writing and flags & os.O_TRUNC):
            handle.run = run
            self._uses.opened(node, run)
        if writing:
            check_writable(node)
            handle.writable = True
            handle.appends = bool(flags & os.O_APPEND)
            handle.opener = opener_of(pid)
            node.run = run
        node.pins += 1
        node.write_handles += writing
        try:
            if writing and flags & os.O_TRUNC:
                await self._commits.truncate(node, 0)
            elif not writing:
                await self._readings.read_empty(handle)
        except BaseException:
            node.pins -= 1
            node.write_handles -= writing
            raise
        keeps = node.draft is not None or self._readings.is_cached_right(node.content)
        return _info(self._handles.add(handle), keep_cache=keeps)

    @upcall
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: Any
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        node = await self._create(parent_inode, name, mode, ctx)
        handle = FileHandle(
            node,
            node.remote,
            None,
            self._shown.path_of(node),
            writable=True,
            opener=opener_of(ctx.pid),
        )
        handle.appends = bool(flags & os.O_APPEND)
        node.pins += 1
        node.write_handles += 1
        return _info(self._handles.add(handle), keep_cache=True), self._shown.tell(node)

    @upcall
    async def mknod(
        self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: Any
    ) -> pyfuse3.EntryAttributes:
        del rdev
        if not stat.S_ISREG(mode):
            raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
        node = await self._create(parent_inode, name, mode, ctx)
        await self._commits.commit(node)
        return self._shown.tell(node)

    async def _create(self, parent_inode: int, name: bytes, mode: int, ctx: Any) -> FileNode:
        run = self._runs.run_of(ctx.pid)
        node = await self._changes.create(
            self._folder(parent_inode), os.fsdecode(name), stat.S_IMODE(mode), run
        )
        node.uid, node.gid = _owner(ctx)
        self._uses.changed_name(node.remote, node.path, run)
        return node

    @upcall
    async def read(self, fh: int, off: int, size: int) -> Bytes:  # type: ignore[override]
        handle = self._handles.get(fh)
        if isinstance(handle, TextHandle):
            return handle.data[off : off + size]
        assert isinstance(handle, FileHandle)
        return await self._readings.read(handle, off, off + size)

    @upcall
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        handle = self._handles.get(fh)
        assert isinstance(handle, FileHandle)
        assert handle.node is not None
        await self._commits.write(handle.node, None if handle.appends else off, buf)
        return len(buf)

    @upcall
    async def flush(self, fh: int) -> None:
        handle = self._handles.get(fh)
        if not isinstance(handle, FileHandle):
            return
        if handle.node is None or not handle.writable:
            await self._readings.compared(handle)
            return
        node = handle.node
        draft = draft_of(node)
        if draft is None or draft.frozen or not draft.dirty:
            return
        if node.write_handles == 1 and await trio.to_thread.run_sync(
            still_writes, handle.opener, self._device.number, node.number
        ):
            return
        await self._commits.commit_and_wait(node)

    @upcall
    async def release(self, fh: int) -> None:
        handle = self._handles.remove(fh)
        if not isinstance(handle, FileHandle):
            return
        self._readings.end(handle)
        node = handle.node
        if node is None:
            return
        node.pins -= 1
        node.write_handles -= handle.writable
        if node.write_handles == 0 and (handle.writable or node.pins == 0):
            await self._commits.finish(node)
        self._inodes.let_go(node)

    @upcall
    async def fsync(self, fh: int, datasync: bool) -> None:
        del datasync
        handle = self._handles.get(fh)
        if isinstance(handle, FileHandle) and handle.node is not None:
            await self._commits.fsync(handle.node)

    # --- changes

    @upcall
    async def setattr(
        self, inode: int, attr: pyfuse3.EntryAttributes, fields: Any, fh: int | None, ctx: Any
    ) -> pyfuse3.EntryAttributes:
        node = self._node(inode)
        run = self._runs.run_of(ctx.pid)
        if not isinstance(node, StoreNode):
            raise pyfuse3.FUSEError(errno.EROFS)
        if fields.update_size:
            if not isinstance(node, FileNode):
                raise pyfuse3.FUSEError(errno.EISDIR)
            check_writable(node)
            node.run = run
            await self._commits.truncate(node, attr.st_size)
            if fh is None and node.write_handles == 0:
                await self._commits.commit_and_wait(node)
        new = NewAttributes(
            stat.S_IMODE(attr.st_mode) if fields.update_mode else None,
            attr.st_uid if fields.update_uid else None,
            attr.st_gid if fields.update_gid else None,
            attr.st_mtime_ns if fields.update_mtime else None,
        )
        await self._changes.set_attributes(node, new, run)
        return self._shown.attributes(node)

    @upcall
    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        folder, text, run = (
            self._folder(parent_inode),
            os.fsdecode(name),
            self._runs.run_of(ctx.pid),
        )
        await self._changes.remove(folder, text, run)
        self._uses.changed_name(folder.remote, folder.path_of(text), run)

    @upcall
    async def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        run = self._runs.run_of(ctx.pid)
        await self._changes.remove_directory(self._folder(parent_inode), os.fsdecode(name), run)

    @upcall
    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: Any
    ) -> pyfuse3.EntryAttributes:
        run = self._runs.run_of(ctx.pid)
        node = await self._changes.make_directory(
            self._folder(parent_inode), os.fsdecode(name), stat.S_IMODE(mode), run
        )
        return self._shown.tell(node)

    @upcall
    async def symlink(
        self, parent_inode: int, name: bytes, target: bytes, ctx: Any
    ) -> pyfuse3.EntryAttributes:
        folder, run = self._folder(parent_inode), self._runs.run_of(ctx.pid)
        return self._shown.tell(
            await self._changes.make_symlink(folder, os.fsdecode(name), os.fsdecode(target), run)
        )

    @upcall
    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: Any,
    ) -> None:
        if flags & ~pyfuse3.RENAME_NOREPLACE:
            raise pyfuse3.FUSEError(errno.EINVAL)
        run = self._runs.run_of(ctx.pid)
        source, name = self._folder(parent_inode_old), os.fsdecode(name_old)
        target, new_name = self._folder(parent_inode_new), os.fsdecode(name_new)
        await self._renames.rename(
            source,
            name,
            target,
            new_name,
            run,
            replace_target=not flags & pyfuse3.RENAME_NOREPLACE,
        )
        self._uses.changed_name(source.remote, source.path_of(name), run)
        self._uses.changed_name(target.remote, target.path_of(new_name), run)

    @upcall
    async def link(
        self, inode: int, new_parent_inode: int, new_name: bytes, ctx: Any
    ) -> pyfuse3.EntryAttributes:
        raise pyfuse3.FUSEError(errno.EOPNOTSUPP)

    # --- the rest

    @upcall
    async def getxattr(self, inode: int, name: bytes, ctx: Any) -> bytes:
        del ctx
        node = self._node(inode)
        if name == xattrs.WARNING:
            value = await self._warning(node)
        else:
            value = await xattrs.value_of(name, self._content_of(node), self._pool)
        if value is None:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return value

    async def _warning(self, node: Node) -> bytes | None:
        if not isinstance(node, FileNode):
            return None
        await self._uses.send_notes()
        return await xattrs.warning_of(node.remote.spec.id, node.path, self._pool)

    @upcall
    async def listxattr(self, inode: int, ctx: Any) -> Sequence[bytes]:
        del inode, ctx
        return []

    @upcall
    async def setxattr(self, inode: int, name: bytes, value: bytes, ctx: Any) -> None:
        raise pyfuse3.FUSEError(errno.EOPNOTSUPP)

    @upcall
    async def removexattr(self, inode: int, name: bytes, ctx: Any) -> None:
        raise pyfuse3.FUSEError(errno.EOPNOTSUPP)

    @upcall
    async def statfs(self, ctx: Any) -> pyfuse3.StatvfsData:
        del ctx
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = 4096
        data.f_blocks = data.f_bfree = data.f_bavail = _HUGE_BLOCKS
        data.f_files = data.f_ffree = data.f_favail = _HUGE_BLOCKS
        data.f_namemax = 255
        return data

    # --- parts

    def _node(self, number: int) -> Node:
        node = self._inodes.get(number)
        if node is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        return node

    def _folder(self, number: int) -> DirectoryNode:
        node = self._node(number)
        if not isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(
                errno.EROFS
                if isinstance(node, TopNode | TopVersions | VersionsFolder | FileHistory)
                else errno.ENOTDIR
            )
        return node

    def _content_of(self, node: Node) -> Content | None:
        if isinstance(node, FileNode):
            return node.content if node.draft is None else None
        return self._versions.content(node) if isinstance(node, VersionFile) else None


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _owner(ctx: Any) -> tuple[int | None, int | None]:
    """The owner of what a program makes, where it is not the mount's own user."""
    return (None, None) if ctx.uid == os.getuid() else (ctx.uid, ctx.gid)


def _info(number: int, *, keep_cache: bool = False, direct_io: bool = False) -> pyfuse3.FileInfo:
    return pyfuse3.FileInfo(
        fh=pyfuse3.FileHandleT(number), keep_cache=keep_cache, direct_io=direct_io
    )
