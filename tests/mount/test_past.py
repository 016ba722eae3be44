"""The past in the kernel: `.versions/@TIME/` and `mount --at` show what was there, and change nothing."""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.kinds import WRITABLE
from tests.support.mounts import Host, Mount, host
from tests.support.processes import wait_until
from vstorefs.moments import to_text

pytestmark = [pytest.mark.mount, pytest.mark.stores]

NAMES = ("a", "b", "c.txt", "@d", "e f")
MODES = (0o600, 0o640, 0o644, 0o755)
SIZES = (0, 5, 5, 3_000, 20_000, 70_000)
LARGE = 2_500_000
REFUSED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR}

Tree = dict[str, tuple[str, object, int]]


def next_second() -> int:
    """A moment in a second in which nothing has happened: stores may know no shorter times."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now, "next second")
    return time.time_ns()


def moment(mount: Mount) -> str:
    """A moment after all that was done on a mount, and before all that will be."""
    mount.host.run("flush")
    told = to_text(next_second())
    next_second()
    return told


def tree(root: Path, *, files_only: bool = False) -> Tree:
    """Everything below a folder: what it is, its content and mode; folders keep no modes of then in some kinds."""
    found: Tree = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder) / name
            about = path.lstat()
            mode = stat.S_IMODE(about.st_mode)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path), 0)
            elif stat.S_ISREG(about.st_mode):
                assert about.st_size == len(path.read_bytes())
                found[key] = ("file", path.read_bytes(), 0 if files_only else mode)
            elif not files_only:
                found[key] = ("folder", None, mode)
    return found


class Changes:
    """Random operations on a mount, by the kernel, as programs do them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.chance = random.Random(7)
        self.folders = ["", "d1", "d2", "d1/deep"]
        self.kinds = [self.write] * 8 + [self.delete] * 3 + [self.rename] * 3
        self.kinds += [self.make_folder, self.remove_folder, self.chmod, self.rename_folder]
        self.done = 0

    def run(self, operations: int) -> None:
        for _ in range(operations):
            try:
                self.chance.choice(self.kinds)()
            except OSError as error:
                # What is not there cannot be changed; anything else is a failure.
                if error.errno not in REFUSED:
                    raise
            self.done += 1

    def path(self) -> Path:
        return self.root / self.chance.choice(self.folders) / self.chance.choice(NAMES)

    def write(self) -> None:
        size = LARGE if self.chance.random() < 0.01 else self.chance.choice(SIZES)
        self.path().write_bytes(self.chance.randbytes(size))

    def delete(self) -> None:
        self.path().unlink()

    def rename(self) -> None:
        self.path().rename(self.path())

    def make_folder(self) -> None:
        (self.root / self.chance.choice(self.folders[1:])).mkdir()

    def remove_folder(self) -> None:
        (self.root / self.chance.choice(self.folders[1:])).rmdir()

    def rename_folder(self) -> None:
        if self.chance.random() < 0.3:
            (self.root / "d1").rename(self.root / "d2")

    def chmod(self) -> None:
        path = self.path() if self.chance.random() < 0.7 else self.root / "d1"
        path.chmod(self.chance.choice(MODES) | (stat.S_IXUSR if path.is_dir() else 0))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["file", "s3-native", "s3-portable"])
