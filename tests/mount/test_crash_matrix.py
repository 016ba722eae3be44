"""Kill -9 at each step of a journal entry's life: of the front, of the workers that hold the entries, of all.

Eight programs change a file or a directory each; their entries stop at the step together. Then somebody dies. After the
next mount everything that was promised is there, once, and everything else has happened whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host
from tests.support.outcomes import Outcome, told
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer
from tests.support.stops import Step, Stops
from vstorefs import files

pytestmark = [pytest.mark.mount, pytest.mark.faults]

_LARGE = 20 << 20
_PATIENCE_S = 120
_TABLE = "kill -9"
LAYOUTS = ["native", "portable"]
MODES = ["through", "back"]
VICTIMS = ["front", "workers", "all"]


@dataclass(frozen=True)
class Change:
    """What a program does to one path, and how it looks when it has happened, and when it has not."""

    name: str
    prepare: Callable[[Path], object]
    make: Callable[[Path], object]
    has_happened: Callable[[Path], bool]
    has_not: Callable[[Path], bool]
    versions: int


def _is_dir(path: Path) -> bool:
    return path.is_dir()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _moved(path: Path) -> Path:
    return path.with_name("moved to")


def _nothing(path: Path) -> None:
    del path


def _readable(path: Path) -> None:
    path.write_bytes(b"content")
    path.chmod(0o640)


LARGE = os.urandom(1 << 20) * (_LARGE >> 20)
CHANGES = [
    Change(
        "overwritten",
        lambda path: path.write_bytes(b"old"),
        lambda path: path.write_bytes(b"new"),
        lambda path: path.read_bytes() == b"new",
        lambda path: path.read_bytes() == b"old",
        versions=2,
    ),
    Change(
        "large",
        _nothing,
        lambda path: path.write_bytes(LARGE),
        lambda path: path.exists() and path.read_bytes() == LARGE,
        lambda path: not path.exists(),
        versions=1,
    ),
    Change(
        "renamed",
        lambda path: path.write_bytes(b"moves"),
        lambda path: path.rename(_moved(path)),
        lambda path: not path.exists() and _moved(path).read_bytes() == b"moves",
        lambda path: path.read_bytes() == b"moves" and not _moved(path).exists(),
        versions=2,
    ),
    Change(
        "removed",
        lambda path: path.write_bytes(b"goes"),
        lambda path: path.unlink(),
        lambda path: not path.exists(),
        lambda path: path.read_bytes() == b"goes",
        versions=2,
    ),
    Change(
        "directory made", _nothing, lambda path: path.mkdir(), _is_dir, lambda p: not p.exists(), 0
    ),
    Change(
        "directory removed",
        lambda path: path.mkdir(),
        lambda path: path.rmdir(),
        lambda path: not path.exists(),
        _is_dir,
        versions=0,
    ),
    Change(
        "mode set",
        _readable,
        lambda path: path.chmod(0o600),
        lambda path: path.read_bytes() == b"content" and _mode(path) == 0o600,
        lambda path: path.read_bytes() == b"content" and _mode(path) == 0o640,
        versions=1,
    ),
    Change(
        "link",
        _nothing,
        lambda path: path.symlink_to("elsewhere"),
        lambda path: path.is_symlink() and os.readlink(path) == "elsewhere",
        lambda path: not path.is_symlink(),
        versions=1,
    ),
]


class Program(threading.Thread):
    """Makes one change; `error` and `ended_at` are set when its call returns."""

    def __init__(self, change: Change, folder: Path) -> None:
        super().__init__(daemon=True)
        self.change = change
        self._path = folder / change.name
        self.error: OSError | None = None
        self.ended_at: float | None = None

    def run(self) -> None:
        try:
            self.change.make(self._path)
        except OSError as error:
            self.error = error
        self.ended_at = time.monotonic()

    @property
    def was_promised(self) -> bool:
        """Whether its call has returned without an error."""
        return self.ended_at is not None and self.error is None


def _cases(*, long: bool) -> Iterator[object]:
    """All together; without the long ones each step, victim, layout and mode some times."""
    for number, step in enumerate(Step):
        for third, victim in enumerate(VICTIMS):
            for layout in LAYOUTS:
                for mode in MODES:
                    quick = (number % 3, LAYOUTS[number % 2], MODES[number // 2 % 2]) == (
                        *(third, layout, mode),
                    )
                    if quick is not long:
                        yield pytest.param(
                            *(step, victim, layout, mode),
                            marks=[pytest.mark.long] if long else [],
                            id=f"{step.name}-{victim}-{layout}-{mode}",
                        )


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("step", "victim", "layout", "mode"), [*_cases(long=False), *_cases(long=True)]
)
def test_nothing_is_lost_or_done_twice(
    radosgw_server: CountedServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    step: Step,
    victim: str,
    layout: str,
    mode: str,
) -> None:
    bucket, stops = f"b{uuid.uuid4().hex[:12]}", Stops(tmp_path)
    radosgw_server.bucket(bucket, versioned=layout == "native")
    text = f'write = "{mode}"\n[stores.data]\nurl = "s3://{bucket}"\n'
    with host(tmp_path / "host", radosgw_server.env | stops.env) as one:
        mount = one.project(text)
        for change in CHANGES:
            change.prepare(mount / "data" / change.name)
        one.run("flush", mount.path)
        stops.arm(step)
        programs = [Program(change, mount / "data") for change in CHANGES]
        for program in programs:
            program.start()
        wait_until(lambda: _have_stopped(step, stops, programs, mount), "stop of all entries")
        stops.disarm()
        killed_at = time.monotonic()
        promised = _kill(victim, mount, programs, set(stops.reached().values()))
        for program in programs:
            program.join(_PATIENCE_S)
        again = one.project(text) if victim != "workers" else mount
        one.run("flush", again.path)
        if victim == "workers":
            assert [program.error for program in programs] == [None] * len(programs)
            promised = programs
        told(request, _outcome(f"{victim}: {step}", again, programs, promised, killed_at))


def _have_stopped(step: Step, stops: Stops, programs: list[Program], mount: Mount) -> bool:
    """Whether every change has come to the step, or has no such step and is done."""
    reached = stops.reached()
    if step in {Step.UNRECORDED, Step.RECORDED}:
        # One thread writes the journal: the others wait behind it.
        return bool(reached)
    others = [one for one in programs if one.change.name not in reached]
    if not others:
        return True
    if any(one.ended_at is None for one in others):
        return False
    pending = {one["path"] for one in mount.status()["pending"]}
    return not pending & {one.change.name for one in others}


def _kill(victim: str, mount: Mount, programs: list[Program], holders: set[int]) -> list[Program]:
    """Kill them; gives the programs that had been promised something by then."""
    front = mount.pid
    workers = mount.worker_pids
    pids = {"front": [front], "workers": [*holders], "all": [front, *workers]}[victim]
    began = {pid: files.process_start(pid) for pid in {front, *workers}}
    promised = [one for one in programs if one.was_promised]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    gone = [*holders] if victim == "workers" else [front, *workers]
    for pid in gone:
        wait_until(
            lambda pid=pid: files.process_start(pid) != began[pid],  # type: ignore[misc]
            "end of the process",
        )
    return promised


def _outcome(
    what: str, mount: Mount, programs: list[Program], promised: list[Program], killed_at: float
) -> Outcome:
    """Compare what is there with what was promised."""
    folder = mount / "data"
    found, lost, doubled = 0, list[str](), list[str]()
    for program in programs:
        change, path = program.change, folder / program.change.name
        happened = change.has_happened(path)
        assert happened or change.has_not(path), f"{change.name}: neither before nor after"
        found += happened
        if program in promised and not happened:
            lost.append(change.name)
        if _versions(path) > change.versions or _versions(_moved(path)) > 1:
            doubled.append(change.name)
    longest_s = max((one.ended_at or time.monotonic()) - killed_at for one in programs)
    told_errors = sum(one.error is not None for one in programs)
    assert (lost, doubled) == ([], [])
    return Outcome(*(_TABLE, what, len(promised), found, 0, max(0.0, longest_s)), 0, told_errors)


def _versions(path: Path) -> int:
    """How many versions a path has, deletions too."""
    with contextlib.suppress(FileNotFoundError):
        text = (path.parent / ".versions" / path.name / "history.json").read_text()
        return len(json.loads(text))
    return 0
