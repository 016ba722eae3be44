"""Where the package changes a disk, as its source says: by calls with a label, and (which must not be) without."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.processes import ROOT

PACKAGE = ROOT / "vstorefs"

_SYSTEM = frozenset(
    [
        "write",
        "pwrite",
        "writev",
        "pwritev",
        "fsync",
        "fdatasync",
        "rename",
        "renames",
        "replace",
        "link",
        "symlink",
        "unlink",
        "remove",
        "removedirs",
        "rmdir",
        "mkdir",
        "makedirs",
        "mknod",
        "mkfifo",
        "posix_fallocate",
        "setxattr",
        "removexattr",
        "utime",
        "chmod",
        "fchmod",
        "lchmod",
        "chown",
        "fchown",
        "lchown",
        "ftruncate",
        "truncate",
        "copy_file_range",
        "sendfile",
    ]
)
_MODULES = {
    "os": _SYSTEM,
    "shutil": frozenset({"copy", "copy2", "copyfile", "copytree", "move", "rmtree", "chown"}),
    "_libc": frozenset({"renameat2"}),
}
_PATHS = frozenset(
    [
        "write_text",
        "write_bytes",
        "touch",
        "unlink",
        "rename",
        "mkdir",
        "rmdir",
        "chmod",
        "lchmod",
        "symlink_to",
        "hardlink_to",
    ]
)
"""Methods of paths. These are of objects of ours:"""
_OURS = frozenset({"self._index", "index", "self._runs", "self._renames"})
_LABELLING = frozenset({"change", "commit", "write_all", "copy", "_renameat2"})


def labels() -> set[str]:
    """All labels of changes."""
    found = set()
    for file, tree in _sources():
        for call in (one for one in ast.walk(tree) if isinstance(one, ast.Call)):
            # A thread is given the function, and then what the function is given.
            for way, label in zip([call.func, *call.args], call.args, strict=False):
                head, _, name = ast.unparse(way).rpartition(".")
                if name in _LABELLING and head in {"files"} | ({""} if _has_own(file) else set()):
                    found |= {text for one in ast.walk(label) if (text := _text(one)) is not None}
    return found


def unlabelled() -> list[str]:
    """Changes past `files`, each as its file, what is called, and the line."""
    return [
        f"{file} {ast.unparse(node.func if isinstance(node, ast.Call) else node)} (line {node.lineno})"
        for file, tree in _sources()
        if file != "files.py"
        for node in _past_files(tree)
    ]


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(), str(path))


def _has_own(file: str) -> bool:
    return file in {"files.py", "stores/local/disk.py"}


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _past_files(tree: ast.Module) -> Iterator[ast.Call | ast.Attribute]:
    given = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and "files.change" in {ast.unparse(one) for one in (call.func, *call.args)}
        for argument in call.args
    }
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and id(node) not in given and _changes(node)) or (
            isinstance(node, ast.Call) and (_opens_to_write(node) or _renames(node))
        ):
            yield node


def _changes(node: ast.Attribute) -> bool:
    owner = ast.unparse(node.value)
    if owner in _MODULES:
        return node.attr in _MODULES[owner]
    return node.attr in _PATHS and owner not in _OURS


def _opens_to_write(call: ast.Call) -> bool:
    """`os.open`, unless its flags say that it only reads; `open` with a mode that writes."""
    name = ast.unparse(call.func)
    if name == "os.open":
        return not {"os.O_RDONLY", "os.O_PATH"} & {ast.unparse(one) for one in ast.walk(call)}
    if name != "open" and not name.endswith(".open"):
        return False
    given = [*call.args, *(one.value for one in call.keywords if one.arg == "mode")]
    modes = [text for one in given if (text := _text(one)) is not None and len(text) < 4]
    return any(set(mode) & set("wax+") for mode in modes)


def _renames(call: ast.Call) -> bool:
    """A path's `replace` takes one argument, that of a text two, that of a value's fields has names."""
    is_replace = isinstance(call.func, ast.Attribute) and call.func.attr == "replace"
    return is_replace and len(call.args) == 1 and not call.keywords
