"""A reader's plan: it covers what is asked, never too much, never twice, and runs ahead of a sequential reader."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from vstorefs.mount.reading.readahead import PART_CHUNKS, Plan, Reader, plan

MIB = 1 << 20


class Simulation:
    """A reader whose fetches arrive at once."""

    def __init__(self, size: int, budget: int = 64) -> None:
        self.size = size
        self.budget = budget
        self.reader = Reader()
        self.there: set[int] = set()
        self.fetches = 0

    def read(self, start: int, end: int) -> Plan:
        result = plan(
            self.reader,
            start,
            end,
            self.size,
            self.there.__contains__,
            lambda _: False,
            self.budget,
        )
        for part in result.fetches:
            chunks = set(range(part.first, part.last))
            assert chunks
            assert len(chunks) <= PART_CHUNKS
            assert not chunks & self.there
            assert part.last <= -(-self.size // MIB)
            self.there |= chunks
            self.fetches += 1
        for chunk in range(start // MIB, -(-min(end, self.size) // MIB)):
            assert chunk in self.there
        self.reader = result.reader
        return result


@given(st.lists(st.tuples(st.integers(0, 200 * MIB - 1), st.integers(1, 2 * MIB)), max_size=40))
def test_every_request_is_covered_and_nothing_is_fetched_twice(
    requests: list[tuple[int, int]],
) -> None:
    simulation = Simulation(200 * MIB)
    for start, length in requests:
        simulation.read(start, min(start + length, simulation.size))


def test_a_sequential_reader_gets_large_parts() -> None:
    simulation = Simulation(1024 * MIB)
    for start in range(0, simulation.size, MIB // 8):
        simulation.read(start, start + MIB // 8)
    assert simulation.fetches <= 1024 // PART_CHUNKS + 12


def test_requests_out_of_order_stay_sequential() -> None:
    simulation = Simulation(256 * MIB)
    starts = list(range(0, simulation.size, MIB // 8))
    for index in range(0, len(starts) - 1, 2):
        starts[index], starts[index + 1] = starts[index + 1], starts[index]
    for start in starts:
        simulation.read(start, start + MIB // 8)
    assert simulation.fetches <= 256 // PART_CHUNKS + 12


def test_a_reader_at_random_gets_what_it_asks_for() -> None:
    chance = random.Random(1)
    simulation = Simulation(4096 * MIB)
    simulation.read(3000 * MIB, 3000 * MIB + 4096)
    before = len(simulation.there)
    asked = set()
    position = 3000
    for _ in range(50):
        position = (position + chance.randrange(100, 3900)) % 4096
        asked.add(position)
        simulation.read(position * MIB, position * MIB + 4096)
    assert len(simulation.there) - before <= len(asked)


def test_the_budget_bounds_what_is_ahead() -> None:
    simulation = Simulation(1024 * MIB, budget=4)
    for start in range(0, 100 * MIB, MIB):
        simulation.read(start, start + MIB)
        assert max(simulation.there) <= start // MIB + 5
