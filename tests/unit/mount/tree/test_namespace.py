"""Names in directories: listings while they are young, this mount's own changes over them, and never a wrong "no"."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.support.clocks import TrioClock
from tests.support.pools import NEVER, Call, Gate, ScriptedPool
from vstorefs import errors
from vstorefs.model import Content, Entry, EntryKind, Key, StoreSpec, Token, Unshown, name_of
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Inodes, StoreNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

AWAY = errors.Unavailable("no route")


def file(key: str, token: str = "t1", size: int = 3) -> Entry:
    return Entry(Key(key), EntryKind.FILE, size, 5, Token(token))


def folder(key: str) -> Entry:
    return Entry(Key(key), EntryKind.DIRECTORY)


class Store:
    """What the store has now; a listing shows it, with the moment it was asked at."""

    def __init__(self, pool: ScriptedPool) -> None:
        self.entries: list[Entry] = []
        self.complete = True
        self.unshown: tuple[Unshown, ...] = ()
        self.pool = pool
        pool.answers(messages.ListDirectory, self.list)
        pool.answers(messages.Find, self.find)

    async def list(self, call: Call) -> messages.Answer:
        """All that is directly in a directory; one in two where listings are not complete."""
        request = call.request
        assert isinstance(request, messages.ListDirectory)
        prefix = f"{request.directory}/" if request.directory else ""
        found = [
            one
            for one in self.entries
            if one.key.startswith(prefix) and "/" not in one.key[len(prefix) :]
        ]
        return messages.Listed(
            tuple(found if self.complete else found[::2]),
            TrioClock().monotonic_s(),
            complete=self.complete,
            unshown=self.unshown,
        )

    async def find(self, call: Call) -> messages.Answer:
        """One name."""
        request = call.request
        assert isinstance(request, messages.Find)
        return messages.Found(next((one for one in self.entries if one.key == request.key), None))

    def is_away(self) -> None:
        """Let listings come from the cache from now on."""
        known = messages.Listed(tuple(self.entries), 0.0, stale=True, why="no route")
        self.pool.answers(messages.ListDirectory, known)

    @property
    def listings(self) -> int:
        """How often it was asked for one."""
        return len(self.pool.asked_for(messages.ListDirectory))


@pytest.fixture
def store(pool: ScriptedPool) -> Store:
    """An empty store."""
    return Store(pool)


@pytest.fixture
def inodes() -> Inodes:
    """The table of nodes."""
    return Inodes()


@pytest.fixture
def names(inodes: Inodes) -> Namespace:
    """What is tested."""
    return Namespace(inodes, TrioClock())


@pytest.fixture
def root(names: Namespace, remote: Remote) -> DirectoryNode:
    """The store's root."""
    return names.new_root(remote)


async def found(names: Namespace, directory: DirectoryNode, name: str) -> StoreNode:
    node = await names.find(directory, name)
    assert node is not None
    return node


async def found_file(names: Namespace, directory: DirectoryNode, name: str) -> FileNode:
    node = await found(names, directory, name)
    assert isinstance(node, FileNode)
    return node


async def found_folder(names: Namespace, directory: DirectoryNode, name: str) -> DirectoryNode:
    node = await found(names, directory, name)
    assert isinstance(node, DirectoryNode)
    return node


# --- listings


