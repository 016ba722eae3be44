"""Stores are opened once, when first used, and do not wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.clock import SystemClock
from vstorefs.model import StoreId, StoreSpec
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.registry import resolve
from vstorefs.workers.jobs import context as module
from vstorefs.workers.jobs.context import Stores

SLOW = resolve("slow", "file:///slow", environ={})
QUICK = resolve("quick", "file:///quick", environ={})


@pytest.fixture
def probes(tmp_path: Path) -> Iterator[Probes]:
    state = State.open(tmp_path / "state")
    yield Probes(state, SystemClock())
    state.close()


def test_a_store_that_opens_slowly_holds_up_no_other_and_is_opened_once(
    monkeypatch: pytest.MonkeyPatch, probes: Probes
) -> None:
    go_on = threading.Event()
    opened: list[str] = []

    def opening(spec: StoreSpec, _probes: Probes) -> FakeStore:
        opened.append(spec.alias)
        if spec is SLOW:
            assert go_on.wait(60)
        return FakeStore(spec)

    monkeypatch.setattr(module, "open_store", opening)
    stores = Stores({SLOW.id: SLOW, QUICK.id: QUICK}, probes, SystemClock())
    with ThreadPoolExecutor(3) as threads:
        slow = [threads.submit(stores.get, SLOW.id) for _ in range(2)]
        try:
            assert threads.submit(stores.get, QUICK.id).result(30).spec is QUICK
        finally:
            go_on.set()
        assert slow[0].result(30) is slow[1].result(30)
    assert sorted(opened) == ["quick", "slow"]


def test_a_store_that_the_mount_does_not_have(probes: Probes) -> None:
    with pytest.raises(errors.NotFound):
        Stores({SLOW.id: SLOW}, probes, SystemClock()).get(StoreId("another"))


def test_a_store_that_denies_is_opened_anew_now_and_then(
    monkeypatch: pytest.MonkeyPatch, probes: Probes
) -> None:
    now = [100.0]
    clock = SystemClock()
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])
    monkeypatch.setattr(module, "open_store", lambda spec, _probes: FakeStore(spec))
    stores = Stores({SLOW.id: SLOW, QUICK.id: QUICK}, probes, clock)
    first, other = stores.get(SLOW.id), stores.get(QUICK.id)
    assert not stores.doubt("slow")
    assert stores.get(SLOW.id) is first
    now[0] += 11
    assert stores.doubt("slow")
    second = stores.get(SLOW.id)
    assert second is not first
    assert stores.get(SLOW.id) is second
    assert stores.get(QUICK.id) is other
