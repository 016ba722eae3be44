"""Entries are published in an order that no program could tell from the one they were promised in."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from vstorefs.model import (
    Content,
    JournalEntry,
    Key,
    Operation,
    SessionId,
    StoreId,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.mount.writing.dependencies import Queue

STORE = StoreId("s")
PATHS = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]


def entry(
    seq: int, operation: Operation, path: str, target: str | None, *, folder: bool = False
) -> JournalEntry:
    write = Write(WriteId(str(seq)), VersionId(str(seq)), 0, None)
    source = None if folder else Content(STORE, Key(path), Token("t"), 0)
    return JournalEntry(
        seq,
        SessionId("x"),
        STORE,
        operation,
        Key(path),
        write,
        target=Key(target) if target is not None else None,
        source=source,
    )


def touches(one: JournalEntry, other: JournalEntry) -> bool:
    """Whether two entries may not change places: the rules, written down once more and naively."""
    whole = {Operation.MAKE_DIRECTORY, Operation.REMOVE_DIRECTORY}
    for first, second in ((one, other), (other, one)):
        is_whole = first.operation in whole or (
            first.operation is Operation.RENAME and first.source is None
        )
        for path in {first.path, first.target} - {None}:
            for near in {second.path, second.target} - {None}:
                if path == near or (is_whole and str(near).startswith(f"{path}/")):
                    return True
    return False


steps = st.tuples(
    st.sampled_from(
        [
            Operation.PUT,
            Operation.REMOVE,
            Operation.RENAME,
            Operation.MAKE_DIRECTORY,
            Operation.REMOVE_DIRECTORY,
        ]
    ),
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.booleans(),
)


@given(st.lists(steps, max_size=14), st.randoms(use_true_random=False))
def test_nothing_overtakes_what_concerns_it_and_all_is_done(
    todo: list[tuple[Operation, str, str, bool]], chance: random.Random
) -> None:
    queue = Queue()
    entries = []
    for seq, (operation, path, target, folder) in enumerate(todo, 1):
        rename = operation is Operation.RENAME
        entries.append(
            entry(seq, operation, path, target if rename else None, folder=rename and folder)
        )
        queue.add(entries[-1])
    running = queue.ready()
    done: list[JournalEntry] = []
    while running:
        for one in running:
            earlier = [other for other in entries if other.seq < one.seq and touches(one, other)]
            assert all(other in done for other in earlier)
        finished = running.pop(chance.randrange(len(running)))
        done.append(finished)
        queue.done(finished.seq)
        running += queue.ready()
    assert len(done) == len(entries)
    assert len(queue) == 0


def test_different_files_go_side_by_side() -> None:
    queue = Queue()
    for seq in range(1, 6):
        queue.add(entry(seq, Operation.PUT, f"folder/f{seq}", None))
    assert len(queue.ready()) == 5


def test_a_renamed_link_holds_up_nothing_below_its_name() -> None:
    queue = Queue()
    link = replace(entry(1, Operation.RENAME, "e", "a", folder=True), link="somewhere")
    queue.add(link)
    queue.add(entry(2, Operation.PUT, "a/b", None))
    assert [one.seq for one in queue.ready()] == [1, 2]