async def test_names_are_found_by_one_listing(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a"), folder("d"), file("d/b")]
    assert (await found_file(names, root, "a")).size == 3
    deep = await found(names, await found_folder(names, root, "d"), "b")
    assert deep.path == "d/b"
    assert await names.find(root, "missing") is None
    assert sorted(await names.entries(root)) == ["a", "d"]
    assert store.listings == 2
    assert store.pool.asked_for(messages.Find) == [], "a name is never asked for by itself"


async def test_a_listing_holds_for_its_seconds_and_no_longer(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await names.entries(root)
    store.entries = [file("new")]
    await trio.sleep(spec.listing_seconds - 1)
    assert names.seconds_left(root) == 1
    assert await names.find(root, "new") is None
    await trio.sleep(1)
    assert names.seconds_left(root) == 0
    assert await names.find(root, "new") is not None
    assert store.listings == 2


async def test_a_listing_made_anew_is_no_older_than_its_seconds_allow(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await names.entries(root)
    names.expire(root)
    expired = TrioClock().monotonic_s()
    await names.entries(root)
    first, second = store.pool.asked_for(messages.ListDirectory)
    assert first.not_before == expired - spec.listing_seconds
    assert second.not_before == expired, "one from before would show the same again"


async def test_all_who_look_at_once_wait_for_one_listing(
    names: Namespace, root: DirectoryNode, store: Store, pool: ScriptedPool
) -> None:
    store.entries = [file("a")]
    gate = Gate(store.list)
    pool.answers(messages.ListDirectory, gate)
    seen = []

    async def look() -> None:
        seen.append(await names.find(root, "a"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(look)
        await gate.reached.wait()
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    assert store.listings == 1
    assert len(seen) == 5
    assert len(set(map(id, seen))) == 1


async def test_a_listing_that_fails_fails_for_nobody_else(
    names: Namespace, root: DirectoryNode, store: Store, pool: ScriptedPool
) -> None:
    store.entries = [file("a")]
    gate = Gate(errors.Denied("not you"))
    pool.answers(messages.ListDirectory, gate, store.list)

    async def refused() -> None:
        with pytest.raises(errors.Denied):
            await names.find(root, "a")

    async def served() -> None:
        assert await names.find(root, "a") is not None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused)
        await gate.reached.wait()
        nursery.start_soon(served)
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    assert store.listings == 2


async def test_a_lister_who_goes_away_leaves_no_one_waiting(
    names: Namespace, root: DirectoryNode, store: Store, pool: ScriptedPool
) -> None:
    gate = Gate(store.list)
    pool.answers(messages.ListDirectory, gate, store.list)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_at, gate.reached, scope)
            await names.find(root, "a")
    assert scope.cancelled_caught
    assert await names.find(root, "a") is None


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


# --- what is not known is not "no"


async def test_a_store_that_is_away_says_of_no_name_that_it_is_not_there(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a")]
    store.is_away()
    assert await names.find(root, "a") is not None
    with pytest.raises(errors.Unavailable):
        await names.find(root, "b")


async def test_a_store_that_is_away_is_asked_again_soon(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    autojump_clock: trio.testing.MockClock,
) -> None:
    store.is_away()
    await names.entries(root)
    assert names.seconds_left(root) == 5
    store.pool.answers(messages.ListDirectory, store.list)
    root.remote.note_answer()
    await trio.sleep(5)
    assert await names.find(root, "b") is None


async def test_what_was_written_here_is_known_while_the_store_is_away(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The listing that is left is from before it was written."""
    await names.entries(root)
    for name in ("new", "gone"):
        names.hold(root, name, file(name) if name == "new" else None)
        names.settle(root, name)
    store.is_away()
    await trio.sleep(spec.listing_seconds)
    assert await names.find(root, "new") is not None
    assert await names.find(root, "gone") is None
    assert sorted(await names.entries(root)) == ["new"]


async def test_a_store_that_has_come_back_is_asked_at_once(
    names: Namespace, root: DirectoryNode, store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    store.is_away()
    root.remote.note_failure(AWAY)
    with pytest.raises(errors.Unavailable):
        await names.find(root, "b")
    await trio.sleep(1)
    store.pool.answers(messages.ListDirectory, store.list)
    root.remote.note_answer()
    assert await names.find(root, "b") is None


async def test_who_waited_until_a_store_came_back_is_told_what_it_has(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What the cache had, asked for before that, is no answer any more."""
    known = messages.Listed((), 0.0, stale=True, why="no route")

    async def comes_back(call: Call) -> messages.Answer:
        del call
        await trio.sleep(1)
        root.remote.note_answer()
        pool.answers(messages.ListDirectory, store.list)
        return known

    store.entries = [file("a")]
    root.remote.note_failure(AWAY)
    pool.answers(messages.ListDirectory, comes_back)
    assert await names.find(root, "a") is not None
    assert await names.find(root, "b") is None


async def test_a_directory_that_alone_cannot_be_listed_is_not_asked_for_again_and_again(
    names: Namespace, root: DirectoryNode, store: Store, autojump_clock: trio.testing.MockClock
) -> None:
    store.is_away()
    for _ in range(10):
        root.remote.note_answer()
        with pytest.raises(errors.Unavailable):
            await names.find(root, "b")
        await trio.sleep(0.1)
    assert store.listings == 1


async def test_the_root_of_a_store_is_never_shown_as_empty_because_it_is_gone(
    names: Namespace, root: DirectoryNode, pool: ScriptedPool
) -> None:
    pool.answers(messages.ListDirectory, errors.NotFound("no bucket"))
    with pytest.raises(errors.Unavailable):
        await names.entries(root)


async def test_a_folder_that_is_gone_is_not_there(
    names: Namespace, root: DirectoryNode, store: Store, pool: ScriptedPool
) -> None:
    store.entries = [folder("d")]
    gone = await found_folder(names, root, "d")
    pool.answers(messages.ListDirectory, errors.NotFound("no such folder"))
    with pytest.raises(errors.NotFound):
        await names.entries(gone)


async def test_a_folder_that_is_on_its_way_to_the_store_is_empty(
    names: Namespace, root: DirectoryNode, store: Store, pool: ScriptedPool
) -> None:
    await names.entries(root)
    names.hold(root, "d", folder("d"))
    made = await found_folder(names, root, "d")
    pool.answers(messages.ListDirectory, errors.NotFound("no such folder"))
    assert await names.entries(made) == {}


async def test_a_name_that_a_listing_lacks_is_asked_for_where_it_is_not_complete(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    store.complete = False
    store.entries = [file("a"), file("b")]
    assert (await found(names, root, "b")).path == "b"
    assert await names.find(root, "c") is None
    await names.find(root, "c")
    await names.find(root, "b")
    assert [one.key for one in store.pool.asked_for(messages.Find)] == ["b", "c"]
    assert "b" in await names.entries(root)
    store.entries.append(file("c"))
    await trio.sleep(spec.listing_seconds)
    assert await names.find(root, "c") is not None


async def test_two_things_of_one_name_are_one_folder_and_it_is_said(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a"), folder("a"), folder("b"), file("b")]
    shown = await names.entries(root)
    assert {name: one.kind for name, one in shown.items()} == {
        "a": EntryKind.DIRECTORY,
        "b": EntryKind.DIRECTORY,
    }
    assert sorted(names.unshown) == ["here:a", "here:b"]


async def test_what_cannot_be_shown_is_said(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [folder(".versions")]
    store.unshown = (Unshown("a\\x00b", "no name has a zero byte"),)
    assert await names.entries(root) == {}
    assert names.unshown["here:a\\x00b"] == "no name has a zero byte"
    assert "here:.versions" in names.unshown


# --- what this mount has changed


async def test_a_change_is_shown_until_a_later_listing_has_it(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    autojump_clock: trio.testing.MockClock,
) -> None:
    store.entries = [file("old")]
    await names.entries(root)
    names.hold(root, "new", file("new"))
    names.hold(root, "old", None)
    await trio.sleep(1000)
    assert sorted(await names.entries(root)) == ["new"], "no listing says otherwise on its way"
    store.entries = [file("new")]
    names.settle(root, "new")
    names.settle(root, "old")
    settled = TrioClock().monotonic_s()
    assert await names.find(root, "old") is None
    await trio.sleep(1000)
    assert sorted(await names.entries(root)) == ["new"]
    assert store.pool.asked_for(messages.ListDirectory)[-1].not_before >= settled
    # Other hosts are heard again from now on.
    store.entries = [file("old")]
    await trio.sleep(1000)
    assert sorted(await names.entries(root)) == ["old"]


async def test_no_listing_that_was_asked_for_before_undoes_a_change(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await names.entries(root)
    names.hold(root, "new", file("new"))
    await trio.sleep(1000)
    # The store is asked now, and answers when it has the change already.
    early = messages.Listed((), TrioClock().monotonic_s())
    gate = Gate(early)
    pool.answers(messages.ListDirectory, gate, store.list)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.refresh, root)
        await gate.reached.wait()
        await trio.sleep(1)
        store.entries = [file("new")]
        names.settle(root, "new")
        gate.open.set()
    assert sorted(await names.entries(root)) == ["new"]
    await trio.sleep(1000)
    assert sorted(await names.entries(root)) == ["new"]


async def test_a_cached_listing_from_before_it_was_settled_will_not_do(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await names.entries(root)
    await trio.sleep(spec.listing_seconds - 10)
    names.hold(root, "new", file("new"))
    names.settle(root, "new")
    settled = TrioClock().monotonic_s()
    await trio.sleep(10)
    await names.entries(root)
    assert store.pool.asked_for(messages.ListDirectory)[-1].not_before == settled


async def test_a_name_with_two_changes_on_their_way_waits_for_both(
    names: Namespace,
    root: DirectoryNode,
    store: Store,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await names.entries(root)
    names.hold(root, "a", file("a", "t1"))
    names.hold(root, "a", file("a", "t2"))
    names.settle(root, "a")
    await trio.sleep(1000)
    assert (await names.entries(root))["a"].token == "t2"
    names.settle(root, "a")
    await trio.sleep(1000)
    assert await names.entries(root) == {}


async def test_a_held_name_can_be_shown_differently(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    await names.entries(root)
    names.update(root, "a", file("a"))
    assert await names.entries(root) == {}, "only what is held"
    names.hold(root, "a", file("a"))
    names.update(root, "a", None)
    assert await names.find(root, "a") is None


async def test_what_is_taken_back_shows_what_the_earlier_change_shows(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    await names.entries(root)
    names.hold(root, "a", file("a", "t1"))
    names.hold(root, "a", None)
    names.hold(root, "a", file("a", "t2"))
    names.take_back(root, "a")
    assert await names.entries(root) == {}
    names.take_back(root, "a")
    assert (await names.entries(root))["a"].token == "t1"
    names.hold(root, "a", None)
    names.settle(root, "a")
    names.take_back(root, "a")
    assert "a" not in root.local


async def test_what_is_removed_here_is_not_asked_for(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.complete = False
    store.entries = [file("a"), file("b")]
    await names.entries(root)
    names.hold(root, "b", None)
    assert await names.find(root, "b") is None
    assert store.pool.asked_for(messages.Find) == []


async def test_a_change_is_known_without_a_listing(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    names.hold(root, "a", file("a"))
    assert await names.find(root, "a") is not None
    assert store.listings == 0


async def test_a_file_that_grows_is_shown_with_its_size_now(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    node = names.new_file(root, "a", 0o600, 7)
    names.hold(root, "a", node.entry())
    node.size = 4711
    shown = (await names.entries(root))["a"]
    assert (shown.size, shown.mode, shown.mtime_ns) == (4711, 0o600, 7)


# --- inode numbers


async def test_the_same_content_keeps_its_number(
    names: Namespace, root: DirectoryNode, store: Store, inodes: Inodes
) -> None:
    store.entries = [file("a")]
    node = await found(names, root, "a")
    names.expire(root)
    assert await names.find(root, "a") is node
    assert inodes.get(node.number) is node


async def test_content_from_elsewhere_comes_under_a_new_number(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a", "t1")]
    old = await found_file(names, root, "a")
    store.entries = [file("a", "t2", size=9)]
    names.expire(root)
    new = await found_file(names, root, "a")
    assert new.number != old.number
    assert (old.size, new.size) == (3, 9), "who has the old one open goes on with it"


async def test_a_file_that_is_written_here_keeps_its_number_whatever_the_store_has(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a", "t1")]
    node = await found_file(names, root, "a")
    node.write_handles += 1
    store.entries = [file("a", "t2", size=9)]
    names.expire(root)
    assert await names.find(root, "a") is node
    assert node.size == 3
    node.write_handles -= 1
    assert await names.find(root, "a") is not node


async def test_a_file_that_was_made_here_keeps_its_number_when_the_store_has_it(
    names: Namespace, root: DirectoryNode, store: Store, spec: StoreSpec
) -> None:
    await names.entries(root)
    node = names.new_file(root, "a", 0o600, 7)
    names.hold(root, "a", node.entry())
    node.content = Content(spec.id, Key("a"), Token("t1"), 3)
    names.settle(root, "a")
    assert await names.find(root, "a") is node


async def test_attributes_that_others_set_are_seen_under_the_same_number(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [folder("d"), file("a")]
    node, directory = await found(names, root, "a"), await found(names, root, "d")
    store.entries = [
        Entry(Key("d"), EntryKind.DIRECTORY, mode=0o700),
        Entry(Key("a"), EntryKind.FILE, 3, 5, Token("t1"), mode=0o600),
    ]
    names.expire(root)
    assert await found_file(names, root, "a") is node
    assert (await found_file(names, root, "a")).mode == 0o600
    assert await found_folder(names, root, "d") is directory
    assert (await found_folder(names, root, "d")).mode == 0o700


async def test_a_name_that_is_another_kind_of_thing_now_is_another_node(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a")]
    old = await found(names, root, "a")
    store.entries = [folder("a")]
    names.expire(root)
    new = await found_folder(names, root, "a")
    store.entries = [Entry(Key("a"), EntryKind.SYMLINK, 1, token=Token("t"), target="b")]
    names.expire(root)
    assert len({old.number, new.number, (await found(names, root, "a")).number}) == 3


async def test_content_that_the_store_lost_is_looked_for_at_the_next_look(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a", "t1")]
    node = await found_file(names, root, "a")
    names.outdate(node)
    assert node.outdated
    assert await names.find(root, "a") is node
    assert store.listings == 2
    outdated = node.outdated
    assert not outdated, "the store has it after all"


async def test_entries_of_a_listing_have_the_nodes_that_a_look_finds(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [file("a"), folder("d")]
    for name, entry in (await names.entries(root)).items():
        assert name == name_of(entry.key)
        assert names.node(root, name, entry) is await names.find(root, name)


async def test_those_who_wait_for_one_listing_are_told_together(
    names: Namespace,
    root: DirectoryNode,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A directory that hangs, in a store that answers."""
    pool.answers(messages.ListDirectory, NEVER)
    failed: list[float] = []

    async def look(name: str) -> None:
        with pytest.raises(errors.Unavailable):
            await names.find(root, name)
        failed.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(look, f"f{number}")
    assert len(set(failed)) == 1


async def test_what_an_earlier_mount_has_changed_is_listed_anew(
    names: Namespace, root: DirectoryNode, store: Store
) -> None:
    store.entries = [folder("d"), file("d/f")]
    below = await found_folder(names, root, "d")
    await names.entries(below)
    names.expire_way(root, Key("d/f"))
    assert names.seconds_left(root) == names.seconds_left(below) == 0
    await names.entries(root)
    await names.entries(below)
    names.expire_way(root, Key("d"))
    assert names.seconds_left(root) == names.seconds_left(below) == 0
    names.expire_way(root, Key("not/there"))
