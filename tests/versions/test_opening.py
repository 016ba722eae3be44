"""What is told of a bucket that keeps no versions: commands that can be pasted as they stand."""

from __future__ import annotations

import shlex

import pytest

from tests.support.memory.server import MemoryServer
from vstorefs.model import StoreId, StoreSpec
from vstorefs.stores.bucket import Versioning
from vstorefs.versions.layouts import opening


@pytest.mark.parametrize("url", ["memory://bucket/data", "memory://bucket/my data; ls"])
@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.SUSPENDED])
def test_the_command_that_turns_versioning_on(
    memory_server: MemoryServer, url: str, versioning: Versioning
) -> None:
    memory_server.bucket("bucket", versioned=False).versioning = versioning
    choice = opening.choose(memory_server.open(StoreSpec(StoreId("s"), "s", url)))
    said = choice.note or choice.why_read_only
    command = shlex.split(said.rpartition("vstorefs ")[2])
    assert command == ["doctor", "--enable-versioning", url]
