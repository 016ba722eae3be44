"""What the ledger promises, on real mounts: which bytes went into a run, what changed since, and the way back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE, Place
from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until

pytestmark = [pytest.mark.mount, pytest.mark.stores]

LAYOUTS = ("file", "s3-native", "s3-portable")
NAME = "train-images.gz"


class OtherTool:
    """Writes and deletes in a store without vstorefs."""

    def __init__(self, place: Place, request: pytest.FixtureRequest) -> None:
        self._folder = Path(place.url.removeprefix("file://")) if place.port is None else None
        if self._folder is None:
            self._client = request.getfixturevalue("radosgw_server").client()
            self._bucket, _, self._prefix = place.url.removeprefix("s3://").partition("/")

    def write(self, name: str, content: bytes) -> None:
        if self._folder is None:
            self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}", Body=content)
            return
        scratch = self._folder / f".{name}.new"
        scratch.write_bytes(content)
        # An hour old, so that its size and times are trusted at once; each a second apart.
        self._age = getattr(self, "_age", 3600) - 1
        old = scratch.stat().st_mtime - self._age
        os.utime(scratch, (old, old))
        scratch.rename(self._folder / name)

    def delete(self, name: str) -> None:
        if self._folder is None:
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}")
        else:
            (self._folder / name).unlink()


def project(one: Host, place: Place, name: str = "mnt") -> Mount:
    return one.project(
        f'project = "story"\n[stores.data]\nurl = "{place.url}"\nlisting-seconds = 0\n', name=name
    )


def record(
    mount: Mount, name: str, *command: str | Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return mount.host.run("run", "--name", name, "--mount", mount.path, "--", *command, check=check)


def manifest(mount: Mount, name: str) -> dict[str, Any]:
    return json.loads(mount.host.run("show", name, "--mount", mount.path, "--json").stdout)


def listed(mount: Mount) -> dict[str, dict[str, Any]]:
    found = json.loads(mount.host.run("runs", "--mount", mount.path, "--json").stdout)
    return {one["name"]: one for one in found}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def warnings_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if ": warning: " in line]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_story(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = WRITABLE[kind](request)
    tool = OtherTool(place, request)
    first, second, third = b"first " * 5000, b"second" * 5000, b"third"
    tool.write(NAME, first)
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        file = mount / f"data/{NAME}"
        assert warnings_in(record(mount, "one", "cat", file).stderr) == []
        tool.write(NAME, second)
        said = warnings_in(record(mount, "two", "cat", file).stderr)
        assert len(said) == 1
        told = said[0].removeprefix(f"vstorefs: data/{NAME}: warning: ")
        earlier = listed(mount)["one"]["id"][:12]
        assert told.startswith(f"changed since run {earlier} (one) on ")
        assert sha256(first) in told
        assert sha256(second) in told
        # All the places where a person looks.
        assert len([line for line in warnings_in(mount.log()) if line.endswith(told)]) == 1
        assert f" {file}: warning: {told}" in mount.log()
        everything = (mount / "data/.versions/@WARNINGS").read_text()
        assert [line.endswith(told) for line in everything.splitlines()] == [True]
        assert (mount / f"data/.versions/{NAME}/WARNINGS").read_text() == everything
        assert os.getxattr(file, "user.vstorefs.warning").decode() == told
        assert [one["kind"] for one in manifest(mount, "two")["warnings"]] == ["changed"]
        assert [one.endswith(told) for one in listed(mount)["two"]["warnings"]] == [True]
        assert re.search(
            r"^! +\w+ +two ", one.run("runs", "--mount", mount.path).stdout, re.MULTILINE
        )
        assert told in one.run("show", "two", "--mount", mount.path).stdout
        strict = one.run(
            "check", "--against", "one", "--strict", "--mount", mount.path, check=False
        )
        assert strict.returncode == 1
        assert sha256(second) in strict.stdout
        # And nowhere when there is nothing to tell.
        assert warnings_in(record(mount, "three", "cat", file).stderr) == []
        assert one.run("check", "--strict", "--mount", mount.path).returncode == 0
        tool.write(NAME, second)
        assert warnings_in(record(mount, "same bytes", "cat", file).stderr) == []
        one.run("ack", file, "--why", "the labels were mended")
        assert (mount / "data/.versions/@WARNINGS").read_text() == ""
        tool.write(NAME, third)
        one.run("ack", file, "--why", "the new ones")
        assert warnings_in(record(mount, "acknowledged", "cat", file).stderr) == []
        tool.delete(NAME)
        said = warnings_in(record(mount, "gone", "cat", file, check=False).stderr)
        assert len(said) == 1
        assert ": warning: disappeared since run " in said[0]
        assert sha256(third) in said[0]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_another_host_warns_of_what_this_one_used(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    tool = OtherTool(place, request)
    tool.write(NAME, b"old" * 1000)
    with host(tmp_path / "a", place.env) as a, host(tmp_path / "b", place.env) as b:
        on_a, on_b = project(a, place), project(b, place)
        record(on_a, "of a", "cat", on_a / f"data/{NAME}")
        used = listed(on_a)["of a"]["id"]
        tool.write(NAME, b"new" * 1000)
        said = warnings_in(record(on_b, "of b", "cat", on_b / f"data/{NAME}").stderr)
        assert len(said) == 1
        assert f"changed since run {used[:12]} (of a)" in said[0]
        assert sha256(b"old" * 1000) in said[0]
        assert sha256(b"new" * 1000) in said[0]
        # A sees the run of B, and what it was told.
        assert listed(on_a)["of b"]["warnings"] == listed(on_b)["of b"]["warnings"] != []
        # What A has hashed B knows without reading it; when it does read, it compares.
        tool.write("read-by-a", b"content" * 1000)
        record(on_a, "again", "cat", on_a / "data/read-by-a")
        b.run("runs", "--mount", on_b.path)
        known = os.getxattr(on_b / "data/read-by-a", "user.vstorefs.sha256").decode()
        assert known == sha256(b"content" * 1000)
        assert "read-by-a: downloaded" not in on_b.log()


TRAINING = """
    import multiprocessing, os, subprocess, sys, threading
    from pathlib import Path

    data = Path(os.environ["VSTOREFS_MOUNT"]) / "data"

    def read(name):
        return (data / name).read_bytes()

    if __name__ == "__main__":
        sys.stdin.read()
        read("main")
        read("cached")
        thread = threading.Thread(target=read, args=("thread",))
        thread.start()
        thread.join()
        subprocess.run(["sh", "-c", f"cat {data}/shell {data}/shell2 > /dev/null"], check=True)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(read, [f"pool{n}" for n in range(6)])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.map(read, ["spawned"])
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.read(os.open(data / "daemon", os.O_RDONLY), 10)
                os._exit(0)
            os._exit(0)
        os.wait()
        (data / "made").write_text("out")
        read("made")
        with open(data / "changed", "r+") as file:
            file.read(1)
        os.stat(data / "only-looked-at")
        try:
            read("never-was")
        except FileNotFoundError:
            pass
