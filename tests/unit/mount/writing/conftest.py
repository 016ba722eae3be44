"""What is on its way to two stores."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from tests.support.clocks import TrioClock
from tests.support.pools import ScriptedPool
from tests.support.promising import OTHER, Journal, Writer
from vstorefs.model import StoreSpec
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.workers import messages


@pytest.fixture
def journal(pool: ScriptedPool) -> Journal:
    """A journal that takes everything."""
    return Journal(pool)


@pytest.fixture
def uploads(
    pool: ScriptedPool, remote: Remote, spec: StoreSpec, nursery: trio.Nursery, journal: Journal
) -> Uploads:
    """Two stores' uploads. The store takes everything at first."""
    pool.answers(messages.Publish, messages.Published())
    pool.answers(messages.SetAside, messages.Noted())
    clock = TrioClock()
    other = Remote(replace(spec, id=OTHER, alias="other"), pool, clock)
    return Uploads(pool, {spec.id: remote, OTHER: other}, clock, nursery)


@pytest.fixture
def writer(uploads: Uploads, spec: StoreSpec) -> Writer:
    """Who promises."""
    return Writer(uploads, spec.id)
