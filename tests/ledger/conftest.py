"""What tests of the ledger share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.hosts import LedgerHost, World, in_memory


@pytest.fixture
def world() -> Iterator[World]:
    with in_memory() as folder:
        one = World(folder)
        yield one
        one.close()


@pytest.fixture
def a(world: World) -> LedgerHost:
    return world.host("a")


@pytest.fixture
def b(world: World) -> LedgerHost:
    return world.host("b")
