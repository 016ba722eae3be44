"""Settings of a mount in the kernel, below /sys. Each one helps, none is needed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_BACKGROUND = 512
_READ_AHEAD_KB = 4096


def device_of(mount_point: str) -> str:
    """`major:minor` of the mount. Calls into the mount: from a thread only."""
    device = os.stat(mount_point).st_dev  # noqa: PTH116 — the number alone
    return f"{os.major(device)}:{os.minor(device)}"


def tune(device: str) -> None:
    """Allow more requests at a time, and larger reads."""
    minor = device.partition(":")[2]
    # With the kernel's 12, a dozen reads of a store that hangs would block those of all others.
    _set(
        Path(f"/sys/fs/fuse/connections/{minor}/max_background"),
        _BACKGROUND,
        "one slow store can slow down the others",
    )
    _set(Path(f"/sys/class/bdi/{device}/read_ahead_kb"), _READ_AHEAD_KB, "reads are smaller")


def _set(file: Path, value: int, otherwise: str) -> None:
    try:
        file.write_text(str(value))
    except OSError as error:
        log.debug("cannot set %s (%s); %s", file, error.strerror, otherwise)