def test_the_past_is_what_it_was_after_a_thousand_operations(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A folder keeps no modes and no empty folders of then; a bucket keeps it all."""
    place = WRITABLE[kind](request)
    plain = kind == "file"
    copies: dict[str, Path] = {}
    with host(tmp_path / "writer", place.env) as writer:
        mount = writer.mount(place.url)
        changes = Changes(mount.path)
        for number in range(6):
            told = moment(mount)
            copies[told] = tmp_path / f"copy{number}"
            shutil.copytree(mount.path, copies[told], symlinks=True)
            if number < 5:
                changes.run(200)
        assert changes.done == 1000
        assert len({frozenset(tree(copy)) for copy in copies.values()}) > 3
        for told, copy in copies.items():
            then = mount / f".versions/@{told}"
            assert tree(then, files_only=plain) == tree(copy, files_only=plain), told
            for folder in ("d1", "d2"):
                if (copy / folder).is_dir() and (mount / folder).is_dir():
                    then = mount / f"{folder}/.versions/@{told}"
                    wanted = tree(copy / folder, files_only=plain)
                    assert tree(then, files_only=plain) == wanted, (told, folder)
        mount.umount()
    with host(tmp_path / "reader", place.env) as reader:
        for number, (told, copy) in enumerate(copies.items()):
            past = reader.mount("--at", told, place.url, name=f"then{number}")
            assert tree(past.path, files_only=plain) == tree(copy, files_only=plain), told
            if not plain:
                subprocess.run(
                    ["diff", "-r", "--no-dereference", past.path, copy], check=True, timeout=100
                )


@pytest.mark.parametrize("kind", ["file", "s3-native", "s3-portable"])
def test_deleted_and_written_over(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    large, other = os.urandom(5_000_003), os.urandom(5_000_003)
    with host(tmp_path / "host", place.env) as one:
        mount = one.mount(place.url)
        before = moment(mount)
        (mount / "d/e").mkdir(parents=True)
        (mount / "d/e/large.bin").write_bytes(large)
        (mount / "d/gone").write_text("gone")
        (mount / "@odd").write_text("odd")
        told = moment(mount)
        (mount / "d/e/large.bin").write_bytes(other)
        (mount / "d/gone").unlink()
        (mount / "d/new").write_text("new")
        (mount / "@odd").unlink()
        assert os.listdir(mount / f".versions/@{before}") == []
        then = mount / f".versions/@{told}"
        assert sorted(os.listdir(then)) == ["@odd", "d"]
        assert (then / "d/e/large.bin").read_bytes() == large
        assert (mount / f"d/e/.versions/@{told}/large.bin").read_bytes() == large
        with (then / "d/e/large.bin").open("rb") as file:
            assert os.pread(file.fileno(), 10, 1_048_570) == large[1_048_570:1_048_580]
        assert (mount / "d/e/large.bin").read_bytes() == other
        subprocess.run(["cp", then / "d/gone", mount / "d/gone"], check=True)
        assert (mount / "d/gone").read_text() == "gone"
        assert os.getxattr(then / "d/gone", "user.vstorefs.version")
        assert sorted(os.listdir(mount / "d/.versions")) == ["@WARNINGS", "gone", "new"]


def changes_of(root: Path) -> list[Callable[[], object]]:
    file, new = root / "d/f", root / "new"
    return [
        new.touch,
        new.mkdir,
        file.unlink,
        (root / "d").rmdir,
        lambda: new.symlink_to("f"),
        lambda: file.open("a"),
        lambda: file.chmod(0o600),
        lambda: file.rename(root / "d/g"),
        lambda: os.truncate(file, 0),
        lambda: os.utime(file),
    ]


def test_nothing_in_the_past_can_be_changed(one_host: Host, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    mount = one_host.mount((tmp_path / "store").as_uri())
    (mount / "d").mkdir()
    (mount / "d/f").write_text("content")
    (mount / "now").write_text("now")
    told = moment(mount)
    past = one_host.mount("--at", told, (tmp_path / "store").as_uri(), name="then")
    for then in (mount / f".versions/@{told}", past.path):
        for change in changes_of(then):
            with pytest.raises(OSError, match="Read-only") as refused:
                change()
            assert refused.value.errno == errno.EROFS
        assert not (then / ".versions").exists()
        assert (then / "d/f").read_text() == "content"
    with pytest.raises(OSError, match="Read-only"):
        (mount / "now").rename(mount / f".versions/@{told}/now")
    with pytest.raises(OSError, match="Read-only"):
        (mount / f".versions/@{told}").rmdir()
    assert (mount / "now").read_text() == "now"


def test_names_that_are_no_time_are_not_there(one_host: Host, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    mount = one_host.mount((tmp_path / "store").as_uri())
    (mount / "f").write_text("content")
    for name in ("@soon", "@", "@12", "@2999-01-01", "@tomorrow", "@2026-13-01"):
        assert not (mount / ".versions" / name).exists(), name
    for name in ("@2001-01-01T0000Z", "@yesterday 14:00", "@3 days ago"):
        assert os.listdir(mount / ".versions" / name) == [], name


def test_a_time_as_people_say_it_moves_on(one_host: Host, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    mount = one_host.mount((tmp_path / "store").as_uri())
    (mount / "f").write_text("first")
    then = mount / ".versions/@3 seconds ago"
    assert os.listdir(then) == []
    wait_until((then / "f").exists, "f among what was there")
    (mount / "f").write_text("second")
    assert (then / "f").read_text() == "first"
    wait_until(lambda: (then / "f").read_text() == "second", "second content")


def test_a_project_as_it_was(one_host: Host, tmp_path: Path) -> None:
    """What the mount, its status and the log say; a change that another mount has not sent is left alone."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    text = "".join(
        f'[stores.{name}]\nurl = "{(tmp_path / name).as_uri()}"\n' for name in ("one", "two")
    )
    mount = one_host.project(text)
    (mount / "one/f").write_text("first")
    told = moment(mount)
    (mount / "one/f").write_text("second")
    (mount / "two/g").write_text("later")
    file = one_host.folder / "mnt.toml"
    said = one_host.run("mount", "--at", told, "-c", file, one_host.folder / "then").stdout
    one_host.points.append(one_host.folder / "then")
    assert f"is mounted on {one_host.folder / 'then'}, read-only, as of {told}" in said
    assert f"note: one is read-only: it shows the past, {told}" in said
    then = one_host.folder / "then"
    assert tree(then, files_only=True) == {"one/f": ("file", b"first", 0)}
    assert sorted(os.listdir(then)) == ["one", "two"]
    status = one_host.run("status", then).stdout
    assert f"read-only, as of {told}" in status
    assert (mount / "one/f").read_text() == "second"


