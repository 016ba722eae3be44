"""Runs with odd names, long commands and odd surroundings: nothing of that ends a mount or hangs a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.test_runs import listed, manifest, record, warnings_in
from tests.support.mounts import Host, Mount, host
from tests.support.paused import paused
from tests.support.processes import ROOT, wait_until
from tests.support.radosgw import CountedServer
from tests.support.s3server import S3Server

pytestmark = [pytest.mark.mount, pytest.mark.stores]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "input").write_text("input")
    return folder


@pytest.fixture
def mount(one_host: Host, store: Path) -> Mount:
    return one_host.project(f'[stores.data]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\n')


def test_asking_for_a_name_that_is_no_text(mount: Mount) -> None:
    for folder in (mount.path, mount / "data", mount / "data/.versions"):
        assert not os.path.lexists(os.fsencode(folder) + b"/\xff")
    # What follows from an absent name is noted by now.
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(mount / "data/input", "user.vstorefs.warning")
    assert (mount / "data/input").read_text() == "input"


def test_a_command_with_as_many_arguments_as_the_kernel_takes(mount: Mount) -> None:
    arguments = ["\N{SNOWMAN}" * 1000] * 300
    record(mount, "long", "true", *arguments)
    assert manifest(mount, "long")["run"]["command"] == ["true", *arguments]


def test_a_command_whose_starter_ignores_the_ends_of_children(mount: Mount) -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    ours = ["-m", "vstorefs.cli.main", "run", "--mount", str(mount.path), "--name", "odd"]
    result = subprocess.run(
        [sys.executable, "-c", ignoring, *ours, "--", "false"],
        env=mount.host.env | {"PYTHONPATH": str(ROOT)},
        check=False,
        timeout=100,
    )
    assert result.returncode == 1
    assert listed(mount)["odd"]["status"] == "failed"


def test_a_host_that_may_only_read_is_told_of_what_others_used(
    tmp_path: Path, mount: Mount, store: Path
) -> None:
    text = f'[stores.data]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\nread-only = true\n'
    with host(tmp_path / "reader") as other:
        reader = other.project(text)
        # This waits to be sent, and must not keep anything from coming in.
        record(reader, "reads", "true")
        record(mount, "uses", "cat", mount / "data/input")
        os.utime(store / "input", (1, 1))
        (store / "input").write_text("changed")
        said = record(reader, "reads again", "cat", reader / "data/input").stderr
        assert ": warning: changed since run " in said
        assert "(uses)" in said
        assert "the record is on this host only, so far: " in said
        assert reader.status()["ledger"]["waiting"] == 2


NAME = 'odd "name" \\ \x7f\n\x1b[31m'


def test_names_that_cannot_be_seen_are_escaped_and_locked(
    one_host: Host, mount: Mount, store: Path
) -> None:
    (store / NAME).write_text("content")
    record(mount, "odd", "sh", "-c", f"cat {mount.path}/data/odd*\n")
    for command in (("show", "odd"), ("runs",)):
        text = one_host.run(*command, "--mount", mount.path).stdout
        assert "\x1b" not in text
        assert "\n\n" not in text
    lock = one_host.folder / "inputs.lock"
    lock.write_text(one_host.run("lock", "odd", "--mount", mount.path).stdout)
    config = one_host.folder / "mnt.toml"
    again = one_host.mount("-c", config, "--locked", lock, name="again")
    assert (again / "data" / NAME).read_text() == "content"


def test_in_a_projects_directory_a_lock_file_is_of_that_project(
    one_host: Host, mount: Mount
) -> None:
    record(mount, "then", "cat", str(mount / "data/input"))
    folder = one_host.folder / "project"
    folder.mkdir()
    (folder / "inputs.lock").write_text(one_host.run("lock", "then", "--mount", mount.path).stdout)
    (folder / "vstorefs.toml").write_text((one_host.folder / "mnt.toml").read_text())
    (mount / "data/input").write_text("changed")
    point = one_host.folder / "again"
    one_host.points.append(point)
    subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", "mount", "--locked", "inputs.lock", point],
        cwd=folder,
        env=one_host.env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    assert (point / "data/input").read_text() == "input"


def test_a_mount_point_with_other_letters_and_spaces(one_host: Host, store: Path) -> None:
    mount = one_host.mount(store.as_uri(), name="Jörg's \\ däta")
    ours = [sys.executable, "-m", "vstorefs.cli.main", "run", "--mount", str(mount.path)]
    with (mount / "input").open() as file:
        subprocess.run(
            [*ours, "--name", "redirected", "--", "cat"],
            env=one_host.env | {"PYTHONPATH": str(ROOT)},
            stdin=file,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    assert [use["inherited"] for use in manifest(mount, "redirected")["inputs"]] == [True]


def test_what_is_not_meant_is_refused(one_host: Host, mount: Mount, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(f'[stores.data]\nurl = "{tmp_path.as_uri()}"\n')
    record(mount, "one", "cat", mount / "data/input")
    refused: tuple[tuple[str, int, tuple[str | Path, ...]], ...] = (
        ("another project", 2, ("run", "-c", other, "--mount", mount.path, "--", "true")),
        ("printable", 2, ("run", "--name", "a\nb", "--mount", mount.path, "--", "true")),
        ("is not in a vstorefs mount", 1, ("check", "/etc/passwd", "--mount", mount.path)),
        ("used nothing there", 1, ("check", "--strict", mount / "data/tpyo")),
        ("must be 1 or more", 2, ("runs", "--limit", "-3", "--mount", mount.path)),
    )
    for says, status, arguments in refused:
        result = one_host.run(*arguments, check=False)
        assert (result.returncode, len(result.stderr.splitlines())) == (status, 1), result.stderr
        assert says in result.stderr
    assert len(listed(mount)) == 2


def test_a_reason_that_is_no_text_is_kept_readable(one_host: Host, mount: Mount) -> None:
    record(mount, "one", "cat", mount / "data/input")
    result = one_host.run("ack", mount / "data/input", "--why", "caf\udce9")
    assert result.stdout.startswith("acknowledged: 1 path, ")


def test_what_a_lock_file_does_not_name_has_not_disappeared(
    one_host: Host, mount: Mount, store: Path
) -> None:
    record(mount, "both", "cat", mount / "data/input")
    (store / "only").write_text("only")
    record(mount, "one", "cat", mount / "data/only")
    lock = one_host.folder / "inputs.lock"
    lock.write_text(one_host.run("lock", "one", "--mount", mount.path).stdout)
    again = one_host.mount("-c", one_host.folder / "mnt.toml", "--locked", lock, name="again")
    assert (
        warnings_in(record(again, "locked", "ls", again / "data/input", check=False).stderr) == []
    )


def test_each_run_is_told_that_an_input_has_disappeared(one_host: Host, store: Path) -> None:
    # The kernel remembers for a minute that a name is not there.
    mount = one_host.project(
        f'[stores.data]\nurl = "{store.as_uri()}"\nlisting-seconds = 60\n', name="slow"
    )
    record(mount, "one", "cat", mount / "data/input")
    (mount / "data/input").unlink()
    assert not (mount / "data/input").exists()
    for name in ("two", "three"):
        said = record(mount, name, "cat", mount / "data/input", check=False).stderr
        assert [": warning: disappeared since run " in one for one in warnings_in(said)] == [True]


def test_nobody_has_to_wait_for_a_store_that_hangs(
    one_host: Host, moto_server: S3Server, tmp_path: Path
) -> None:
    bucket = f"hangs-{os.urandom(5).hex()}"
    moto_server.bucket(bucket, versioned=True)
    one_host.env.update(moto_server.env)
    mount = one_host.mount(f"s3://{bucket}")
    done = tmp_path / "done"
    # Tests that run in the background inherit that SIGINT is ignored.
    ours = ["env", "--default-signal=INT", sys.executable, "-m", "vstorefs.cli.main"]
    ours += ["run", "--mount", str(mount.path)]
    with paused(int(moto_server.endpoint.rpartition(":")[2])):
        running = subprocess.Popen(
            [*ours, "--name", "left", "--", "sh", "-c", f"trap '' INT; touch {done}"],
            env=one_host.env | {"PYTHONPATH": str(ROOT)},
        )
        wait_until(done.exists, "end of the command", process=running)

        def has_ended() -> bool:
            running.send_signal(signal.SIGINT)
            return running.poll() is not None

        wait_until(has_ended, "end of the run")
        assert running.returncode in {130, -signal.SIGINT}
    # Its mount has gone on with its record.
    wait_until(lambda: listed(mount)["left"]["status"] == "finished", "end of the record")


def test_who_stands_in_a_new_directory_goes_on_standing_there(
    tmp_path: Path, radosgw_server: CountedServer
) -> None:
    """Names are asked for anew when a run begins, his own or another's, and a listing may be older than the directory."""
    radosgw_server.bucket("standing")
    script = "mkdir a && cd a && echo x > f && {} run -- {} && {} && test -s f && touch g"
    ours = f"{sys.executable} -m vstorefs.cli.main"
    look = f"{sys.executable} -c 'import os; print(os.getcwd())'"
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount("s3://standing")
        assert os.listdir(mount.path) == []
        with subprocess.Popen(
            ["/bin/sh", "-c", "mkdir b && cd b && read line && exec " + look],
            cwd=mount.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            wait_until((mount / "b").is_dir, "directory of another program")
            result = subprocess.run(
                ["/bin/sh", "-c", script.format(ours, look, look)],
                cwd=mount.path,
                env=one.env | {"PYTHONPATH": str(ROOT)},
                check=False,
                capture_output=True,
                text=True,
                timeout=100,
            )
            assert result.returncode == 0, result.stderr
            assert result.stdout.split() == [str(mount / "a")] * 2
            assert other.communicate("\n", timeout=100)[0].strip() == str(mount / "b")
