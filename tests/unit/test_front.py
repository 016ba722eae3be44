"""The front process loads no SDK, and the layout says what may go where."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import trio
import trio.testing

from tests.support.processes import ROOT
from vstorefs import errors
from vstorefs.mount.front import Front


def test_the_front_loads_no_sdk() -> None:
    code = "import vstorefs.mount.front, vstorefs.cli.mount, sys; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()} | set(result.stdout.split())
    assert "pyfuse3" in loaded
    assert not loaded & {"boto3", "botocore", "google.cloud", "azure", "swiftclient"}


def test_every_package_says_what_may_go_in() -> None:
    for file in (ROOT / "vstorefs").glob("*/**/__init__.py"):
        text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split())
        assert "In: " in text, file
        assert "Out: " in text, file
        assert "May import: " in text, file


def test_a_cache_that_takes_no_notes_ends_no_mount() -> None:
    asked = []

    async def ask(request: Any) -> None:
        await trio.lowlevel.checkpoint()
        asked.append(request)
        raise errors.Unavailable("no answer within 60 s")

    async def noted(seconds: float) -> tuple[bytes, ...]:
        await trio.sleep(seconds)
        return (b"chunk",)

    async def check() -> None:
        transfers: Any = SimpleNamespace(noted=noted)
        pool: Any = SimpleNamespace(ask=ask)
        front: Any = None
        with trio.move_on_after(60):
            await Front._note_recency(front, pool, transfers)
        assert len(asked) > 1

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))
