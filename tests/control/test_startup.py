"""A command takes nothing along that it does not use: that would be most of the time that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.controls import serving
from tests.support.measuring import paused
from tests.support.processes import ROOT
from vstorefs.cli.main import COMMANDS
from vstorefs.control.status import (
    CacheStatus,
    LedgerStatus,
    MountStatus,
    ShowStatus,
    StoreStatus,
    TransferStatus,
)
from vstorefs.state.mounts import MountRecord

HEAVY = {
    "asyncio",
    "azure",
    "boto3",
    "dateparser",
    "google",
    "importlib.metadata",
    "jinja2",
    "lmdb",
    "logging",
    "pyfuse3",
    "requests",
    "starlette",
    "subprocess",
    "swiftclient",
    "tomllib",
    "trio",
    "uvicorn",
    "xxhash",
}


def loaded(*arguments: str, status: int = 0) -> set[str]:
    """The modules that a process has in it after a command."""
    script = (
        "import json, sys\n"
        "from vstorefs.cli.main import main\n"
        "try:\n"
        f"    status = main({list(arguments)!r})\n"
        "except SystemExit as end:\n"
        "    status = end.code\n"
        f"assert status == {status}, status\n"
        "print()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    # What measures a process loads modules of its own.
    with paused():
        found = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
        )
    return set(json.loads(found.stdout.splitlines()[-1]))


def commands_in(modules: set[str]) -> set[str]:
    return {name.removeprefix("vstorefs.cli.") for name in modules} & set(COMMANDS)


@pytest.fixture
def served(record: MountRecord) -> Iterator[MountRecord]:
    """A mount that says what it is doing."""

    async def status(request: ShowStatus) -> MountStatus:
        return MountStatus(
            mount_point=record.mount_point,
            pid=record.pid,
            stores=(StoreStatus("s", "file:///s", "id", "ok", "", "native"),),
            cache=CacheStatus("/c", 1, 0, 0, 0),
            transfers=TransferStatus(0, 0, 0),
            pending=(),
            set_aside=(),
            held_back=0,
            marked=(),
            unshown=(),
            read_only=False,
            ledger=LedgerStatus("run", 0, "", ()),
            at=None,
        )

    with serving(record, {ShowStatus: status}):
        yield record


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"]])
def test_asking_a_mount_takes_nothing_along(served: MountRecord, arguments: list[str]) -> None:
    found = loaded(*arguments)
    assert "vstorefs.control.client" in found
    assert found & HEAVY == set()
    assert commands_in(found) == {"status"}
    assert found & {"vstorefs.model", "vstorefs.stores", "vstorefs.ledger"} == set()


@pytest.mark.parametrize("word", ["--help", "help", "--version"])
def test_the_list_of_commands_imports_none(word: str) -> None:
    found = loaded(word)
    assert "vstorefs.cli.main" in found
    assert commands_in(found) == set()
    assert found & {"msgspec", *HEAVY} == set()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_no_command_loads_what_only_some_stores_and_pages_need(command: str) -> None:
    found = loaded("help", command)
    assert commands_in(found) >= {command}
    needed = {"logging", "subprocess", "tomllib", "lmdb", "xxhash"}
    assert found & (HEAVY - needed) == set(), command
