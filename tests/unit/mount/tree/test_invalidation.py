"""The kernel is made to forget in a thread of its own, and whoever asked for it waits no longer than it may."""

from __future__ import annotations

import errno
import os
import threading
import time

import pyfuse3
import pytest
import trio
import trio.testing

from vstorefs.mount.tree.invalidation import Forgetting, Name

pytestmark = pytest.mark.trio


class Kernel:
    """Forgets names. It may refuse some, and keep its callers waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forgotten: list[Name] = []
        self.refused: dict[bytes, int] = {}
        self.threads: set[int] = set()
        self.busy = 0
        self.most_at_once = 0
        self.takes_s = 0.0
        self.ready = threading.Event()
        self.ready.set()
        monkeypatch.setattr(pyfuse3, "invalidate_entry", self.invalidate_entry)

    def invalidate_entry(self, folder: int, name: bytes) -> None:
        """Stand in for pyfuse3's."""
        self.threads.add(threading.get_ident())
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        self.ready.wait()
        time.sleep(self.takes_s)
        self.busy -= 1
        if name in self.refused:
            number = self.refused[name]
            raise OSError(number, os.strerror(number))
        self.forgotten.append((folder, name))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel that obeys."""
    return Kernel(monkeypatch)


async def test_names_are_forgotten_off_the_loop(kernel: Kernel) -> None:
    await Forgetting().forget([(1, b"a"), (2, b"b")])
    assert kernel.forgotten == [(1, b"a"), (2, b"b")]
    assert threading.get_ident() not in kernel.threads


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOENT, False), (errno.ENOTDIR, False), (errno.EPERM, True)]
)
async def test_one_that_is_refused_holds_up_no_other(
    kernel: Kernel, caplog: pytest.LogCaptureFixture, number: int, told: bool
) -> None:
    kernel.refused = {b"a": number}
    await Forgetting().forget([(1, b"a"), (1, b"b")])
    assert kernel.forgotten == [(1, b"b")]
    assert bool(caplog.records) is told


async def test_after_the_bound_nobody_waits_and_it_goes_on(
    kernel: Kernel, autojump_clock: trio.testing.MockClock
) -> None:
    kernel.ready.clear()
    forgetting = Forgetting()
    await forgetting.forget([(1, b"a")], bound_s=5)
    assert kernel.forgotten == []
    kernel.ready.set()
    await forgetting.forget([(1, b"b")])
    assert kernel.forgotten == [(1, b"a"), (1, b"b")]


async def test_no_two_calls_are_in_the_kernel_at_once(kernel: Kernel) -> None:
    kernel.takes_s = 0.001
    forgetting = Forgetting()
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(forgetting.forget, [(number, b"a")] * 5)
    assert len(kernel.forgotten) == 100
    assert kernel.most_at_once == 1
