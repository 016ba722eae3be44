"""Settings of a mount in the kernel, below /sys. Each one helps, none is needed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_BACKGROUND = 512
_READ_AHEAD_KB = 4096


class Device:
    """The device that a mount is to the kernel. `number` is `major:minor`, empty until it was found out."""

    def __init__(self, mount_point: str) -> None:
        self._mount_point = mount_point
        self.number = ""

    def find(self) -> None:
        """Find it out. Calls into the mount: from a thread only, once the kernel has mounted it."""
        device = os.stat(self._mount_point).st_dev  # noqa: PTH116 — the number alone
        self.number = f"{os.major(device)}:{os.minor(device)}"

    def tune(self) -> None:
        """Allow more requests at a time, and larger reads."""
        minor = self.number.partition(":")[2]
        # With the kernel's 12, a dozen reads of a store that hangs would block those of all others.
        _set(
            Path(f"/sys/fs/fuse/connections/{minor}/max_background"),
            _BACKGROUND,
            "one slow store can slow down the others",
        )
        _set(
            Path(f"/sys/class/bdi/{self.number}/read_ahead_kb"),
            _READ_AHEAD_KB,
            "reads are smaller",
        )


def _set(file: Path, value: int, otherwise: str) -> None:
    try:
        file.write_text(str(value))
    except OSError as error:
        log.debug("cannot set %s (%s); %s", file, error.strerror, otherwise)