"""


def test_a_run_records_exactly_what_its_processes_open(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE["file"](request)
    names = ["main", "cached", "thread", "shell", "shell2", "spawned", "daemon", "changed"]
    names += [*(f"pool{n}" for n in range(6)), "only-looked-at", "inherited", "not-used"]
    tool = OtherTool(place, request)
    for name in names:
        tool.write(name, name.encode())
    script, traced = tmp_path / "train.py", tmp_path / "strace"
    script.write_text(textwrap.dedent(TRAINING))
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        (mount / "data/cached").read_bytes()
        (mount / "data/cached").read_bytes()
        with (mount / "data/inherited").open() as inherited:
            subprocess.run(
                [
                    *(sys.executable, "-m", "vstorefs.cli.main", "run", "--name", "training"),
                    *("--mount", mount.path, "--"),
                    *("strace", "-ff", "-qq", "-e", "trace=open,openat,creat", "-o", traced),
                    *(sys.executable, script),
                ],
                env=one.env | {"PYTHONPATH": str(ROOT)},
                stdin=inherited,
                check=True,
                timeout=200,
            )
        found = manifest(mount, "training")
    # One file a process: lines of several would be torn apart.
    lines = "".join(file.read_text() for file in tmp_path.glob("strace.*"))
    opened = {
        Path(match[1]).name
        for match in re.finditer(
            r'openat\(.*?"([^"]+/data/[^"]+)", ([A-Z_|]+).*= \d+$', lines, re.MULTILINE
        )
        if "O_WRONLY" not in match[2] and "O_DIRECTORY" not in match[2]
    }
    assert opened == {*names, "made"} - {"only-looked-at", "inherited", "not-used"}
    inputs = {use["place"]["path"]: use for use in found["inputs"]}
    # What it reads of what it has made itself is no input.
    assert set(inputs) == (opened - {"made"}) | {"inherited"}
    assert [use for use in inputs if inputs[use]["inherited"]] == ["inherited"]
    assert all(use["content"]["hashes"] for use in found["inputs"])
    assert inputs["main"]["content"]["hashes"]["sha256"] == sha256(b"main")
    assert [output["place"]["path"] for output in found["outputs"]] == ["made"]
    assert found["outputs"][0]["content"]["hashes"]["sha256"] == sha256(b"out")
    assert found["run"]["status"] == "finished"
    assert found["run"]["command"][-1] == str(script)


def test_two_runs_at_once_are_told_apart(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in ("a1", "a2", "b1", "b2", "both"):
        (store / name).write_text(name)
    mount = one_host.mount(store.as_uri())
    wait = "echo ready; cat {go} > /dev/null; cat {two} {both}; echo out > {out}"
    runs, gates = [], [tmp_path / "go-a", tmp_path / "go-b"]
    for letter, go in zip("ab", gates, strict=True):
        os.mkfifo(go)
        script = f"cat {mount / f'{letter}1'}; " + wait.format(
            go=go, two=mount / f"{letter}2", both=mount / "both", out=mount / f"{letter}-out"
        )
        runs.append(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "vstorefs.cli.main", "run", "--name", letter),
                    *("--mount", mount.path, "--", "sh", "-c", script),
                ],
                env=one_host.env | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for one in runs:
        assert one.stdout is not None
        assert one.stdout.readline().strip()[-5:] == "ready"
    for go in gates:
        go.write_text("go")
    for one in runs:
        one.communicate(timeout=100)
        assert one.returncode == 0
    for letter in "ab":
        found = manifest(mount, letter)
        assert {use["place"]["path"] for use in found["inputs"]} == {
            f"{letter}1",
            f"{letter}2",
            "both",
        }
        assert [out["place"]["path"] for out in found["outputs"]] == [f"{letter}-out"]


def test_a_name_that_was_renamed_is_the_output(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    script = (
        "cd $VSTOREFS_MOUNT && echo m > part && mv part model.pt && mkdir tmpdir && echo c > tmpdir/c && "
        "mv tmpdir checkpoint && echo x > gone && rm gone"
    )
    record(mount, "saves", "sh", "-c", script)
    found = manifest(mount, "saves")
    outputs = {out["place"]["path"]: out["content"]["hashes"]["sha256"] for out in found["outputs"]}
    assert outputs == {"model.pt": sha256(b"m\n"), "checkpoint/c": sha256(b"c\n")}
    assert found["inputs"] == []
    history = json.loads(one_host.run("log", mount / "model.pt", "--json").stdout)
    assert history[-1]["run"] == found["run"]["id"]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_locked_mount_shows_a_run_again_bit_for_bit(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    contents = {f"d/{n}.bin": os.urandom(200_000 * n + 7) for n in range(7)}
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        (mount / "data/d").mkdir()
        for name, content in contents.items():
            (mount / "data" / name).write_bytes(content)
        record(mount, "first", "sh", "-c", f"cat {mount.path}/data/d/*.bin | md5sum")
        lock = tmp_path / "inputs.lock"
        lock.write_text(one.run("lock", "first", "--mount", mount.path).stdout)
        for name in contents:
            (mount / "data" / name).write_bytes(b"replaced")
        for name in list(contents)[:3]:
            (mount / "data" / name).unlink()
        mount.umount()
        config = one.folder / "mnt.toml"
        then = one.mount("-c", config, "--locked", lock, name="then")
        assert sorted(os.listdir(then / "data/d")) == sorted(Path(name).name for name in contents)
        for name, content in contents.items():
            assert (then / "data" / name).read_bytes() == content
        with pytest.raises(OSError, match="Read-only"):
            (then / "data/d/new").write_bytes(b"x")
        then.umount()
        result = one.run(
            *("run", "--name", "again", "-c", config, "--locked", lock, "--"),
            *("sh", "-c", 'cat "$VSTOREFS_MOUNT"/data/d/*.bin | md5sum'),
        )
        together = b"".join(contents[name] for name in sorted(contents))
        assert result.stdout.split()[0] == hashlib.md5(together).hexdigest()
        assert ": warning: " not in result.stderr


def test_a_locked_content_that_cannot_be_had_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE["file"](request)
    root = Path(place.url.removeprefix("file://"))
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        for name in ("whole", "damaged"):
            (mount / f"data/{name}").write_bytes(name.encode() * 100_000)
        record(mount, "first", "sh", "-c", f"cat {mount.path}/data/* > /dev/null")
        lock = tmp_path / "inputs.lock"
        lock.write_text(one.run("lock", "first", "--mount", mount.path).stdout)
        mount.umount()
        # One byte in the middle, with the size and the times as they were.
        about = (root / "damaged").stat()
        with (root / "damaged").open("r+b") as file:
            file.seek(300_000)
            file.write(b"X")
        os.utime(root / "damaged", ns=(about.st_atime_ns, about.st_mtime_ns))
        one.run("cache", "clear")
        then = one.mount("-c", one.folder / "mnt.toml", "--locked", lock, name="then")
        assert (then / "data/whole").read_bytes() == b"whole" * 100_000
        with (
            (then / "data/damaged").open("rb") as file,
            pytest.raises(OSError, match="Input/output"),
        ):
            file.read(10)
        then.wait_for_log(f"its content is not that of {lock}")
        other = tmp_path / "other"
        other.mkdir()
        refused = one.run("mount", "--locked", lock, other.as_uri(), tmp_path / "x", check=False)
        assert refused.returncode == 2
        assert "belongs to another project" in refused.stderr
        one.urls.clear()


def test_check_tells_that_nobody_kept_what_was_used(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE["s3-portable"](request)
    tool = OtherTool(place, request)
    for name in ("kept", "not-kept"):
        tool.write(name, b"first " + name.encode())
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        record(mount, "one", "sh", "-c", f"cat {mount.path}/data/*")
        (mount / "data/kept").write_bytes(b"second")
        tool.write("not-kept", b"second")
        told = one.run("check", "--against", "one", "--mount", mount.path).stdout.splitlines()
        assert [line.partition(":")[0] for line in told[:2]] == ["data/kept", "data/not-kept"]
        assert ["kept nowhere any more" in line for line in told[:2]] == [False, True]


def test_a_run_whose_mount_dies_is_closed_by_the_next(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "input").write_text("input")
    mount = one_host.mount(store.as_uri())
    started, release = tmp_path / "started", tmp_path / "release"
    os.mkfifo(release)
    script = f"cat {mount / 'input'}; echo out > {mount / 'out'}; touch {started}; cat {release}"
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "vstorefs.cli.main", "run", "--name", "cut off"),
            *("--mount", mount.path, "--", "sh", "-c", script),
        ],
        env=one_host.env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(started.exists, "the run's start", process=running)
    assert listed(mount)["cut off"]["status"] == "running"
    mount.kill()
    release.write_text("go on")
    _, said = running.communicate(timeout=100)
    assert "cannot be closed now, the next mount does that" in said
    again = one_host.mount(store.as_uri())
    again.wait_for_log("was interrupted: its mount died")
    wait_until(lambda: listed(again)["cut off"]["status"] == "interrupted", "end of the run")
    found = manifest(again, "cut off")
    assert [use["place"]["path"] for use in found["inputs"]] == ["input"]
    assert [out["place"]["path"] for out in found["outputs"]] == ["out"]


def test_a_run_whose_command_is_killed_is_closed_by_its_mount(
    one_host: Host, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    started = tmp_path / "started"
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "vstorefs.cli.main", "run", "--name", "killed"),
            *("--mount", mount.path, "--", "sh", "-c", f"touch {started}; exec sleep 1000"),
        ],
        env=one_host.env | {"PYTHONPATH": str(ROOT)},
    )
    wait_until(started.exists, "the run's start", process=running)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.wait()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    wait_until(lambda: listed(mount)["killed"]["status"] == "interrupted", "end of the run")


def test_a_default_store_that_cannot_be_written_delays_the_ledger(
    one_host: Host, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "input").write_text("input")
    mount = one_host.mount("--read-only", store.as_uri())
    result = record(mount, "local", "cat", mount / "input")
    assert "the record is on this host only, so far: " in result.stderr
    assert mount.status()["ledger"]["waiting"] == 1
    assert "read-only" in mount.status()["ledger"]["why"]
    assert listed(mount)["local"]["inputs"] == 1
    assert not (store / ".vstorefs/runs").exists()
    mount.umount()
    # With a mount that may write it catches up.
    again = one_host.mount(store.as_uri())
    wait_until(lambda: any((store / ".vstorefs").glob("runs/*.json")), "the ledger in the store")
    assert again.status()["ledger"]["waiting"] == 0


@pytest.fixture
def command(one_host: Host, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs something by `vstorefs run`, in a mount that it makes itself."""

    def run(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return one_host.run("run", "--mount", tmp_path / "made", "--", *words, check=check)

    return run


def test_the_exit_status_is_the_commands(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert command("sh", "-c", "echo said; echo told >&2; exit 7").returncode == 7
    assert command("sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    missing = command("no-such-command")
    assert missing.returncode == 127
    assert "command not found: no-such-command" in missing.stderr
    result = command("sh", "-c", "echo said; echo told >&2; test -d $VSTOREFS_MOUNT")
    assert (result.returncode, result.stdout) == (0, "said\n")
    assert result.stderr.startswith("told\n")
    assert command().returncode == 2


def test_signals_go_to_the_command(one_host: Host, tmp_path: Path) -> None:
    mount = one_host.mount()
    started = tmp_path / "started"
    script = f"trap 'echo stopped; exit 9' TERM; touch {started}; while :; do sleep 0.05; done"
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "vstorefs.cli.main", "run", "--name", "stopped"),
            *("--mount", mount.path, "--", "sh", "-c", script),
        ],
        env=one_host.env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(started.exists, "the command's start", process=running)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=100)
    assert (said, running.returncode) == ("stopped\n", 9)
    assert listed(mount)["stopped"]["exit_status"] == 9


def test_secrets_are_not_recorded(one_host: Host, tmp_path: Path) -> None:
    mount = one_host.mount()
    secret = "s3cr3t-value-of-the-user"
    one_host.env["MY_API_TOKEN"] = secret
    record(
        mount, "logs in", "true", "--password", secret, f"--token={secret}", f"x{secret}y", "plain"
    )
    whole = json.dumps(manifest(mount, "logs in"))
    assert secret not in whole
    assert "plain" in whole
    found = subprocess.run(
        ["grep", "-rlF", secret, one_host.folder], check=False, capture_output=True, text=True
    )
    assert found.stdout == ""
