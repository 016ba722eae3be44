"""Looking for secrets where none may be."""

from __future__ import annotations

from pathlib import Path

from tests.support.mounts import Host


def assert_kept_secret(one: Host, secrets: tuple[str, ...]) -> None:
    """No secret lies in a host's log, cache or state, or in a process's arguments.

    What a test itself gave its host to find lies elsewhere, or in `~/.aws`.
    """
    apart = {*one.points, one.folder / "home/.aws"}
    for file in one.folder.rglob("*"):
        if file.is_file() and not apart & set(file.parents):
            data = file.read_bytes()
            for secret in secrets:
                assert secret.encode() not in data, file
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = arguments.read_bytes()
        except OSError:
            continue
        # The tests' own servers have theirs.
        if b"vstorefs.cli" in text or b"vstorefs.workers" in text:
            for secret in secrets:
                assert secret.encode() not in text, arguments
