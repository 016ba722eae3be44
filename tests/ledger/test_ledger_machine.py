"""Several hosts, their runs at the same time and their exchange, against the plainest telling of what must be warned.

The model: what a host knows of a path is its newest use and what was made of it last, each with a number above those
that its host knew then. Hosts learn from each other what ended runs did, and what was acknowledged.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ledger.hosts import World, in_memory, place, seen
from vstorefs.ledger.manifest import ChangeWarning, Run, WarningKind
from vstorefs.model import RunId

_HOSTS = st.sampled_from([0, 0, 1, 2])
_PATHS = st.sampled_from(["x", "x", "y"])
_CONTENTS = st.sampled_from(["one", "two", "six"])
_PICK = st.integers(0, 5)


@dataclass(frozen=True)
class Use:
    """A use in the model, or a version made: what content, by which run, above which others."""

    content: str
    run: RunId
    above: int
    ahead: int
    order: int

    def key(self) -> tuple[int, int]:
        return self.above, self.order


@dataclass
class Working:
    """A run that goes on, in the model."""

    host: int
    run: Run
    floor: int
    tokens: set[tuple[str, str]] = field(default_factory=set)
    uses: dict[str, Use] = field(default_factory=dict)
    made: dict[str, Use] = field(default_factory=dict)
    own: set[tuple[str, str]] = field(default_factory=set)
    warned: dict[tuple[str, str], str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Known:
    """What a host knows, in the model."""

    used: dict[str, Use] = field(default_factory=dict)
    made: dict[str, Use] = field(default_factory=dict)
    accepted: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    floor: int = 0
    ended: set[RunId] = field(default_factory=set)

    def note(self, kind: dict[str, Use], path: str, use: Use) -> None:
        if path not in kind or use.key() >= kind[path].key():
            kind[path] = use

    def above(self, path: str, floor: int) -> int:
        known = [kind[path].above for kind in (self.used, self.made) if path in kind]
        return max([floor - 1, *known]) + 1


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.world = World(self.stack.enter_context(in_memory()))
        self.hosts = [
            self.world.host(name, ahead=timedelta(minutes=minutes))
            for name, minutes in (("a", 0), ("b", 10), ("c", -10))
        ]
        self.known = [Known() for _ in self.hosts]
        self.working: list[Working] = []
        self.sent: list[Working] = []
        self.waiting: list[Working] = []
        self.acks: list[tuple[str, tuple[int, int, str]]] = []
        self.acks_waiting: list[list[tuple[str, tuple[int, int, str]]]] = [[] for _ in self.hosts]
        self.copies = 0

    def teardown(self) -> None:
        self.world.close()
        self.stack.close()

    def time_of(self, host: int) -> int:
        """By the host's clock."""
        ahead = self.hosts[host].clock.ahead
        return int((self.world.time.tick() + ahead).timestamp() * 1_000_000)

    def a_use(self, one: Working, path: str, content: str) -> Use:
        above = self.known[one.host].above(path, one.floor)
        return Use(content, one.run.id, above, 0, self.time_of(one.host))

    @rule(host=_HOSTS)
    def begin(self, host: int) -> None:
        run = self.hosts[host].begin()
        self.known[host].floor += 1
        assert run.sequence == self.known[host].floor
        self.working.append(Working(host, run, run.sequence))

    @precondition(lambda self: self.working)
    @rule(uses=st.lists(st.tuples(_PICK, _PATHS, _CONTENTS, st.booleans()), min_size=1, max_size=6))
    def use(self, uses: list[tuple[int, str, str, bool]]) -> None:
        for pick, path, content, copied in uses:
            self.use_one(pick, path, content, copied)

    def use_one(self, pick: int, path: str, content: str, copied: bool) -> None:
        one = self.working[pick % len(self.working)]
        host = self.hosts[one.host]
        self.copies += copied
        token = f"{content}-{self.copies}"
        expected = self.expected(one, path, content, token)
        warnings = host.use(one.run, path, seen(token, content))
        assert [warning.kind for warning in warnings] == expected
        for warning in warnings:
            self.check(warning, path, content)

    def expected(self, one: Working, path: str, content: str, token: str) -> list[WarningKind]:
        if (path, token) in one.own:
            return []
        known = self.known[one.host]
        if (path, token) in one.tokens:
            return []
        one.tokens.add((path, token))
        use = self.a_use(one, path, content)
        used, made = known.used.get(path), known.made.get(path)
        if made is not None and made.run == one.run.id:
            made = None
        kind = None
        if used is not None and used.content != content:
            kind = WarningKind.CHANGED
        elif (
            made is not None
            and (used is None or made.key() > used.key())
            and made.content != content
        ):
            kind = WarningKind.REPLACED
        known.note(known.used, path, use)
        one.uses[f"{path}\0{token}"] = use
        accepted = known.accepted.get(path)
        if kind is None or (accepted is not None and accepted[2] == content):
            return []
        before = one.warned.get((path, kind.value))
        # Warned of once, and once more when what it was warned of has been accepted, here or elsewhere.
        if before is not None and (accepted is None or accepted[2] != before):
            return []
        one.warned[path, kind.value] = content
        one.told.append((path, kind.value))
        return [kind]

    def check(self, warning: ChangeWarning, path: str, content: str) -> None:
        assert warning.place.path == path
        assert warning.now is not None
        assert warning.before is not None
        assert warning.now.hashes == seen("", content).hashes
        assert warning.before.content.hashes is not None
        assert warning.before.content.hashes != warning.now.hashes

    @precondition(lambda self: self.working)
    @rule(pick=_PICK, path=_PATHS, content=_CONTENTS)
    def make(self, pick: int, path: str, content: str) -> None:
        one = self.working[pick % len(self.working)]
        self.copies += 1
        token = f"{content}-{self.copies}"
        made = self.a_use(one, path, content)
        self.hosts[one.host].make(one.run, path, seen(token, content))
        one.own.add((path, token))
        one.made[path] = made
        self.known[one.host].note(self.known[one.host].made, path, made)

    @precondition(lambda self: self.working)
    @rule(pick=_PICK)
    def end(self, pick: int) -> None:
        one = self.working.pop(pick % len(self.working))
        whole = self.hosts[one.host].end(one.run)
        assert [(w.place.path, w.kind.value) for w in whole.warnings] == one.told
        assert len(whole.inputs) == len(one.tokens)
        self.known[one.host].ended.add(one.run.id)
        self.waiting.append(one)

    @rule(host=_HOSTS)
    def send(self, host: int) -> None:
        mine = [one for one in self.waiting if one.host == host]
        assert self.hosts[host].ledger.send() == len(mine) + len(self.acks_waiting[host])
        self.sent += mine
        self.waiting = [one for one in self.waiting if one.host != host]
        self.acks += self.acks_waiting[host]
        self.acks_waiting[host] = []

    @rule(host=_HOSTS, whole=st.booleans())
    def receive(self, host: int, whole: bool) -> None:
        known = self.known[host]
        news = [one for one in self.sent if one.run.id not in known.ended]
        assert self.hosts[host].ledger.receive(whole=whole).runs == len(news)
        for one in news:
            known.ended.add(one.run.id)
            known.floor = max(known.floor, one.run.sequence)
            for name, use in one.uses.items():
                known.note(known.used, name.partition("\0")[0], use)
            for path, made in one.made.items():
                known.note(known.made, path, made)
        for path, accepted in self.acks:
            self.accept(host, path, accepted)

    def accept(self, host: int, path: str, accepted: tuple[int, int, str]) -> None:
        known = self.known[host].accepted
        known[path] = max(known.get(path, accepted), accepted)

    @rule(host=_HOSTS, path=_PATHS, content=_CONTENTS)
    def acknowledge(self, host: int, path: str, content: str) -> None:
        ledger = self.hosts[host].ledger
        there = len(ledger.warnings_of(place(path)))
        assert (
            ledger.acknowledge(place(path), seen(f"{content}-ack", content), "so it is", "ann")
            == there
        )
        assert ledger.warnings_of(place(path)) == []
        before = self.known[host].accepted.get(path, (0, 0, ""))
        accepted = (before[0] + 1, self.time_of(host), content)
        self.accept(host, path, accepted)
        self.acks_waiting[host].append((path, accepted))
        for one in self.working:
            if one.host == host:
                # Whatever it was warned of is answered, and it may be warned again.
                for kind in WarningKind:
                    one.warned.pop((path, kind.value), None)

    @invariant()
    def what_is_accepted_is_not_held_against_anybody(self) -> None:
        for host, known in zip(self.hosts, self.known, strict=True):
            for warning in host.ledger.warnings():
                accepted = known.accepted.get(warning.place.path)
                assert (
                    accepted is None
                    or warning.now is None
                    or warning.now.hashes != seen("", accepted[2]).hashes
                )


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
