"""`user.vstorefs.*`.

What is known of a file, by name. Not listed, so that copying programs leave them alone.
"""

from __future__ import annotations

from vstorefs.ledger import changes
from vstorefs.model import Content, Key, StoreId
from vstorefs.mount.backend.pool import Pool
from vstorefs.workers import messages

_PREFIX = b"user.vstorefs."
WARNING = b"user.vstorefs.warning"


async def warning_of(store: StoreId, path: Key, pool: Pool) -> bytes | None:
    """The newest warning that holds of a path; None where there is none. Raises: Unavailable."""
    answer = await pool.ask(messages.FindWarnings(store, path, below=False))
    return changes.text(answer.warnings[-1]).encode() if answer.warnings else None


async def value_of(name: bytes, content: Content | None, pool: Pool) -> bytes | None:
    """The value of an extended attribute; None where there is none. Raises: a StoreError."""
    if not name.startswith(_PREFIX) or content is None:
        return None
    wanted = name.removeprefix(_PREFIX).decode("ascii", "replace")
    if wanted == "version":
        return (content.version or content.token).encode()
    if wanted not in {"md5", "sha1", "sha256"}:
        return None
    answer = await pool.ask(messages.Known(content))
    return str(getattr(answer.hashes, wanted)).encode() if answer.hashes is not None else None
