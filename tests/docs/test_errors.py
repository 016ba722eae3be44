"""The page of errors says what each family of them does: what a program sees, and what is tried again."""

from __future__ import annotations

import errno

import pyfuse3
import pytest

from tests.support.processes import ROOT
from vstorefs import errors
from vstorefs.errors import Origin
from vstorefs.mount.upcalls import upcall
from vstorefs.mount.writing.tries import fault_of
from vstorefs.stores.retry import ask_again

PAGE = (ROOT / "docs/reference/errors.md").read_text()
WHOSE = {
    "this key's": Origin.KEY,
    "the store's": Origin.STORE,
    "nobody's who is known: no answer in time": Origin.WAIT,
    "a disk's of this host": Origin.DISK,
    "vstorefs' own": Origin.US,
}


def rows(title: str) -> dict[str, list[str]]:
    """The table whose first column has this title: each row's other cells, by its first."""
    _, _, table = PAGE.partition(f"\n| {title} | ")
    assert table, title
    lines = table.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: others for first, *others in cells}


KINDS = rows("kind of error")
FAULTS = rows("whose fault")
NUMBERS = rows("a disk says")


async def seen(error: errors.StoreError) -> int:
    """What a program sees of an error."""

    @upcall
    async def fails() -> None:
        raise error

    with pytest.raises(pyfuse3.FUSEError) as caught:
        await fails()
    return int(caught.value.errno)


def is_asked_again(error: errors.StoreError) -> str:
    """Whether a question that has met it once is asked again."""
    answers: list[Exception] = [error]

    def question() -> str:
        if answers:
            raise answers.pop()
        return "yes"

    try:
        return ask_again(question, 20, sleep=lambda seconds: None)
    except errors.StoreError:
        return "no"


def is_tried(error: errors.StoreError) -> str:
    """How often an upload is that meets it each time."""
    tries = fault_of(error).tries
    return "until it succeeds" if tries is None else f"{tries} times"


def test_no_error_is_left_out() -> None:
    assert list(KINDS) == list(errors.BY_NAME)
    assert {WHOSE[whose] for whose in FAULTS} == set(Origin)
    assert {getattr(errno, name) for name in NUMBERS} == {*errors.LASTING, errno.EIO}


@pytest.mark.trio
@pytest.mark.parametrize("name", KINDS)
async def test_a_kind_of_error_is_what_its_row_says(name: str) -> None:
    _, whose, program, again, tried = KINDS[name]
    error = errors.BY_NAME[name]("what, why, what to do")
    assert error.origin is WHOSE[whose]
    assert await seen(error) == getattr(errno, program)
    assert (is_asked_again(error), is_tried(error)) == (again, tried)


@pytest.mark.parametrize("whose", FAULTS)
def test_whose_fault_it_is_decides_as_its_row_says(whose: str) -> None:
    looks, tried = FAULTS[whose]
    error = errors.Unavailable("why", origin=WHOSE[whose])
    assert ("yes" if error.origin.blames_store else "no", is_tried(error)) == (looks, tried)


@pytest.mark.trio
@pytest.mark.parametrize("name", NUMBERS)
async def test_what_a_disk_says_is_told_as_its_row_says(name: str) -> None:
    again, tried = NUMBERS[name]
    number = getattr(errno, name)
    error = errors.of_disk("why", number)
    assert await seen(error) == number
    assert (is_asked_again(error), is_tried(error)) == (again, tried)