@pytest.mark.parametrize(
    ("told", "why"), [("soon", "is not a valid time"), ("2999-01-01", "is in the future")]
)
def test_a_mount_at_no_time_is_refused(one_host: Host, told: str, why: str) -> None:
    result = one_host.run("mount", "--at", told, one_host.folder / "mnt", check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert repr(told) in result.stderr
    assert why in result.stderr
    assert not (one_host.folder / "mnt").exists()


def test_the_top_of_several_stores_has_a_past_and_all_warnings(
    one_host: Host, tmp_path: Path
) -> None:
    stores = {name: tmp_path / name for name in ("one", "two")}
    for name, store in stores.items():
        store.mkdir()
        (store / "input").write_text(name)
        os.utime(store / "input", (1_700_000_000, 1_700_000_000))
    mount = one_host.project(
        "".join(f'[stores.{name}]\nurl = "{store.as_uri()}"\n' for name, store in stores.items())
    )
    top = mount / ".versions"
    assert ".versions" not in os.listdir(mount.path)
    assert os.listdir(top) == ["@WARNINGS"]
    for name in stores:
        assert (mount / name / "input").read_text() == name
    before = time.time_ns()
    for name in stores:
        (mount / name / "input").write_text("changed")
    mount.umount()
    mount = one_host.mount("-c", one_host.folder / "mnt.toml", name="again")
    for name in stores:
        assert (mount / name / "input").read_text() == "changed"
    told = (mount / ".versions/@WARNINGS").read_text().splitlines()
    assert [line.partition(": warning: changed since ")[0] for line in told] == [
        "one/input",
        "two/input",
    ]
    then = f"@{to_text(before)}"
    past = mount / ".versions" / then
    assert sorted(os.listdir(past)) == ["one", "two"]
    for name in stores:
        assert (past / name / "input").read_text() == name
        assert (mount / name / "input").read_text() == "changed"
    assert not (mount / ".versions/@no-time").exists()
    with pytest.raises(OSError, match="Read-only"):
        (past / "one/new").write_text("x")
