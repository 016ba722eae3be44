"""What becomes of a dead worker's jobs: the one that it died of is found and refused, and no other is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from vstorefs.model import Key, StoreId
from vstorefs.mount.backend.job import Job, sort_out
from vstorefs.workers import messages


def job(*, deaths: int = 0, kills: int = 0, **more: Any) -> Job[Any]:
    """One that was with so many that died, or were killed."""
    found = Job(messages.Find(StoreId("s"), Key("a")), None, **more)
    for _ in range(deaths):
        found.survived(was_killed=False)
    for _ in range(kills):
        found.survived(was_killed=True)
    return found


def record(*, deaths: int) -> Job[Any]:
    found = Job(messages.Record(()), None)
    for _ in range(deaths):
        found.survived(was_killed=False)
    return found


def test_all_are_asked_again_once() -> None:
    jobs = [job(deaths=1) for _ in range(5)]
    found = sort_out(jobs)
    assert (found.again, found.apart, found.refused) == (jobs, [], [])


def test_the_only_one_that_was_with_both_is_refused() -> None:
    guilty, others = job(deaths=2), [job(deaths=1) for _ in range(5)]
    found = sort_out([*others[:2], guilty, *others[2:]])
    assert found.again == others
    ((refused, why),) = found.refused
    assert refused is guilty
    assert "2 workers died of it" in why


def test_where_several_were_with_both_they_are_asked_apart_from_the_others() -> None:
    suspects, others = [job(deaths=2) for _ in range(3)], [job(deaths=1) for _ in range(3)]
    found = sort_out([*others, *suspects])
    assert (found.again, found.apart, found.refused) == (others, suspects, [])


def test_who_was_there_when_workers_were_killed_is_hardly_suspected() -> None:
    often = job(kills=9)
    assert sort_out([often]).again == [often]
    often.survived(was_killed=True)
    assert [one for one, _ in sort_out([often]).refused] == [often]


def test_a_fetch_that_got_further_is_innocent() -> None:
    fetch = job(deaths=1)
    fetch.reported(messages.Arrived(3))
    fetch.survived(was_killed=False)
    assert sort_out([fetch]).again == [fetch]


def test_records_stay_together_and_in_order_whatever_the_others_did() -> None:
    records, guilty = [record(deaths=2) for _ in range(3)], job(deaths=2)
    found = sort_out([records[0], guilty, *records[1:]])
    assert found.again == records
    assert [one for one, _ in found.refused] == [guilty]


def test_records_that_no_worker_survives_are_refused_in_the_end() -> None:
    assert sort_out([record(deaths=5)]).refused == []
    assert len(sort_out([record(deaths=6)]).refused) == 1


def test_what_is_of_no_use_any_more_is_not_asked_again() -> None:
    found = sort_out([job(deaths=1, given_up=True), job(deaths=1, begun=True)])
    assert len(found.refused) == 2
    assert (found.again, found.apart) == ([], [])


def test_what_may_have_happened_is_not_called_off_with_the_next_worker() -> None:
    one = record(deaths=0)
    one.remarks[messages.Withdraw] = messages.Withdraw()
    one.survived(was_killed=True)
    assert one.remarks == {}


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("count", [1, 2, 5, 64, 300])
def test_the_guilty_one_is_found_among_many_soon_and_alone(workers: int, count: int) -> None:
    """Workers and groups as the pool makes them; new innocent jobs come in all the time."""
    chance = random.Random(workers * 1000 + count)
    jobs = [job() for _ in range(count)]
    guilty = chance.choice(jobs)
    pool: list[list[Job[Any]]] = [[] for _ in range(workers)]
    apart: list[list[Job[Any]]] = []
    for number, one in enumerate(jobs):
        pool[number % workers].append(one)
    for deaths in range(1, 9):
        (dead,) = [group for group in (*pool, *apart) if guilty in group]
        (pool if dead in pool else apart).remove(dead)
        if len(pool) < workers:
            pool.append([job()])
        for one in dead:
            one.survived(was_killed=False)
        found = sort_out(dead)
        if found.refused:
            assert [one for one, _ in found.refused] == [guilty]
            assert deaths <= 2 + 5
            return
        for one in found.again:
            chance.choice(pool).append(one)
        apart += [found.apart[first::4] for first in range(min(4, len(found.apart)))]
    raise AssertionError("it was never found")
