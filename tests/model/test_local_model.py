"""The `file` kind's steps, stopped at any of them and mixed with what other programs do.

A kill is an exception at one labelled step: nothing after it happens, as when a process dies. An
outside program acts at a step, in the middle of ours. Whatever comes of it: a content whose put returned is
in the history exactly once, one that was killed at most once and after a retry exactly once, what is filed
never changes, and everybody sees the same history.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vstorefs import errors
from vstorefs.model import (
    Key,
    Mark,
    StoreId,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.ids import new_id
from vstorefs.stores.local import disk
from vstorefs.stores.local.store import LocalStore

KEY = Key("d/f")


class Killed(BaseException):
    """The process is gone."""


class Clock:
    """Steps by a microsecond, and sometimes goes back."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def wall_ns(self) -> int:
        self.now += 1000
        return self.now

    def monotonic_s(self) -> float:
        return 0.0


#: What is done, the moment of it, what happens meanwhile, whether its base is stale, whether it is overdue.
StepTaken = tuple[str, int, str, bool, bool]


class World:
    """One folder, its writers, and what must hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "store" / "d").mkdir(parents=True)
        self.plain = folder / "store" / KEY
        self.clock = Clock()
        self.number = 0
        self.returned: dict[WriteId, bytes] = {}
        self.killed: dict[WriteId, bytes] = {}
        self.filed: dict[Path, bytes] = {}

    def store(self, step: Callable[[str], None] = lambda _: None) -> LocalStore:
        spec = StoreSpec(StoreId("s"), "s", (self.folder / "store").as_uri())
        return LocalStore(spec, clock=self.clock, step=step)

    def content(self, who: str) -> bytes:
        self.number += 1
        return f"{who} {self.number}".encode()

    def write(self, base: Token | None, size: int) -> Write:
        return Write(WriteId(new_id()), VersionId(new_id()), self.clock.wall_ns(), base, size=size)

    def base(self) -> Token | None:
        try:
            return self.store().stat(KEY).token
        except errors.NotFound:
            return None

    def put(self, at: int, event: str, *, stale: bool, overdue: bool) -> None:
        content = self.content("ours")
        source = self.folder / "source"
        source.write_bytes(content)
        write = self.write(Token("long ago") if stale else self.base(), len(content))
        try:
            self.store(self.stop(at, event)).put(KEY, source, write, overdue=overdue)
            self.returned[write.write_id] = content
        except Killed:
            self.killed[write.write_id] = content
            if event == "kill and retry":
                if self.store().find_write(KEY, write) is None:
                    self.store().put(KEY, source, write, overdue=overdue)
                del self.killed[write.write_id]
                self.returned[write.write_id] = content

    def remove(self, at: int, event: str, *, stale: bool) -> None:
        write = self.write(Token("long ago") if stale else self.base(), 0)
        try:
            self.store(self.stop(at, event)).remove(KEY, write)
        except Killed:
            if event == "kill and retry" and self.store().find_write(KEY, write) is None:
                self.store().remove(KEY, write)

    def stop(self, at: int, event: str) -> Callable[[str], None]:
        """A hook that lets something happen at the step number `at`."""
        left = at

        def step(_: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                if event.startswith("kill"):
                    raise Killed
                self.outside(event)

        return step

    def outside(self, what: str) -> None:
        if what == "replace":
            other = self.folder / "other"
            other.write_bytes(self.content("theirs"))
            os.replace(other, self.plain)
        elif what == "append" and self.plain.exists():
            with self.plain.open("ab") as file:
                file.write(b" and theirs")
        elif what == "delete":
            self.plain.unlink(missing_ok=True)

    def check(self) -> None:
        histories = [self.store().history(KEY) for _ in range(2)]
        assert histories[0] == histories[1]
        times = [version.time_ns for version in histories[0]]
        assert times == sorted(times)
        ids = [version.id for version in histories[0]]
        assert len(ids) == len(set(ids))
        contents = [version for version in histories[0] if version.kind is VersionKind.CONTENT]
        for write_id in (*self.returned, *self.killed):
            found = [version for version in contents if version.write_id == write_id]
            assert len(found) <= 1
            if write_id in self.returned:
                self.check_kept(found, self.returned[write_id])
        for path, data in self.filed.items():
            assert path.read_bytes() == data
        for path in (self.folder / "store" / ".vstorefs").rglob("0*-*"):
            self.filed[path] = path.read_bytes()

    def check_kept(self, found: list[Version], content: bytes) -> None:
        if not found:
            # Only an outside program that deletes or replaces the plain file takes a head away.
            assert self.took_away
            return
        version = found[0]
        if Mark.REPLACED_OUTSIDE not in version.marks and Mark.CHANGED_AFTER not in version.marks:
            data = b"".join(
                self.store().read(KEY, version.token, 0, version.size, version=version.id)
            )
            assert data == content

    took_away = False


def run(steps: list[StepTaken]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for action, at, event, stale, overdue in steps:
            world.took_away |= event in {"replace", "delete"} or action in {"replace", "delete"}
            if action == "put":
                world.put(at, event, stale=stale, overdue=overdue)
            elif action == "remove":
                world.remove(at, event, stale=stale)
            else:
                world.outside(action)
            world.check()


class Poor:
    """A file system that knows neither swaps nor renames-if-absent, nor attributes, and perhaps no links."""

    def __init__(self, patch: pytest.MonkeyPatch, *, links: bool) -> None:
        patch.setattr(disk, "_renameat2", self.refuse)
        for name in ("getxattr", "setxattr"):
            patch.setattr(os, name, self.refuse)
        if not links:
            patch.setattr(Path, "hardlink_to", self.refuse)

    @staticmethod
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.fixture(params=["links", "no links"])
def poor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Poor:
    return Poor(monkeypatch, links=request.param == "links")


kills = st.sampled_from(["none", "kill", "kill and retry"])
events = st.sampled_from(["none", "kill", "kill and retry", "replace", "append", "delete"])
actions = st.sampled_from(["put", "put", "put", "remove"])
moments = st.integers(1, 9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(actions, moments, kills, st.booleans(), st.booleans()), max_size=8))
def test_kills_at_every_step_lose_nothing(steps: list[StepTaken]) -> None:
    run(steps)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "remove", "replace", "append", "delete"]),
            moments,
            events,
            st.booleans(),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_other_programs_in_the_middle_change_no_old_version(steps: list[StepTaken]) -> None:
    run(steps)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(actions, moments, kills, st.booleans(), st.booleans()), max_size=8))
def test_kills_lose_nothing_where_the_file_system_knows_little(
    poor: Poor, steps: list[StepTaken]
) -> None:
    del poor
    run(steps)


@pytest.mark.parametrize("after", ["link", "rename", "none"])
def test_a_swap_in_steps_that_is_cut_short(
    after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step was the last, every content is in the history, once."""
    Poor(monkeypatch, links=True)
    world = World(tmp_path)
    world.put(0, "none", stale=False, overdue=False)
    renames = 0
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        nonlocal renames
        # Of the two renames of a swap the first makes the new content the head.
        if target == world.plain or self.name.startswith("0" * 26):
            renames += 1
            if renames == {"link": 1, "rename": 2, "none": 9}[after]:
                raise Killed
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        world.put(0, "kill and retry", stale=False, overdue=False)
    world.put(0, "none", stale=False, overdue=False)
    world.check()
    assert len(world.store().history(KEY)) == 3
    assert len(world.returned) == 3
