"""What hosts tell each other by the archive: once, in few requests, and whatever else lies in it."""

from __future__ import annotations

import gzip
import json
import logging
from datetime import timedelta

import msgspec
import pytest

from tests.ledger.hosts import PROJECT, LedgerHost, World, hashes, place, seen
from vstorefs import errors
from vstorefs.ledger.archive import ACKS, BUNDLES, CHECKPOINTS, KEPT, RUNS
from vstorefs.ledger.manifest import SEQUENCE_MAX, RunStatus
from vstorefs.model import Key, Token


def test_an_archive_that_is_away_delays_and_loses_nothing(
    world: World, a: LedgerHost, b: LedgerHost
) -> None:
    world.archive.away = True
    for number in range(3):
        a.once("x", seen(f"t{number}", f"content {number}"))
        with pytest.raises(errors.Unavailable):
            a.meet()
    a.ledger.acknowledge(place("x"), seen("t2", "content 2"), "", "ann")
    assert a.ledger.waiting() == 4
    assert len(a.once("x", seen("t9", "nine"))) == 1
    world.archive.away = False
    assert a.ledger.send() == 5
    assert (a.ledger.waiting(), a.ledger.send()) == (0, 0)
    assert b.ledger.receive().runs == 4
    # The last warning was not acknowledged, the two before were.
    assert len(b.ledger.warnings()) == 1
    assert b.ledger.warnings() == a.ledger.warnings()


def test_an_object_whose_answer_was_lost_is_there_once(
    world: World, a: LedgerHost, b: LedgerHost
) -> None:
    for wait in (timedelta(seconds=5), timedelta(hours=7)):
        a.once("x", seen("t1", "one"))
        world.archive.loses_answer = True
        with pytest.raises(errors.Unavailable):
            a.ledger.send()
        world.time.tick(wait)
        world.archive.loses_answer = False
        assert a.ledger.send() == 1
    assert len(world.archive.below(RUNS)) == 2
    assert b.ledger.receive().runs == 2


def test_what_was_tried_days_ago_is_found_by_hosts_that_look_at_the_last_days(
    world: World, a: LedgerHost, b: LedgerHost
) -> None:
    a.once("x", seen("t1", "one"))
    world.archive.away = True
    with pytest.raises(errors.Unavailable):
        a.ledger.send()
    world.archive.away = False
    world.time.tick(timedelta(days=6))
    b.ledger.receive()
    assert a.ledger.send() == 1
    assert b.ledger.receive().runs == 1
    # Nor is a late try taken for a wrong clock.
    assert b.ledger.skewed() == {}
    assert len(world.archive.below(RUNS)) == 1


def test_a_host_whose_clock_went_back_still_finds_everything(world: World, a: LedgerHost) -> None:
    b = world.host("b", ahead=timedelta(days=40))
    b.ledger.receive()
    b.clock.ahead = timedelta(0)
    a.once("x", seen("t1", "one"))
    a.meet()
    assert b.ledger.receive().runs == 1


def test_a_second_receive_fetches_nothing_again(world: World, a: LedgerHost, b: LedgerHost) -> None:
    for number in range(5):
        a.once("x", seen(f"t{number}", "same"))
    going = a.begin()
    a.use(going, "y", seen("t1", "one"))
    a.ledger.checkpoint(going.id, 0)
    a.ledger.acknowledge(place("x"), seen("t4", "same"), "", "ann")
    a.meet()
    assert b.ledger.receive().runs == 5
    for host in (a, b):
        world.archive.requests.clear()
        assert host.ledger.receive().runs == 0
        assert host.ledger.receive(whole=True).runs == 0
        assert world.archive.requests["get"] == 0


