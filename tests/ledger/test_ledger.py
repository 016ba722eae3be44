"""Runs of two hosts: what is warned of, how often, and where that ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.ledger.hosts import STORE, LedgerHost, World, hashes, place, seen
from vstorefs import errors
from vstorefs.ledger.ledger import Note
from vstorefs.ledger.manifest import RunKind, RunStatus, Seen, WarningKind
from vstorefs.model import Key, RunId, SessionId, StoreId


def test_a_changed_input_is_warned_of_once_in_a_run_with_both_hashes_and_the_run_before(
    a: LedgerHost,
) -> None:
    first = a.begin("first")
    assert a.use(first, "x.csv", seen("t1", "one")) == []
    a.end(first)
    second = a.begin("second")
    (warning,) = a.use(second, "x.csv", seen("t2", "two", 6))
    assert warning.kind is WarningKind.CHANGED
    assert warning.run == second.id
    assert warning.before is not None
    assert warning.now is not None
    assert (warning.before.run, warning.before.run_name) == (first.id, "first")
    assert (warning.before.content.hashes, warning.before.content.size) == (hashes("one"), 5)
    assert (warning.now.hashes, warning.now.size) == (hashes("two"), 6)
    assert a.use(second, "x.csv", seen("t2", "two", 6)) == []
    assert a.use(second, "x.csv", seen("t3", "three", 7)) == []
    assert a.ledger.warnings_of(place("x.csv")) == [warning]
    whole = a.end(second)
    assert whole.warnings == (warning,)
    assert (whole.run.inputs, whole.run.warnings) == (2, 1)
    assert [use.opens for use in whole.inputs] == [2, 1]
    assert a.once("x.csv", seen("t3", "three", 7)) == []
    assert a.ledger.warnings() == [warning]


def test_a_warning_reaches_the_other_host_and_an_acknowledgement_ends_it_on_both(
    a: LedgerHost, b: LedgerHost
) -> None:
    a.once("x", seen("t1", "one"))
    a.meet()
    b.meet()
    (warning,) = b.once("x", seen("t2", "two"))
    assert warning.before is not None
    assert warning.before.host == "a"
    b.meet()
    a.meet()
    assert a.ledger.warnings() == b.ledger.warnings() == [warning]
    assert a.ledger.acknowledge(place("x"), seen("t2", "two"), "new labels", "ann") == 1
    assert a.ledger.warnings() == []
    a.meet()
    b.meet()
    assert b.ledger.warnings() == []
    found = b.ledger.acknowledged(place("x"))
    assert found is not None
    assert (found.why, found.content) == ("new labels", seen("t2", "two"))


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)])
def test_clocks_ten_minutes_apart_change_neither_order_nor_acknowledgements(
    world: World, ahead: timedelta
) -> None:
    a, b = world.host("a"), world.host("b", ahead=ahead)
    a.once("x", seen("t1", "one"))
    a.meet()
    b.meet()
    assert len(b.once("x", seen("t2", "two"))) == 1
    b.meet()
    a.meet()
    # B's use is the newest, whatever its clock says.
    assert a.once("x", seen("t2", "two")) == []
    assert a.ledger.acknowledge(place("x"), seen("t2", "two"), "fine", "ann") == 1
    a.meet()
    b.meet()
    assert b.ledger.warnings() == []
    (again,) = b.once("x", seen("t3", "three"))
    assert again.before is not None
    assert again.before.host == "a"
    b.ledger.acknowledge(place("x"), seen("t3", "three"), "fine too", "ann")
    b.meet()
    a.meet()
    assert a.ledger.warnings() == []
    accepted = a.ledger.acknowledged(place("x"))
    assert accepted is not None
    assert accepted.why == "fine too"
    assert a.once("x", seen("t3", "three")) == []
    seconds = round(ahead.total_seconds())
    (skew,) = a.ledger.skewed().items()
    assert skew[0] == "b"
    assert abs(skew[1] - seconds) <= 1
    # The store tells B of its own clock, too.
    assert b.ledger.skewed().keys() == {"b"}


def test_a_clock_that_was_set_right_is_not_reported_any_more(world: World, b: LedgerHost) -> None:
    a = world.host("a")
    b.clock.ahead = timedelta(minutes=10)
    b.once("x", seen("t1", "one"))
    b.meet()
    assert a.ledger.receive().skewed == (("b", 600),)
    assert a.ledger.receive().skewed == ()
    assert a.ledger.skewed() == {"b": 600}
    world.time.tick(timedelta(hours=1))
    b.clock.ahead = timedelta(0)
    b.once("x", seen("t1", "one"))
    b.meet()
    a.meet()
    assert a.ledger.skewed() == {}


def test_the_same_bytes_under_a_new_token_are_no_change(a: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    assert a.once("x", seen("t2", "one")) == []
    run = a.begin()
    assert a.use(run, "x", seen("t3")) == []
    assert a.hash("x", seen("t3"), "one") == []
    assert a.end(run).warnings == ()
    assert a.once("x", seen("t3")) == []


def test_a_question_is_answered_when_the_hashes_become_known(a: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    run, other = a.begin(), a.begin()
    assert a.use(run, "x", seen("t2")) == []
    assert a.hash("y", seen("t2"), "two") == []
    (warning,) = a.hash("x", seen("t2"), "two")
    assert warning.kind is WarningKind.CHANGED
    assert warning.now is not None
    assert warning.now.hashes == hashes("two")
    assert a.hash("x", seen("t2"), "two") == []
    assert a.use(other, "x", seen("t2")) == []
    assert a.end(run).warnings == (warning,)
    assert a.end(other).warnings == ()


def test_where_hashes_stay_unknown_it_may_have_changed_and_another_size_is_a_change(
    a: LedgerHost,
) -> None:
    for path in ("in vain", "never", "larger"):
        a.once(path, seen("t1", "one"))
    run = a.begin()
    assert a.use(run, "in vain", seen("t2")) == []
    assert a.use(run, "never", seen("t2")) == []
    assert a.use(run, "larger", seen("t2", size=900)) == []
    (warning,) = a.hash("in vain", seen("t2"), None)
    assert warning.kind is WarningKind.MAY_HAVE_CHANGED
    whole = a.end(run)
    assert {one.place.path: one.kind for one in whole.warnings} == {
        "in vain": WarningKind.MAY_HAVE_CHANGED,
        "never": WarningKind.MAY_HAVE_CHANGED,
        "larger": WarningKind.CHANGED,
    }


def test_nobody_waits_for_the_hashes_of_a_large_input_that_differs_in_size(a: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    (warning,) = a.once("x", seen("t2", size=1 << 40))
    assert warning.kind is WarningKind.CHANGED


def test_an_input_that_has_disappeared(a: LedgerHost, b: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    a.meet()
    b.meet()
    run = b.begin()
    assert b.miss(run, "never used") == []
    (warning,) = b.miss(run, "x")
    assert (warning.kind, warning.now) == (WarningKind.DISAPPEARED, None)
    assert warning.before is not None
    assert warning.before.content.hashes == hashes("one")
    assert b.miss(run, "x") == []
    b.ledger.acknowledge(place("x"), None, "not needed", "ann")
    assert b.ledger.warnings() == []
    assert b.miss(b.begin(), "x") == []
    # It comes back with other content: that nobody accepted.
    (back,) = b.once("x", seen("t2", "two"))
    assert back.kind is WarningKind.CHANGED


def test_what_a_run_removed_itself_has_not_disappeared_for_it(a: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    run = a.begin()
    a.ledger.removed(run.id, place("x"))
    assert a.miss(run, "x") == []
    a.make(run, "x", seen("t2", "two"))
    a.end(run)
    (warning,) = a.miss(a.begin(), "x")
    assert warning.kind is WarningKind.DISAPPEARED


def test_an_output_that_another_program_replaced(a: LedgerHost) -> None:
    made = a.begin("maker")
    a.make(made, "out", seen("t1", "one"))
    a.end(made)
    assert a.once("out", seen("t1", "one")) == []
    (warning,) = a.once("out", seen("t2", "two"))
    assert warning.kind is WarningKind.CHANGED
    rewriting = a.begin("maker")
    a.make(rewriting, "out", seen("t3", "three"))
    a.end(rewriting)
    # Put back by hand to what was used last, and so not what the run made of it since.
    (replaced,) = a.once("out", seen("t4", "two"))
    assert replaced.kind is WarningKind.REPLACED
    assert replaced.before is not None
    assert replaced.before.run == rewriting.id


def test_a_run_s_own_outputs_are_no_inputs(a: LedgerHost) -> None:
    run = a.begin()
    a.make(run, "out", seen("t1", "one"))
    assert a.use(run, "out", seen("t1", "one")) == []
    a.make(run, "out", seen("t2", "two"))
    assert a.use(run, "out", seen("t2", "two")) == []
    whole = a.end(run)
    assert whole.inputs == ()
    assert [one.content.token for one in whole.outputs] == ["t2"]
    other = a.begin()
    a.use(other, "out", seen("t2", "two"))
    assert [one.place.path for one in a.end(other).inputs] == ["out"]


def test_a_long_run_s_use_counts_from_when_it_was_not_from_when_the_run_began(
    a: LedgerHost, b: LedgerHost
) -> None:
    mount = a.begin()
    a.once("x", seen("t1", "one"))
    (warning,) = a.use(mount, "x", seen("t2", "two"))
    assert warning.run == mount.id
    # The newest use is the mount's, though its run is the older one.
    assert a.once("x", seen("t2", "two")) == []
    a.end(mount)
    a.meet()
    b.meet()
    assert b.once("x", seen("t2", "two")) == []


def test_a_mount_that_ends_late_does_not_bring_back_an_old_use(a: LedgerHost) -> None:
    mount = a.begin()
    a.use(mount, "x", seen("t1", "one"))
    assert len(a.once("x", seen("t2", "two"))) == 1
    again = a.ledger.begin(mount, SessionId("living"), {})
    assert again.sequence > mount.sequence
    a.end(mount)
    assert a.once("x", seen("t2", "two")) == []


def test_a_change_after_an_acknowledgement_is_warned_of_in_the_same_run(a: LedgerHost) -> None:
    a.once("x", seen("t1", "one"))
    mount = a.begin()
    (first,) = a.use(mount, "x", seen("t2", "two"))
    assert a.ledger.acknowledge(place("x"), seen("t2", "two"), "", "ann") == 1
    (second,) = a.use(mount, "x", seen("t3", "three"))
    assert a.kinds("x") == ["changed"]
    whole = a.end(mount)
    assert whole.warnings == (first, second)
    # The end of the run does not bring back what was acknowledged while it went on.
    assert a.ledger.warnings() == [second]


def test_a_file_that_changed_while_it_was_read(a: LedgerHost) -> None:
    run = a.begin()
    use = a.input("x", seen("t1", "one"))
    a.ledger.note([Note(run=run.id, use=use)])
    (warning,) = a.ledger.note([Note(run=run.id, use=use, torn=True)])
    assert warning.kind is WarningKind.CHANGED_WHILE_READ
    assert a.ledger.note([Note(run=run.id, use=use, torn=True)]) == ()
    a.ledger.acknowledge(place("x"), seen("t2"), "", "ann")
    a.end(run)
    assert a.ledger.warnings() == []


def test_a_version_asked_for_by_name_is_an_input_and_never_compared(
    a: LedgerHost, b: LedgerHost
) -> None:
    run = a.begin()
    assert a.use(run, "x", seen("t2", "two")) == []
    other = a.begin()
    assert a.use(other, "x", seen("t1", "one"), pinned=True) == []
    assert a.ledger.checkpoint(other.id, 0)
    b.meet()
    assert a.end(other).inputs[0].pinned
    a.end(run)
    a.meet()
    b.meet()
    assert a.once("x", seen("t2", "two")) == []
    assert b.once("x", seen("t2", "two")) == []


def test_interrupted_runs_are_closed_and_living_ones_are_not(a: LedgerHost, b: LedgerHost) -> None:
    dead, living = a.begin(session="dead"), a.begin(session="living")
    a.use(dead, "x", seen("t1", "one"))
    closed = a.ledger.end_abandoned(lambda session: session == "living")
    assert [run.id for run in closed] == [dead.id]
    assert a.ledger.find(dead.id).status is RunStatus.INTERRUPTED
    assert a.ledger.find(living.id).status is RunStatus.RUNNING
    assert a.ledger.end_abandoned(lambda session: session == "living") == []
    a.meet()
    b.meet()
    assert len(b.once("x", seen("t2", "two"))) == 1


def test_other_projects_runs_in_the_same_state_are_left_alone(a: LedgerHost, world: World) -> None:
    other = LedgerHost(world.folder, world.archive, name="a", project=StoreId("q" * 32))
    a.once("x", seen("t1", "one"))
    other.once("x", seen("t9", "nine"))
    run, elsewhere = a.begin(session="dead"), other.begin(session="dead")
    a.use(run, "x", seen("t2"))
    other.use(elsewhere, "x", seen("t2"))
    (warning,) = a.hash("x", seen("t2"), "two")
    assert warning.run == run.id
    (theirs,) = other.hash("x", seen("t2"), "two")
    assert theirs.before is not None
    assert theirs.before.content.hashes == hashes("nine")
    assert [one.id for one in a.ledger.end_abandoned(lambda _: False)] == [run.id]
    assert len(list(a.ledger.runs())) == 2
    other.close()


def test_a_mount_in_which_nothing_was_used_leaves_nothing_unless_others_saw_it(
    a: LedgerHost, b: LedgerHost
) -> None:
    idle = a.begin()
    mount = replace(idle, command=(), kind=RunKind.MOUNT)
    mount = a.ledger.begin(replace(mount, id=RunId("m" * 26)), SessionId("living"), {})
    assert not a.ledger.checkpoint(mount.id, 0)
    assert a.ledger.end(mount.id, RunStatus.FINISHED) is None
    assert [run.id for run in a.ledger.runs()] == [idle.id]
    shown = a.ledger.begin(replace(mount, id=RunId("n" * 26)), SessionId("living"), {})
    a.make(shown, "scratch", seen("t1"))
    assert a.ledger.checkpoint(shown.id, 0)
    b.meet()
    assert b.ledger.find(shown.id).status is RunStatus.RUNNING
    a.ledger.removed(shown.id, place("scratch"))
    a.end(shown)
    a.meet()
    b.meet()
    assert b.ledger.find(shown.id).status is RunStatus.FINISHED


def test_notes_of_a_run_that_has_ended_are_dropped(a: LedgerHost) -> None:
    run = a.begin()
    a.end(run)
    assert a.use(run, "x", seen("t1", "one")) == []
    assert a.ledger.end(run.id, RunStatus.FAILED) is None
    a.make(run, "late", seen("t5"))
    (late,) = a.ledger.of_contents([(place("late"), seen("t5"))])
    assert late.made_by == run.id


def test_a_run_is_found_by_id_its_beginning_or_its_name_and_named_where_it_is_not(
    a: LedgerHost,
) -> None:
    runs = [a.begin("train"), a.begin("train"), a.begin("x" * 600)]
    assert a.ledger.find(runs[0].id).id == runs[0].id
    assert a.ledger.find(runs[0].id[:12]).id == runs[0].id
    assert a.ledger.find("train").id == runs[1].id
    assert a.ledger.find("x" * 600).id == runs[2].id
    short = a.begin(runs[0].id[:3])
    assert a.ledger.find(runs[0].id[:3]).id == short.id
    for text in ("nothing", "ü", "", "y" * 600):
        with pytest.raises(errors.NotFound, match="there is no run"):
            a.ledger.find(text)


def test_runs_are_listed_newest_first_and_searched(a: LedgerHost) -> None:
    runs = [a.begin(f"run {n}") for n in range(5)]
    assert [run.name for run in a.ledger.runs()] == [f"run {n}" for n in (4, 3, 2, 1, 0)]
    assert [run.name for run in a.ledger.runs(before=runs[2].started)] == ["run 1", "run 0"]
    assert [run.name for run in a.ledger.runs(search="RUN 3")] == ["run 3"]
    assert [run.name for run in a.ledger.runs(search="train")] == [
        f"run {n}" for n in (4, 3, 2, 1, 0)
    ]
    assert list(a.ledger.runs(search="nobody")) == []


def test_warnings_are_found_by_path_and_folder_however_long_their_names_are(a: LedgerHost) -> None:
    long = "d/" + "n" * 500
    paths = ["d/a", "d/ab", "d", "e/a", long + "1", long + "2"]
    for path in paths:
        a.once(path, seen("t1", "one"))
    run = a.begin()
    notes = [Note(run=run.id, use=a.input(path, seen("t2", "two"))) for path in paths]
    assert len(a.ledger.note(notes)) == len(paths)
    assert len(a.ledger.warnings()) == len(paths)
    for path in paths:
        assert a.kinds(path) == ["changed"]
    below = a.ledger.warnings_below(STORE, Key("d"))
    assert {one.place.path for one in below} == {"d/a", "d/ab", long + "1", long + "2"}
    assert len(a.ledger.warnings_below(STORE, Key(""))) == len(paths)
    assert a.ledger.acknowledge(place(long + "1"), seen("t2", "two"), "", "ann") == 1
    assert a.kinds(long + "1") == []
    assert a.kinds(long + "2") == ["changed"]


def test_comparing_a_run_s_inputs_with_what_is_there_now(a: LedgerHost) -> None:
    run = a.begin()
    a.use(run, "x", seen("t1", "one"))
    whole = a.end(run)
    (use,) = whole.inputs

    def kind(now: Seen | None) -> str | None:
        found = a.ledger.compare(whole.run, use, now)
        return found.kind.value if found is not None else None

    assert kind(seen("t1")) is None
    assert kind(seen("t2", "one")) is None
    assert kind(seen("t2", "two")) == "changed"
    assert kind(seen("t2")) == "may have changed"
    assert kind(None) == "disappeared"
    a.ledger.acknowledge(place("x"), seen("t2", "two"), "", "ann")
    assert kind(seen("t2", "two")) is None


def test_a_state_reopened_knows_what_it_knew(tmp_path: Path, world: World) -> None:
    one = LedgerHost(world.folder, world.archive, name="z")
    run = one.begin()
    one.use(run, "x", seen("t1", "one"))
    one.close()
    again = LedgerHost(world.folder, world.archive, name="z")
    assert again.ledger.manifest(run).inputs[0].content == seen("t1", "one")
    assert len(again.once("x", seen("t2", "two"))) == 1
    again.close()


def test_the_last_decision_about_keeping_a_run_counts_whatever_clocks_say(
    world: World, a: LedgerHost
) -> None:
    b = world.host("b", ahead=timedelta(minutes=-10))
    run = a.begin()
    a.end(run)
    a.ledger.keep(run.id, "ann", kept=True)
    a.meet()
    b.meet()
    assert b.ledger.kept() == [run.id]
    b.ledger.keep(run.id, "bob", kept=False)
    assert b.ledger.kept() == []
    b.meet()
    a.meet()
    assert a.ledger.kept() == []
    new = world.host("new")
    new.meet(whole=True)
    assert new.ledger.kept() == []
