"""What a local disk would do: small, whole, immutable states, and what each operation makes of one.

A state holds what programs see (`names`, `nodes`, `handles`) and what the next mount would show if the front died now
(`disk`): that is what was promised, by a close, an fsync, a change of a name. `log` is what histories must hold, by
paths, in order; `maybe` what they may hold too, for a promise that failed may have been kept, and `again` what of that they
may hold once more, for there was other content between two such promises.
"""

from __future__ import annotations

import errno
import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

Path = str
Result = Any
"""What a program gets: a value, or an `Error`."""


class Error(NamedTuple):
    """A call failed."""

    number: int


FAILED = Error(0)
"""It failed, for a reason that lies outside of the model."""


class Node(NamedTuple):
    """A file ("f"), directory ("d") or symlink ("l").

    `dirty`: written since the last promise; `stored`: the disk's entry of its path is its own; `sent`: it has, or will
    have, a version; `loose`: its last promise failed, and may be kept at any time all the same.
    """

    kind: str
    data: bytes = b""
    dirty: bool = False
    stored: bool = True
    sent: bool = True
    loose: bool = False


class Opened(NamedTuple):
    """An open file."""

    node: str
    writable: bool
    appends: bool


class Op(NamedTuple):
    """One call of a program. `slot` is the place of an open file among its own."""

    kind: str
    path: Path = ""
    other: Path = ""
    slot: int = 0
    mode: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class State:
    """See the head of the module. Nothing in it is ever changed."""

    names: dict[Path, str]
    nodes: dict[str, Node]
    handles: dict[tuple[int, int], Opened]
    disk: dict[Path, Node]
    log: tuple[tuple[Path, bytes], ...] = ()
    maybe: frozenset[tuple[Path, bytes]] = frozenset()
    again: tuple[tuple[Path, bytes], ...] = ()

    def key(self) -> Any:
        """Equal where states are."""
        return (
            frozenset(self.names.items()),
            frozenset(self.nodes.items()),
            frozenset(self.handles.items()),
            frozenset(self.disk.items()),
            self.log,
            self.maybe,
            self.again,
        )

    def remounted(self) -> State:
        """What the next mount shows."""
        names = {path: f"disk:{path}" for path in self.disk}
        nodes = {f"disk:{path}": node for path, node in self.disk.items()}
        return State(names, nodes, {}, dict(self.disk), self.log, self.maybe, self.again)


def beginning(files: dict[Path, bytes], folders: list[Path]) -> State:
    """What a store has before anybody mounts it."""
    disk = {path: Node("f", data) for path, data in files.items()}
    disk |= {path: Node("d") for path in (*folders, *map(_parent, files)) if path}
    return State({}, {}, {}, disk, tuple(files.items())).remounted()