def test_a_host_that_knows_nothing_takes_a_thousand_runs_in_with_few_requests(
    world: World, a: LedgerHost
) -> None:
    for number in range(1000):
        run = a.begin(f"run {number}")
        a.use(run, "same", seen("t", "same"))
        a.use(run, f"own/{number}", seen("t1", str(number)))
        a.use(run, "changing", seen(f"t{number // 10}", f"content {number // 10}"))
        a.make(run, f"out/{number}", seen("t2", f"made {number}"))
        a.end(run)
        a.ledger.send()
    assert len(world.archive.below(RUNS)) == 1000
    new = world.host("new")
    world.archive.requests.clear()
    assert new.ledger.receive(whole=True).runs == 1000
    asked = world.archive.requests
    assert asked["get"] - len(world.archive.below(BUNDLES)) < 200
    assert asked.total() < 220
    assert [run.name for run in new.ledger.runs()] == [run.name for run in a.ledger.runs()]
    assert new.ledger.warnings() == a.ledger.warnings()
    assert len(new.ledger.warnings()) == 99
    for path in ("same", "own/7", "changing", "out/950"):
        assert new.ledger.of_path(place(path)) == a.ledger.of_path(place(path))
    contents = [
        (place("same"), seen("t")),
        (place("changing"), seen("t50")),
        (place("out/3"), seen("t2")),
    ]
    assert new.ledger.of_contents(contents) == a.ledger.of_contents(contents)
    assert new.ledger.of_contents(contents)[0].runs == 1000
    # Files are not read again for their hashes.
    known = new.prints.get(place("same").store, Key("same"), Token("t"))
    assert known is not None
    assert (known.hashes, known.read) == (hashes("same"), False)
    assert len(new.once("changing", seen("t0", "content 0"))) == 1
    # One of the oldest runs is in a bundle only, as far as this host knows: its manifest is found, and kept.
    world.archive.requests.clear()
    oldest = list(new.ledger.runs())[-1]
    assert len(new.ledger.manifest(oldest).inputs) == 3
    assert new.ledger.manifest(oldest) == a.ledger.manifest(oldest)
    assert world.archive.requests == {"list": 1, "get": 1}


def test_runs_that_came_one_by_one_are_not_counted_again_from_bundles(
    a: LedgerHost, b: LedgerHost
) -> None:
    for _ in range(250):
        a.once("same", seen("t", "same"))
        a.ledger.send()
        b.ledger.receive()
    (found,) = b.ledger.of_contents([(place("same"), seen("t"))])
    assert found.runs == 250
    assert found == a.ledger.of_contents([(place("same"), seen("t"))])[0]


def test_a_run_that_goes_on_is_seen_by_its_newest_checkpoint(
    world: World, a: LedgerHost, b: LedgerHost
) -> None:
    run = a.begin("long")
    assert a.ledger.checkpoint(run.id, 0)
    a.use(run, "x", seen("t1", "one"))
    assert a.ledger.checkpoint(run.id, 1)
    assert len(world.archive.below(CHECKPOINTS)) == 1
    b.meet()
    assert b.ledger.find("long").status is RunStatus.RUNNING
    assert len(b.once("x", seen("t2", "two"))) == 1
    a.end(run)
    a.ledger.send()
    assert world.archive.below(CHECKPOINTS) == []
    b.meet()
    found = b.ledger.find("long")
    assert (found.status, found.exit_status, found.inputs) == (RunStatus.FINISHED, 0, 1)
    assert b.ledger.manifest(found).inputs[0].content.hashes == hashes("one")


