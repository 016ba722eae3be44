"""From an operation of a history to a call of the kernel, and from what that gives to what the model says."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulation.kernel import Handle, Kernel
from tests.simulation.model import Op, Result

Handles = dict[int, Handle]
Call = Callable[[Kernel, Handles, Op, Any], Awaitable[Result]]

_FLAGS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR, "a": os.O_WRONLY | os.O_APPEND}
_KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}


async def made(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    """Make a call for a program that has these files open. Raises: OSError, Gone."""
    return await _CALLS[op.kind](kernel, handles, op, who)


async def _open(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    flags = _FLAGS[op.mode.rstrip("ct")]
    flags |= os.O_CREAT if "c" in op.mode else 0
    flags |= os.O_TRUNC if "t" in op.mode else 0
    handles[op.slot] = await kernel.open(op.path, flags, who)


async def _read(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del who
    return await kernel.read(handles[op.slot])


async def _write(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del who
    await kernel.write(handles[op.slot], op.offset, op.data)


async def _fsync(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del who
    await kernel.fsync(handles[op.slot])


async def _ftruncate(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    await kernel.ftruncate(handles[op.slot], op.offset, who)


async def _close(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del who
    await kernel.close(handles.pop(op.slot))


async def _truncate(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.truncate(op.path, op.offset, who)


async def _stat(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    entry = await kernel.entry(op.path, who)
    kind = _KINDS[stat.S_IFMT(entry.st_mode)]
    return kind, 0 if kind == "d" else entry.st_size


async def _list(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    prefix = f"{op.path}/" if op.path else ""
    return frozenset(prefix + one for one in await kernel.names(op.path, who))


async def _readlink(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    return await kernel.readlink(op.path, who)


async def _symlink(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.symlink(op.path, op.other, who)


async def _mkdir(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.mkdir(op.path, who)


async def _rmdir(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.rmdir(op.path, who)


async def _unlink(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.unlink(op.path, who)


async def _rename(kernel: Kernel, handles: Handles, op: Op, who: Any) -> Result:
    del handles
    await kernel.rename(op.path, op.other, who)


_CALLS: dict[str, Call] = {
    "open": _open,
    "read": _read,
    "write": _write,
    "fsync": _fsync,
    "ftruncate": _ftruncate,
    "close": _close,
    "truncate": _truncate,
    "stat": _stat,
    "list": _list,
    "readlink": _readlink,
    "symlink": _symlink,
    "mkdir": _mkdir,
    "rmdir": _rmdir,
    "unlink": _unlink,
    "rename": _rename,
}
