"""Tells when the kernel's table of mounts changes, so that a share that goes or comes back is seen at once.

Owned by one task of the front.
"""

from __future__ import annotations

import os
import select

import trio

_LOOK_UP_MS = 1000


class MountTable:
    """The mounts that this process sees; one task waits for their changes."""

    def __init__(self) -> None:
        self._number = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        # Source: proc(5), /proc/pid/mounts: a change is an error condition, and priority data.
        self._poll.register(self._number, select.POLLERR | select.POLLPRI)
        self._threads = trio.CapacityLimiter(1)

    async def changed(self) -> None:
        """Wait until something was mounted or unmounted since this was last asked."""
        while not await trio.to_thread.run_sync(
            self._poll.poll, _LOOK_UP_MS, abandon_on_cancel=True, limiter=self._threads
        ):
            pass

    def close(self) -> None:
        """Let go of the table."""
        os.close(self._number)
