"""Makes the kernel forget names, so that it asks for them again.

That waits for the lock of their folder, which a call of the kernel to us may hold: so it happens in one thread of its
own, and no handler of such a call may wait for it.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Sequence

import pyfuse3
import trio

log = logging.getLogger(__name__)

Name = tuple[int, bytes]
"""The inode number of a folder, and a name in it."""
_FORGOTTEN = {errno.ENOENT, errno.ENOTDIR}


class Forgetting:
    """The one thread; called from the front's loop only."""

    def __init__(self) -> None:
        self._one = trio.CapacityLimiter(1)

    async def forget(self, names: Sequence[Name], bound_s: float = math.inf) -> None:
        """Make the kernel forget names; after the bound nobody waits, and it goes on."""
        if names:
            with trio.move_on_after(bound_s):
                await trio.to_thread.run_sync(
                    _forget, names, limiter=self._one, abandon_on_cancel=True
                )


def _forget(names: Sequence[Name]) -> None:
    for folder, name in names:
        try:
            pyfuse3.invalidate_entry(pyfuse3.InodeT(folder), name)
        except OSError as error:
            # What the kernel has forgotten by itself need not be.
            if error.errno not in _FORGOTTEN:
                log.warning(
                    "cannot remove a name from the kernel's cache: %s", error.strerror or error
                )
