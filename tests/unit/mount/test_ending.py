"""One moment by which all of a mount's end is done."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from vstorefs.mount.ending import Ending

pytestmark = pytest.mark.trio


async def test_what_was_asked_for_is_for_all_of_the_end(
    mock_clock: trio.testing.MockClock,
) -> None:
    ending, now = Ending(), trio.current_time()
    uploads_s = ending.asked(5)
    assert 3 < uploads_s < 5
    mock_clock.jump(uploads_s)
    assert ending.until() == now + 5
    assert ending.asked(60) >= 58


async def test_what_only_this_host_needs_has_a_moment_in_any_case(
    mock_clock: trio.testing.MockClock,
) -> None:
    ending = Ending()
    assert ending.asked(0) == 0
    mock_clock.jump(2)
    assert ending.until() == trio.current_time() + 1


async def test_who_could_not_unmount_has_no_say_in_a_later_end(
    mock_clock: trio.testing.MockClock,
) -> None:
    """The mount was in use, and is ended by a signal an hour later."""
    ending = Ending()
    ending.asked(5)
    mock_clock.jump(3600)
    assert ending.until() == trio.current_time() + 15
