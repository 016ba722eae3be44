"""A whole front, put together without a kernel and without workers: see `frontparts`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from tests.support.frontparts import AnsweringPool, StillClock
from vstorefs.cache.env import Cache
from vstorefs.model import StoreId, StoreSpec
from vstorefs.mount.assembly import Given, MountOptions, Parts, assemble
from vstorefs.mount.tree.remote import Remote
from vstorefs.project import Project
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea

SOMEBODY: Any = SimpleNamespace(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
"""Who makes an upcall."""


@asynccontextmanager
async def assembled(folder: Path, *aliases: str) -> AsyncIterator[tuple[Parts, Any]]:
    """The parts of a mount of so many stores, and the pool that they ask."""
    specs = tuple(StoreSpec(StoreId(f"id-{one}"), one, f"file:///{one}") for one in aliases)
    project = Project("p", specs, aliases[0], single=len(specs) == 1)
    options = MountOptions(
        folder / "mount",
        project,
        folder / "cache",
        folder / "state",
        1 << 26,
        read_only=False,
        allow_other=False,
        log_file=None,
        workers=1,
    )
    cache = Cache.open(options.cache_dir, options.cache_bytes)
    options.state_dir.mkdir()
    session = Session.open(options.state_dir)
    clock = StillClock()
    pool: Any = AnsweringPool(clock)
    try:
        async with trio.open_nursery() as nursery:
            given = Given(
                options,
                session,
                StagingArea(options.state_dir, session.id),
                cache,
                clock,
                pool,
                [Remote(spec, pool, clock) for spec in specs],
                nursery,
            )
            parts = assemble(given)
            assert not nursery.child_tasks
            yield parts, pool
            nursery.cancel_scope.cancel()
    finally:
        session.close(owns_entries=False)
        cache.close()