def carried_out(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    """What a program gets, and what there is then. `number` names what an operation makes."""
    return _STEPS[op.kind](state, program, number, op)


def failed(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    """All that there may be where an operation failed for a reason outside of the model.

    Names are as they were. A promise of content may have been kept.
    """
    yield from _FAILURES.get(op.kind, _nothing)(state, program, number, op)


def of_itself(state: State) -> Iterator[State]:
    """What may become of a state though no program does anything: a promise that failed is kept late."""
    for name, node in state.nodes.items():
        if node.loose and node.dirty:
            yield _committed(state, name, surely=False)


# --- parts


def _nothing(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    del program, number, op
    yield state


def _parent(path: Path) -> Path:
    return path.rpartition("/")[0]


def _fault(state: State, path: Path) -> Error | None:
    """Why a path leads nowhere."""
    at = _parent(path)
    if not at:
        return None
    above = _fault(state, at)
    if above is not None:
        return above
    if at not in state.names:
        return Error(errno.ENOENT)
    return None if state.nodes[state.names[at]].kind == "d" else Error(errno.ENOTDIR)


def _at(state: State, path: Path) -> Node | None:
    name = state.names.get(path)
    return state.nodes[name] if name is not None else None


def _with(state: State, name: str, node: Node) -> State:
    return replace(state, nodes={**state.nodes, name: node})


def _tidy(state: State) -> State:
    """Forget nodes that nobody can reach."""
    used = {*state.names.values(), *(one.node for one in state.handles.values())}
    if len(used) == len(state.nodes):
        return state
    return replace(state, nodes={name: node for name, node in state.nodes.items() if name in used})


def _path_of(state: State, name: str) -> Path | None:
    return next((path for path, one in state.names.items() if one == name), None)


def _is_written(state: State, name: str) -> bool:
    return any(one.node == name and one.writable for one in state.handles.values())


def _is_scratch(path: Path) -> bool:
    return fnmatch.fnmatch(path.rpartition("/")[2], "*.tmp")


def _kept(state: State, name: str, path: Path) -> State:
    """The journal has a file's content, as it is now; no version is made of it yet."""
    node = state.nodes[name]
    state = _with(state, name, node._replace(stored=True))
    return replace(
        state,
        disk={**state.disk, path: Node("f", node.data)},
        maybe=state.maybe | {(path, node.data)},
    )


def _committed(state: State, name: str, *, surely: bool = True) -> State:
    """What a close does with what was written."""
    node, path = state.nodes[name], _path_of(state, name)
    if path is None or not node.dirty:
        return state
    if not node.sent and _is_scratch(path):
        return _kept(state, name, path)
    state = _with(state, name, node._replace(dirty=False, stored=True, sent=True, loose=False))
    disk = {**state.disk, path: Node("f", node.data)}
    if surely:
        return replace(state, disk=disk, log=(*state.log, (path, node.data)))
    promised, between = (path, node.data), state.disk.get(path) != disk[path]
    again = (promised,) if promised in state.maybe and between else ()
    return replace(
        state,
        disk=disk,
        maybe=state.maybe | {promised},
        again=tuple(sorted((*state.again, *again))),
    )


# --- files


def _open(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    fault = _fault(state, op.path)
    if fault is not None:
        return fault, state
    name, node = state.names.get(op.path), _at(state, op.path)
    writable = op.mode != "r"
    if name is None or node is None:
        if "c" not in op.mode:
            return Error(errno.ENOENT), state
        name = f"made:{number}"
        node = Node("f", b"", dirty=True, stored=False, sent=False)
        state = replace(_with(state, name, node), names={**state.names, op.path: name})
    elif node.kind != "f":
        return Error(errno.EISDIR if node.kind == "d" else errno.ELOOP), state
    elif "t" in op.mode:
        state = _with(state, name, node._replace(data=b"", dirty=True))
    opened = Opened(name, writable, "a" in op.mode)
    return None, replace(state, handles={**state.handles, (program, op.slot): opened})


def _read(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del number
    return state.nodes[state.handles[program, op.slot].node].data, state


def _changed(state: State, name: str, data: bytes) -> State:
    return _with(state, name, state.nodes[name]._replace(data=data, dirty=True))


def _write(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del number
    opened = state.handles[program, op.slot]
    data = state.nodes[opened.node].data
    at = len(data) if opened.appends else op.offset
    whole = data.ljust(at, b"\0")
    return None, _changed(state, opened.node, whole[:at] + op.data + whole[at + len(op.data) :])


def _partly_written(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    """Nothing was written, or a half of what the file was long enough for."""
    yield state
    opened = state.handles[program, op.slot]
    data = state.nodes[opened.node].data
    if opened.appends:
        return
    done = op.data[: (len(op.data) + 1) // 2]
    if op.offset + len(done) <= len(data):
        part = op._replace(data=done)
        after = _write(state, program, number, part)[1]
        yield after
        node = state.nodes[opened.node]
        if not node.dirty:
            yield _with(after, opened.node, after.nodes[opened.node]._replace(dirty=False))


def _sized(data: bytes, size: int) -> bytes:
    return data[:size].ljust(size, b"\0")


def _ftruncate(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del number
    name = state.handles[program, op.slot].node
    return None, _changed(state, name, _sized(state.nodes[name].data, op.offset))


def _truncate(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault = _fault(state, op.path)
    name, node = state.names.get(op.path), _at(state, op.path)
    if fault is not None or name is None or node is None:
        return fault or Error(errno.ENOENT), state
    if node.kind != "f":
        return Error(errno.EISDIR if node.kind == "d" else errno.ELOOP), state
    state = _changed(state, name, _sized(node.data, op.offset))
    return None, state if _is_written(state, name) else _committed(state, name)


def _truncate_failed(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    yield state
    name, node = state.names.get(op.path), _at(state, op.path)
    if name is not None and node is not None and node.kind == "f":
        changed = _changed(state, name, _sized(node.data, op.offset))
        if _is_written(state, name):
            yield changed
        else:
            yield _loosened(changed, name)
            yield _committed(changed, name, surely=False)


def overtaken(state: State, program: int, number: int, op: Op) -> Iterator[tuple[Result, State]]:
    """What else an operation may do where another one is under way: a truncate by path leaves the promise to a writer."""
    if op.kind == "truncate":
        name, node = state.names.get(op.path), _at(state, op.path)
        result, _ = _truncate(state, program, number, op)
        if result is None and name is not None and node is not None:
            yield None, _loosened(_changed(state, name, _sized(node.data, op.offset)), name)


def _fsync(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del number
    name = state.handles[program, op.slot].node
    path = _path_of(state, name)
    if path is None or not state.nodes[name].dirty:
        return None, state
    return None, _kept(state, name, path)


def _fsync_failed(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    yield state
    yield _fsync(state, program, number, op)[1]


def _closed(state: State, program: int, op: Op) -> State:
    handles = {one: opened for one, opened in state.handles.items() if one != (program, op.slot)}
    return _tidy(replace(state, handles=handles))


def _close(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del number
    opened = state.handles[program, op.slot]
    if opened.writable:
        state = _committed(state, opened.node)
    return None, _closed(state, program, op)


def _close_failed(state: State, program: int, number: int, op: Op) -> Iterator[State]:
    del number
    opened = state.handles[program, op.slot]
    if not opened.writable:
        yield _closed(state, program, op)
        return
    yield _closed(_loosened(state, opened.node), program, op)
    yield _closed(_committed(state, opened.node, surely=False), program, op)


def _loosened(state: State, name: str) -> State:
    node = state.nodes[name]
    return _with(state, name, node._replace(loose=True)) if node.dirty else state


# --- names


def _stat(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault, node = _fault(state, op.path), _at(state, op.path)
    if fault is not None or node is None:
        return fault or Error(errno.ENOENT), state
    return (node.kind, len(node.data)), state


def _list(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    node = _at(state, op.path)
    if op.path and (fault := _fault(state, op.path)) is not None:
        return fault, state
    if op.path and (node is None or node.kind != "d"):
        return Error(errno.ENOENT if node is None else errno.ENOTDIR), state
    return frozenset(path for path in state.names if _parent(path) == op.path), state


def _readlink(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault, node = _fault(state, op.path), _at(state, op.path)
    if fault is not None or node is None:
        return fault or Error(errno.ENOENT), state
    return (node.data.decode() if node.kind == "l" else Error(errno.EINVAL)), state


def _made(state: State, number: int, op: Op, node: Node) -> tuple[Result, State]:
    fault = _fault(state, op.path)
    if fault is not None:
        return fault, state
    if op.path in state.names:
        return Error(errno.EEXIST), state
    name = f"made:{number}"
    state = replace(_with(state, name, node), names={**state.names, op.path: name})
    return None, replace(state, disk={**state.disk, op.path: node})


def _mkdir(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program
    return _made(state, number, op, Node("d"))


def _symlink(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program
    return _made(state, number, op, Node("l", op.other.encode()))


def _without(entries: dict[Path, Any], path: Path) -> dict[Path, Any]:
    return {one: value for one, value in entries.items() if one != path}


def _unlink(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault, node = _fault(state, op.path), _at(state, op.path)
    if fault is not None or node is None:
        return fault or Error(errno.ENOENT), state
    if node.kind == "d":
        return Error(errno.EISDIR), state
    names, disk = _without(state.names, op.path), _without(state.disk, op.path)
    return None, _tidy(replace(state, names=names, disk=disk))


def _is_empty(state: State, path: Path) -> bool:
    return not any(one.startswith(f"{path}/") for one in state.names)


def _rmdir(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault, node = _fault(state, op.path), _at(state, op.path)
    if fault is not None or node is None:
        return fault or Error(errno.ENOENT), state
    if node.kind != "d":
        return Error(errno.ENOTDIR), state
    if not _is_empty(state, op.path):
        return Error(errno.ENOTEMPTY), state
    names, disk = _without(state.names, op.path), _without(state.disk, op.path)
    return None, _tidy(replace(state, names=names, disk=disk))


def _rename(state: State, program: int, number: int, op: Op) -> tuple[Result, State]:
    del program, number
    fault = _fault(state, op.path) or _fault(state, op.other)
    node, over = _at(state, op.path), _at(state, op.other)
    if fault is not None or node is None:
        return fault or Error(errno.ENOENT), state
    if op.path == op.other:
        return None, state
    if node.kind == "d" and op.other.startswith(f"{op.path}/"):
        return Error(errno.EINVAL), state
    if over is not None:
        if node.kind == "d" and over.kind != "d":
            return Error(errno.ENOTDIR), state
        if node.kind != "d" and over.kind == "d":
            return Error(errno.EISDIR), state
        if over.kind == "d" and not _is_empty(state, op.other):
            return Error(errno.ENOTEMPTY), state
    return None, _moved(state, node, op.path, op.other)


def _moved(state: State, node: Node, path: Path, other: Path) -> State:
    name = state.names[path]
    if node.kind == "d":
        return _tidy(
            replace(
                state,
                names=_all_moved(state.names, path, other),
                disk=_all_moved(state.disk, path, other),
            )
        )
    names = {**_without(state.names, path), other: name}
    if node.stored:
        entry = state.disk[path]
        state = replace(state, disk={**_without(state.disk, path), other: entry})
        if node.kind == "f" and node.sent:
            # What moves is the last version; what was only synced since is none yet.
            moved = (other, entry.data)
            if node.dirty:
                state = replace(state, maybe=state.maybe | {moved})
            else:
                state = replace(state, log=(*state.log, moved))
    else:
        # What it had replaced there has no name any more.
        state = replace(state, disk=_without(state.disk, path))
    state = replace(state, names=names)
    if node.kind == "f" and not node.sent:
        # It becomes a version where it is closed; what was synced holds under the new name.
        if not _is_written(state, name):
            state = _committed(state, name)
        elif node.stored:
            state = _kept(state, name, other)
    return _tidy(state)


def _all_moved(entries: dict[Path, Any], path: Path, other: Path) -> dict[Path, Any]:
    found = _without(entries, other)
    for one in entries:
        if one == path or one.startswith(f"{path}/"):
            found[other + one[len(path) :]] = found.pop(one)
    return found


Step = Callable[[State, int, int, Op], tuple[Result, State]]
_STEPS: dict[str, Step] = {
    "open": _open,
    "read": _read,
    "write": _write,
    "ftruncate": _ftruncate,
    "truncate": _truncate,
    "fsync": _fsync,
    "close": _close,
    "stat": _stat,
    "list": _list,
    "readlink": _readlink,
    "mkdir": _mkdir,
    "symlink": _symlink,
    "unlink": _unlink,
    "rmdir": _rmdir,
    "rename": _rename,
}
_FAILURES: dict[str, Callable[[State, int, int, Op], Iterator[State]]] = {
    "write": _partly_written,
    "truncate": _truncate_failed,
    "fsync": _fsync_failed,
    "close": _close_failed,
}
