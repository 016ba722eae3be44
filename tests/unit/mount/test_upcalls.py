"""What a program gets for an error, and what the log says of it."""

from __future__ import annotations

import errno

import pyfuse3
import pytest

from vstorefs import errors
from vstorefs.mount.upcalls import upcall

pytestmark = pytest.mark.trio


async def number_of(error: BaseException) -> int:
    @upcall
    async def handler() -> None:
        raise error

    with pytest.raises(pyfuse3.FUSEError) as failed:
        await handler()
    return int(failed.value.errno)


@pytest.mark.parametrize(
    ("error", "number", "said"),
    [
        (errors.Denied("you may not", key="f"), errno.EACCES, "you may not"),
        (errors.Unavailable("no answer"), errno.EIO, "no answer"),
        (OSError(errno.ENOSPC, "disk full"), errno.ENOSPC, "disk full"),
        (errors.of_disk("state full", errno.EDQUOT), errno.EDQUOT, "state full"),
        (errors.JournalError("state full", errno.ENOSPC), errno.ENOSPC, "state full"),
        (errors.NotSupported("long", number=errno.ENAMETOOLONG), errno.ENAMETOOLONG, "long"),
        (errors.of_disk("bad sector", errno.EIO), errno.EIO, "bad sector"),
    ],
    ids=["refused", "away", "disk", "a worker's disk", "journal", "name", "broken disk"],
)
async def test_is_by_the_table_and_said(
    caplog: pytest.LogCaptureFixture, error: Exception, number: int, said: str
) -> None:
    assert await number_of(error) == number
    assert said in caplog.text


async def test_for_what_is_not_there_is_said_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    assert await number_of(errors.NotFound("no such file")) == errno.ENOENT
    assert await number_of(pyfuse3.FUSEError(errno.ENOTEMPTY)) == errno.ENOTEMPTY
    assert caplog.text == ""


async def test_for_a_bug_is_an_input_output_error_with_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await number_of(ZeroDivisionError("one over nothing")) == errno.EIO
    assert "Traceback" in caplog.text
    assert "one over nothing" in caplog.text
