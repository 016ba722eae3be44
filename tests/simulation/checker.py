"""Could a local disk have answered so? All states that it may be in, as far as what programs were told goes.

Operations of programs that share names overlap. Each one takes effect at some moment between its call and its return; a
`Case` is a state, and what those operations got that have taken effect and not returned yet. An answer rules out every
case that does not lead to it; where none is left, no disk could have answered so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.model import (
    FAILED,
    Op,
    Result,
    State,
    carried_out,
    failed,
    of_itself,
    overtaken,
)

_MOST_CASES = 3000


class Impossible(AssertionError):
    """No local disk would do that."""


@dataclass(frozen=True)
class Case:
    """One way in which it may have gone so far."""

    state: State
    done: tuple[tuple[int, Result], ...] = ()

    def key(self) -> Any:
        """Equal where cases are."""
        return self.state.key(), frozenset(self.done)


@dataclass(frozen=True)
class Pending:
    """An operation that has not returned."""

    program: int
    op: Op


class Checker:
    """What is known of one family of names. `may_fail`: whether something goes on that makes operations fail."""

    def __init__(self, state: State, may_fail: Callable[[], bool]) -> None:
        self.cases = [Case(state)]
        self._pending: dict[int, Pending] = {}
        self._may_fail = may_fail

    def called(self, number: int, program: int, op: Op) -> None:
        """A program makes a call."""
        self._pending[number] = Pending(program, op)

    def returned(self, number: int, result: Result) -> None:
        """It has returned; FAILED where that has a reason outside of the model. Raises: Impossible."""
        found = _unique(self._leading_to(number, result))
        if not found:
            raise Impossible(self._told(number, result))
        del self._pending[number]
        self.cases = found
        assert len(found) < _MOST_CASES, "too many ways to go on; make the history simpler"

    def remounted(self) -> None:
        """The front died, whatever it was doing, and another one took over what it had promised."""
        everything = _unique(self._any_order(self.cases))
        self._pending.clear()
        self.cases = _unique(Case(case.state.remounted()) for case in everything)

    def _leading_to(self, number: int, result: Result) -> Iterator[Case]:
        for case in self._any_order(self.cases, until=number):
            got = dict(case.done)
            if number in got and got.pop(number) == result:
                yield replace(case, done=tuple(sorted(got.items(), key=lambda one: one[0])))

    def _any_order(self, cases: Iterable[Case], until: int | None = None) -> list[Case]:
        """These cases, and all that come of them when more of what is pending takes effect."""
        seen = {case.key(): case for case in cases}
        waiting = list(seen.values())
        while waiting:
            case = waiting.pop()
            done = {number for number, _ in case.done}
            for state in of_itself(case.state):
                after = replace(case, state=state)
                if seen.setdefault(after.key(), after) is after:
                    waiting.append(after)
            if until in done:
                continue
            for number, pending in self._pending.items():
                if number not in done:
                    for after in self._after(case, number, pending, is_told=number == until):
                        if seen.setdefault(after.key(), after) is after:
                            waiting.append(after)
        return list(seen.values())

    def _after(self, case: Case, number: int, pending: Pending, *, is_told: bool) -> Iterator[Case]:
        result, state = carried_out(case.state, pending.program, number, pending.op)
        yield Case(state, (*case.done, (number, result)))
        if len(self._pending) > 1:
            for result, state in overtaken(case.state, pending.program, number, pending.op):
                yield Case(state, (*case.done, (number, result)))
        if is_told or self._may_fail():
            for state in failed(case.state, pending.program, number, pending.op):
                yield Case(state, (*case.done, (number, FAILED)))

    def _told(self, number: int, result: Result) -> str:
        pending = self._pending[number]
        could = {
            repr(dict(case.done).get(number))
            for case in self._any_order(self.cases, until=number)
            if number in dict(case.done)
        } - {repr(FAILED)}
        return (
            f"program {pending.program}: {pending.op} got {_text(result)}; "
            f"a local disk gives {' or '.join(sorted(could))}"
        )


def _unique(cases: Iterable[Case]) -> list[Case]:
    return list({case.key(): case for case in cases}.values())


def _text(result: Result) -> str:
    return "an error" if result == FAILED else repr(result)
