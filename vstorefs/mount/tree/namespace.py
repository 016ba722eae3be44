"""Names in directories: the last listing, and over it what this mount has changed since.

A listing is young enough for `listing_seconds` from the moment the store was asked, in all: the
kernel is told to keep what it learns for the rest of that time only. A listing that cannot be had
is never taken for an empty one.

A change of this mount is held over the listings (`hold`) from when the journal has it until a
listing that was asked for after the store had it (`settle`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import VERSIONS_FOLDER, Entry, EntryKind, Key, name_of
from vstorefs.mount.tree.inodes import (
    DirectoryNode,
    FileNode,
    Inodes,
    Local,
    StoreNode,
    SymlinkNode,
)
from vstorefs.mount.tree.remote import Remote

log = logging.getLogger(__name__)

_STALE_SECONDS = 5.0
_KINDS = {
    FileNode: EntryKind.FILE,
    DirectoryNode: EntryKind.DIRECTORY,
    SymlinkNode: EntryKind.SYMLINK,
}


@dataclass(slots=True, eq=False)
class _Loading:
    """A listing that is under way; `error`: that it was not to be had."""

    done: trio.Event = field(default_factory=trio.Event)
    error: errors.Unavailable | None = None


class Namespace:
    """Finds, lists and overlays; touched by the front's loop only."""

    def __init__(self, inodes: Inodes, clock: Clock) -> None:
        self._inodes = inodes
        self._clock = clock
        self._loading: dict[DirectoryNode, _Loading] = {}
        self.unshown: dict[str, str] = {}

    def new_root(self, remote: Remote, name: str = "") -> DirectoryNode:
        """The node of a store's root."""
        node = DirectoryNode(self._inodes.number(), name, remote=remote)
        self._inodes.add(node)
        return node

    async def find(self, directory: DirectoryNode, name: str) -> StoreNode | None:
        """The node of a name, None where it is known not to be there.

        Raises: a StoreError where that is unknown.
        """
        local = directory.local.get(name)
        if local is None or (local.pending == 0 and self.seconds_left(directory) <= 0):
            await self.refresh(directory)
        entry = self._entry(directory, name)
        if entry is None and name not in directory.local:
            if directory.stale:
                raise errors.Unavailable(
                    "the store does not answer, and whether it has that name is not known",
                    store=directory.remote.spec.alias,
                    key=directory.path_of(name),
                )
            if not directory.complete:
                entry = await self._ask_for(directory, name)
        return self._node(directory, name, entry) if entry is not None else None

    async def _ask_for(self, directory: DirectoryNode, name: str) -> Entry | None:
        """A name that the listing does not have and that may be there all the same."""
        now = self._clock.monotonic_s()
        lifetime = directory.remote.spec.listing_seconds
        if now - directory.asked.get(name, float("-inf")) > lifetime:
            entry = await directory.remote.find(directory.path_of(name))
            directory.asked[name] = now
            if entry is not None and directory.entries is not None:
                directory.entries[name] = entry
        return (directory.entries or {}).get(name)

    async def entries(self, directory: DirectoryNode) -> dict[str, Entry]:
        """All names with what a listing shows of them. Raises: a StoreError."""
        await self.refresh(directory)
        merged = dict(directory.entries or {})
        for name, local in directory.local.items():
            if local.entry is None:
                merged.pop(name, None)
            else:
                child = directory.children.get(name)
                merged[name] = child.entry() if isinstance(child, FileNode) else local.entry
        return merged

    def node(self, directory: DirectoryNode, name: str, entry: Entry) -> StoreNode:
        """The node of an entry that was just listed."""
        return self._node(directory, name, entry)

    def seconds_left(self, directory: DirectoryNode) -> float:
        """For how long what is known of a directory may still be told."""
        if self._can_be_asked_again(directory):
            return 0.0
        left = (
            directory.listed_at + directory.remote.spec.listing_seconds - self._clock.monotonic_s()
        )
        return max(0.0, left)

    async def refresh(self, directory: DirectoryNode) -> None:
        """See that the listing is young enough. Raises: a StoreError."""
        while directory.entries is None or self.seconds_left(directory) <= 0:
            loading = self._loading.get(directory)
            if loading is None:
                await self._load(directory)
                if not self._can_be_asked_again(directory):
                    return
                continue
            await loading.done.wait()
            if loading.error is not None:
                # All who wait are told together, or each would wait for an answer of his own, one after the other.
                raise loading.error

    @staticmethod
    def _can_be_asked_again(directory: DirectoryNode) -> bool:
        """Whether the store has come back since it could not be asked for a directory."""
        return directory.stale and directory.remote.health.back_at > directory.tried_at

    def expire(self, directory: DirectoryNode) -> None:
        """Ask the store again at the next look."""
        directory.listed_at = float("-inf")
        directory.expired_at = self._clock.monotonic_s()

    def expire_tree(self, directory: DirectoryNode) -> None:
        """The same for all directories below, too."""
        left = [directory]
        while left:
            one = left.pop()
            self.expire(one)
            left += [child for child in one.children.values() if isinstance(child, DirectoryNode)]

    def expire_way(self, root: DirectoryNode, path: Key) -> None:
        """The same for the directories that lead to a path, and for all that is known below it."""
        node: StoreNode | None = root
        for name in path.split("/"):
            if not isinstance(node, DirectoryNode):
                return
            self.expire(node)
            node = node.children.get(name)
        if isinstance(node, DirectoryNode):
            self.expire_tree(node)

    def outdate(self, node: FileNode) -> None:
        """The store no longer has a file's content; the next open is to see what it has now."""
        node.outdated = True
        self.expire(node.parent)

    async def _load(self, directory: DirectoryNode) -> None:
        loading = self._loading[directory] = _Loading()
        try:
            await self._list(directory)
        except errors.Unavailable as error:
            loading.error = error
            raise
        finally:
            del self._loading[directory]
            loading.done.set()

    async def _list(self, directory: DirectoryNode) -> None:
        lifetime = directory.remote.spec.listing_seconds
        settled = max((one.settled_at for one in directory.local.values()), default=float("-inf"))
        directory.tried_at = self._clock.monotonic_s()
        not_before = max(directory.tried_at - lifetime, settled, directory.expired_at)
        try:
            listed = await directory.remote.list(directory.path, not_before)
        except errors.NotFound:
            self._no_listing(directory)
            return
        directory.complete, directory.stale = listed.complete, listed.stale
        directory.asked.clear()
        for one in listed.unshown:
            self._report(directory.remote, one.key, one.why)
        self._apply(directory, listed.entries, listed.listed_at)
        if listed.stale:
            # For a moment nobody asks again; of what was changed here since it is old knows nothing all the same.
            directory.listed_at = self._clock.monotonic_s() - lifetime + _STALE_SECONDS

    def _no_listing(self, directory: DirectoryNode) -> None:
        if directory.parent is None:
            raise errors.Unavailable(
                "the store's own directory is gone; nothing is shown rather than an empty directory",
                store=directory.remote.spec.alias,
            )
        local = directory.parent.local.get(directory.name)
        if local is None or local.pending == 0:
            raise errors.NotFound(
                "no such directory any more", store=directory.remote.spec.alias, key=directory.path
            )
        self._apply(directory, (), self._clock.monotonic_s())

    def _apply(
        self, directory: DirectoryNode, entries: tuple[Entry, ...], listed_at: float
    ) -> None:
        names: dict[str, Entry] = {}
        for entry in entries:
            name = name_of(entry.key)
            if name == VERSIONS_FOLDER:
                self._report(
                    directory.remote,
                    entry.key,
                    "that name is taken by the history of its directory",
                )
            elif name in names:
                self._report(
                    directory.remote,
                    entry.key,
                    "it is a file and a directory; the directory is shown",
                )
                names[name] = entry if entry.kind is EntryKind.DIRECTORY else names[name]
            else:
                names[name] = entry
        directory.entries = names
        directory.listed_at = listed_at
        for name, local in list(directory.local.items()):
            if local.pending == 0 and local.settled_at < listed_at:
                del directory.local[name]

    def _report(self, remote: Remote, key: str, why: str) -> None:
        name = f"{remote.spec.alias}:{key}"
        if name not in self.unshown:
            self.unshown[name] = why
            log.warning("%s cannot be shown: %s", name, why)

    def _entry(self, directory: DirectoryNode, name: str) -> Entry | None:
        local = directory.local.get(name)
        if local is not None:
            return local.entry
        return (directory.entries or {}).get(name)

    def _node(self, directory: DirectoryNode, name: str, entry: Entry) -> StoreNode:
        child = directory.children.get(name)
        if child is not None and _KINDS[type(child)] is entry.kind:
            if not isinstance(child, DirectoryNode) and child.busy:
                return child
            if not isinstance(child, FileNode):
                child.set_entry(entry)
                return child
            if child.content is not None and child.content.token == entry.token:
                child.outdated = False
                if name not in directory.local:
                    child.set_entry(entry)
                return child
        return self._new_node(directory, name, entry)

    def _new_node(self, directory: DirectoryNode, name: str, entry: Entry) -> StoreNode:
        number = self._inodes.number()
        node: StoreNode
        match entry.kind:
            case EntryKind.DIRECTORY:
                node = DirectoryNode(number, name, remote=directory.remote, parent=directory)
            case EntryKind.SYMLINK:
                node = SymlinkNode(number, name, remote=directory.remote, parent=directory)
            case EntryKind.FILE:
                node = FileNode(number, name, remote=directory.remote, parent=directory)
        node.set_entry(entry)
        directory.children[name] = node
        self._inodes.add(node)
        return node

    def new_file(self, directory: DirectoryNode, name: str, mode: int, now_ns: int) -> FileNode:
        """A file that this mount creates; it has no content yet."""
        node = FileNode(self._inodes.number(), name, remote=directory.remote, parent=directory)
        node.mode, node.mtime_ns = mode, now_ns
        directory.children[name] = node
        self._inodes.add(node)
        return node

    def hold(self, directory: DirectoryNode, name: str, entry: Entry | None) -> None:
        """Show `entry` for `name` whatever listings say, until as many `settle` came."""
        local = directory.local.setdefault(name, Local(entry))
        if local.pending:
            local.under.append(local.entry)
        local.entry = entry
        local.pending += 1

    def update(self, directory: DirectoryNode, name: str, entry: Entry | None) -> None:
        """Change what is shown for a name that is held."""
        local = directory.local.get(name)
        if local is not None:
            local.entry = entry

    def take_back(self, directory: DirectoryNode, name: str) -> None:
        """The newest change of `name` that was held does not happen: what was known of it before is shown again."""
        local = directory.local[name]
        local.pending -= 1
        child = directory.children.get(name)
        if local.pending == 0:
            del directory.local[name]
            return
        local.entry = local.under.pop()
        if isinstance(child, FileNode | SymlinkNode) and not child.removed:
            local.entry = child.entry()

    def settle(self, directory: DirectoryNode, name: str) -> None:
        """One change of `name` is in the store: a listing asked for from now on shows it."""
        local = directory.local[name]
        local.pending -= 1
        if local.under:
            del local.under[0]
        local.settled_at = self._clock.monotonic_s()
        if local.entry is not None:
            # What waits still was made from the node as it was before this one.
            child = directory.children.get(name)
            if isinstance(child, FileNode | SymlinkNode) and not child.removed:
                local.entry = child.entry()