def test_checkpoints_go_on_where_nothing_may_be_removed(
    world: World, a: LedgerHost, b: LedgerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(name: str) -> None:
        raise errors.Denied("these credentials may only create", key=name)

    monkeypatch.setattr(world.archive, "remove", denied)
    run = a.begin("long")
    for number in range(3):
        a.use(run, f"x{number}", seen(f"t{number}", "one"))
        assert a.ledger.checkpoint(run.id, number)
    b.meet()
    assert b.ledger.find("long").inputs == 3
    a.end(run)
    a.ledger.send()
    assert a.ledger.waiting() == 0
    b.meet()
    assert b.ledger.find("long").status is RunStatus.FINISHED


def test_a_manifest_that_its_host_has_not_sent_is_said_so(a: LedgerHost, b: LedgerHost) -> None:
    run = a.begin("long")
    a.ledger.checkpoint(run.id, 0)
    b.meet()
    with pytest.raises(errors.NotFound, match="the host that it ran on has not uploaded it"):
        b.ledger.manifest(b.ledger.find("long"))


def test_what_cannot_be_read_is_named_once_and_skipped(
    world: World, a: LedgerHost, b: LedgerHost, caplog: pytest.LogCaptureFixture
) -> None:
    a.once("x", seen("t1", "one"))
    a.once("x", seen("t2", "two"))
    a.ledger.acknowledge(place("x"), seen("t2", "two"), "", "ann")
    a.meet()
    stamp = "2026-11-20T140300.000000Z"
    good = world.archive.objects[world.archive.below(RUNS)[0]][0]
    newer = json.dumps({"format": 7}).encode()
    strange = {
        f"{RUNS}{stamp}-{'1' * 26}.json": b"{ half",
        f"{RUNS}{stamp}-{'2' * 26}.json": newer,
        f"{RUNS}{stamp}-{'3' * 26}.json": good,
        f"{BUNDLES}{'4' * 26}.json.gz": b"not gzip",
        f"{BUNDLES}{'5' * 26}.json.gz": gzip.compress(newer),
        f"{ACKS}{stamp}-{'6' * 26}.json": b"[]",
        f"{ACKS}{stamp}-{'7' * 26}.json": newer,
        f"{KEPT}{stamp}-{'9' * 26}.json": b"null",
        f"{CHECKPOINTS}{stamp}-{'8' * 26}@00000001.json": b"",
    }
    for name, data in strange.items():
        world.archive.objects[name] = (data, world.time.now)
    world.archive.objects[f"{RUNS}README"] = (b"not ours", world.time.now)
    world.archive.objects[f"{RUNS}{'n' * 900}"] = (b"not ours", world.time.now)
    with caplog.at_level(logging.WARNING):
        assert b.ledger.receive().runs == 2
        for name in strange:
            assert len([one for one in caplog.messages if name in one]) == 1, name
        assert sum("newer vstorefs" in one for one in caplog.messages) == 3
        caplog.clear()
        world.archive.requests.clear()
        assert b.ledger.receive().runs == 0
        assert caplog.messages == []
        assert world.archive.requests["get"] == 0
        # A new mount looks again: what was damaged on its way is not lost.
        b.ledger.receive(whole=True)
        assert len(caplog.messages) == len(strange)
    assert b.ledger.acknowledged(place("x")) is not None
    assert b.ledger.warnings() == []


def test_damaged_manifests_do_not_keep_others_out_of_bundles(
    world: World, a: LedgerHost, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(150):
        a.once("x", seen("t", "same"))
    a.ledger.send()
    broken = world.archive.below(RUNS)[10]
    world.archive.objects[broken] = (b"", world.time.now)
    for _ in range(60):
        a.once("x", seen("t", "same"))
    a.ledger.send()
    assert len(world.archive.below(BUNDLES)) == 1
    with caplog.at_level(logging.WARNING):
        assert world.host("new").ledger.receive(whole=True).runs == 209
    assert any(broken in one for one in caplog.messages)


def test_hosts_that_differ_about_a_content_say_so_loudly(
    a: LedgerHost, b: LedgerHost, caplog: pytest.LogCaptureFixture
) -> None:
    a.once("x", seen("t1", "one"))
    a.hash("x", seen("t1"), "one")
    b.once("x", seen("t1", "damaged"))
    b.meet()
    with caplog.at_level(logging.ERROR):
        a.meet()
    (message,) = [one for one in caplog.messages if "damaged content" in one]
    assert hashes("one").sha256 in message
    assert hashes("damaged").sha256 in message


def test_a_sequence_that_cannot_be_one_is_left_out_with_a_warning(
    world: World, a: LedgerHost, b: LedgerHost, caplog: pytest.LogCaptureFixture
) -> None:
    a.once("x", seen("t1", "one"))
    a.ledger.send()
    (name,) = world.archive.below(RUNS)
    whole = json.loads(world.archive.get(name))
    whole["run"]["sequence"] = 1 << 53
    world.archive.objects[name] = json.dumps(whole).encode(), world.time.now
    assert b.ledger.receive().runs == 0
    assert "is no readable manifest" in caplog.text
    b.once("x", seen("t2", "two"))
    assert b.ledger.send() == 1


def test_above_the_highest_sequence_runs_go_on_by_their_times(
    world: World, a: LedgerHost, b: LedgerHost
) -> None:
    a.once("x", seen("t1", "one"))
    a.ledger.send()
    (name,) = world.archive.below(RUNS)
    whole = json.loads(world.archive.get(name))
    whole["run"]["sequence"] = whole["inputs"][0]["sequence"] = SEQUENCE_MAX
    world.archive.objects[name] = json.dumps(whole).encode(), world.time.now
    assert b.ledger.receive().runs == 1
    world.time.tick(timedelta(seconds=5))
    assert len(b.once("x", seen("t2", "two"))) == 1
    world.time.tick(timedelta(seconds=5))
    assert b.once("x", seen("t2", "two")) == []


def test_what_an_earlier_release_let_into_the_index_ends_no_mount(
    world: World, a: LedgerHost
) -> None:
    a.once("x", seen("t1", "one"))
    databases = (a.state.runs, a.state.uses, a.state.contents)
    with a.state.writing() as txn:
        for database in databases:
            with txn.cursor(db=database) as cursor:
                for key, value in list(cursor):
                    wrong = msgspec.msgpack.decode(value)
                    txn.put(key, msgspec.msgpack.encode(_with_sequence(wrong)), db=database)
        txn.put(PROJECT.encode() + b"sequence", (1 << 53).to_bytes(8, "big"), db=a.state.ledger)
    a.once("x", seen("t1", "one"))
    assert [run.status for run in a.ledger.runs()] == [RunStatus.FINISHED]


def _with_sequence(value: object) -> object:
    if not isinstance(value, dict):
        return value
    changed = {key: _with_sequence(one) for key, one in value.items()}
    return {key: 1 << 53 if "sequence" in key else one for key, one in changed.items()}
