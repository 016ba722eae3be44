"""`vstorefs mount`."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from vstorefs import errors, files, logs, projectsources
from vstorefs.cli import agreeing, at, folders
from vstorefs.cli.output import note_line, show_line
from vstorefs.control import client
from vstorefs.control.status import ShowStatus
from vstorefs.ledger import lockfile
from vstorefs.ledger.opening import PROJECT_FILE, Chosen
from vstorefs.moments import to_text
from vstorefs.project import Project
from vstorefs.state import mounts
from vstorefs.versions.locked import Lock

DESCRIPTION = (
    "Mount stores as a directory. Returns when the mount is ready; it goes on in the background."
)
EXAMPLES = """\
examples:
  vstorefs mount ~/data                        the embedded store, below ~/.local/share/vstorefs
  vstorefs mount s3://my-bucket/prefix ~/data  a bucket with versioning
  vstorefs mount file:///srv/share ~/data      a directory
  vstorefs mount -c vstorefs.toml ~/data       the stores of a project, each as a directory
  vstorefs mount -c vstorefs.toml --locked inputs.lock ~/then     exactly the inputs of a run
  vstorefs mount --at 'yesterday 14:00' -c vstorefs.toml ~/then
                                               the same as of then, deleted files included

Credentials for S3 are found as the AWS CLI finds them: environment, profiles, instance roles.

A record of the log is one line: the local time with its zone, the level, and the message, such as
  2026-11-26T02:31:52.123+01:00 INFO    /home/ada/data/train.csv: downloaded, 28.9 kB
What cannot be printed is written as its escape; a traceback stands below its record, four spaces in.
With --log-format json it is an object with time, level, logger, message and, where there is a
traceback, exception.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "where",
        nargs="+",
        metavar="[URL] DIR",
        help="the store to mount (default: the embedded store), and the mount point",
    )
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="project file, such as vstorefs.toml"
    )
    agreeing.add_arguments(parser)
    parser.add_argument(
        "--foreground", action="store_true", help="stay in the foreground, log to the terminal"
    )
    parser.add_argument(
        "--locked",
        type=Path,
        metavar="FILE",
        help="mount exactly the versions of a lock file, read-only, with all contents verified",
    )
    parser.add_argument("--read-only", action="store_true", help="mount read-only")
    at.add_argument(parser)
    parser.add_argument(
        "--allow-other",
        action="store_true",
        help="allow access by other users, subject to file modes",
    )
    parser.add_argument(
        "--cache-size", metavar="SIZE", help="maximum size of the cache, such as 50GB"
    )
    folders.add_cache_dir(parser)
    folders.add_state_dir(parser)
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="write the log to this file")
    parser.add_argument(
        "--log-format",
        choices=[one.value for one in logs.Format],
        default=logs.Format.TEXT.value,
        help="format of the log (default: text)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log debug messages, too")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Mount, here or in the background."""
    if len(options.where) > 2 or (options.config is not None and len(options.where) > 1):
        raise errors.UsageError(
            "give a URL and a directory, or a directory and -c FILE; see vstorefs mount --help"
        )
    _see_that_dir_is_one(options)
    if options.locked is not None and len(options.where) == 1 and options.config is None:
        # A lock file is of a project; in a project's directory that is the one which is meant, as for `vstorefs run`.
        options.config = Path(PROJECT_FILE) if Path(PROJECT_FILE).is_file() else None
    point = Path(os.path.abspath(Path(options.where[-1]).expanduser()))  # noqa: PTH100 — a dead mount cannot be resolved
    if options.ready_fd is not None:
        return _serve(options, point)
    if options.at is not None and options.locked is not None:
        raise errors.UsageError(
            "--at and --locked exclude each other: a lock file names the versions"
        )
    _check_system()
    what = _project(options)
    if options.at is not None:
        # Read once: the process in the background must not read "2 hours ago" at another time.
        options.at = to_text(_moment(options, what))
    _lock(options, what)
    made = _prepare(point)
    try:
        _check_point(point, options)
        if options.foreground:
            return _serve(options, point, what)
        return _in_background(options, point, what)
    except BaseException:
        if made:
            files.change("mount-point.remove", point.rmdir)
        raise


def _see_that_dir_is_one(options: argparse.Namespace) -> None:
    """The last word is the mount point, unless it was left out. Raises: UsageError."""
    last = options.where[-1]
    if "://" not in last:
        return
    if len(options.where) == 2:
        raise errors.UsageError(
            f"DIR must be a directory, and {last} is a URL; for several stores, write a project file: vstorefs init"
        )
    if options.config is not None:
        raise errors.UsageError(
            f"DIR is missing, and -c FILE takes no URL; type: vstorefs mount -c {options.config} DIR"
        )
    raise errors.UsageError(
        f"DIR is missing, the directory to mount on; type: vstorefs mount {last} ~/data"
    )


def _lock(options: argparse.Namespace, what: Project) -> Lock | None:
    if options.locked is None:
        return None
    try:
        text = options.locked.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"cannot read the lock file {options.locked}: {error}") from error
    return lockfile.read(text, str(options.locked), what)


def _project(options: argparse.Namespace) -> Project:
    if options.config is not None:
        return projectsources.load(options.config, os.environ, read_only=options.read_only)
    if len(options.where) == 2:
        return projectsources.for_url(options.where[0], os.environ, read_only=options.read_only)
    return projectsources.embedded(os.environ, read_only=options.read_only)


def _check_system() -> None:
    if not Path("/dev/fuse").exists():
        raise errors.VstorefsError(
            "there is no /dev/fuse: the kernel has no FUSE, or this container has no access to it "
            "(docker run --device /dev/fuse --cap-add SYS_ADMIN); try: modprobe fuse"
        )
    if shutil.which("fusermount3") is None:
        raise errors.VstorefsError("fusermount3 is not installed; on Debian: apt-get install fuse3")


def _prepare(point: Path) -> bool:
    """See that the mount point is a directory.

    Clear what a dead mount left. True if the directory was made here.
    """
    try:
        point.lstat()
    except FileNotFoundError:
        if not point.parent.is_dir():
            raise errors.UsageError(f"{point.parent}: no such directory; create it first") from None
        try:
            files.change("mount-point.make", point.mkdir)
        except OSError as error:
            raise errors.UsageError(
                f"cannot create the directory {point}: {error.strerror}"
            ) from error
        return True
    except OSError:
        _clear(point)
        return False
    try:
        # What stat says may still come from the kernel's memory of the dead; this never does.
        os.statvfs(point)
    except OSError:
        _clear(point)
    return False


def _clear(point: Path) -> None:
    """Take away what a mount left whose process died: it answers with ENOTCONN."""
    subprocess.run(["fusermount3", "-u", "-z", str(point)], check=False, capture_output=True)


def _check_point(point: Path, options: argparse.Namespace) -> None:
    for record in mounts.living():
        if record.mount_point == str(point):
            raise errors.UsageError(
                f"{point} is a vstorefs mount already (process {record.pid}); unmount it with: {_end(point)}"
            )
    if not point.is_dir():
        raise errors.UsageError(f"{point} is not a directory")
    if point.is_mount():
        raise errors.UsageError(
            f"something is mounted on {point} already; choose another directory, or unmount it"
        )
    if any(point.iterdir()):
        raise errors.UsageError(
            f"{point} is not empty, and a mount would hide its files; choose another directory"
        )
    for folder in (folders.cache_dir(options.cache_dir), folders.state_dir(options.state_dir)):
        if folder == point or point in folder.parents:
            raise errors.UsageError(
                f"{folder} would be inside the mount that needs it; choose another directory"
            )


def _log_file(options: argparse.Namespace, point: Path) -> Path:
    if options.log_file is not None:
        return Path(os.path.abspath(options.log_file))  # noqa: PTH100
    return mounts.usual_log(folders.state_dir(options.state_dir), str(point))


def _serve(options: argparse.Namespace, point: Path, what: Project | None = None) -> int:
    """Be the front process."""
    from vstorefs.mount import front  # noqa: PLC0415 — only the process that mounts needs trio and pyfuse3

    background = options.ready_fd is not None
    file = _log_file(options, point) if background or options.log_file is not None else None
    level = logging.DEBUG if options.verbose else logging.INFO
    log = logs.start(level, file, logs.Format(options.log_format))
    cache = folders.cache_dir(options.cache_dir)
    what = what or _project(options)

    def on_ready(notes: str) -> None:
        if background:
            os.write(options.ready_fd, b"\n" + notes.encode())
            os.close(options.ready_fd)
        else:
            note_line(f"mounted on {point}{_then(options)}; unmount with Ctrl-C or: {_end(point)}")

    try:
        front.run(
            front.MountOptions(
                point,
                what,
                cache,
                folders.state_dir(options.state_dir),
                folders.cache_bytes(options.cache_size, what.cache_bytes, cache),
                options.read_only or options.at is not None,
                options.allow_other,
                str(file) if file is not None else None,
                os.cpu_count() or 2,
                _lock(options, what),
                _moment(options, what) if options.at is not None else None,
            ),
            on_ready,
        )
    except errors.StoreError as error:
        names = ", ".join(spec.url for spec in what.stores)
        raise errors.VstorefsError(f"cannot mount {names}: {error.message}") from error
    finally:
        log.stop()
    return 0


def _in_background(options: argparse.Namespace, point: Path, what: Project) -> int:
    """Start the front in a session of its own, and wait until it says that the mount works."""
    reading, writing = os.pipe()
    file = _log_file(options, point)
    command = [
        sys.executable,
        # Nothing in the working directory is ours to run.
        *("-P", "-m"),
        "vstorefs.cli.main",
        *_again(options, point),
        "--ready-fd",
        str(writing),
    ]
    process = subprocess.Popen(
        command,
        pass_fds=(writing,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    assert process.stderr is not None
    if not said:
        # Whatever went wrong, the process has said it in a line, or ended with a traceback.
        text = process.stderr.read().decode(errors="replace")
        status = process.wait()
        sys.stderr.write(
            text or f"vstorefs: the mount ended with status {status}; the log is {file}\n"
        )
        return status or errors.EXIT_FAILURE
    process.stderr.close()
    names = ", ".join(spec.url for spec in what.stores)
    show_line(f"{names} is mounted on {point}{_then(options)}")
    for note in said.decode().split("\n"):
        if note:
            show_line(f"note: {note}")
    show_line(f"log: {file}")
    show_line(
        f"try: ls {shlex.quote(str(point))}; {_to_try(options, point)}unmount with: {_end(point)}"
    )
    return 0


def _end(point: Path) -> str:
    return f"vstorefs umount {shlex.quote(str(point))}"


def _to_try(options: argparse.Namespace, point: Path) -> str:
    """What shows the versions of a file; empty where nothing can be written."""
    if options.read_only or options.at is not None or options.locked is not None:
        return ""
    try:
        record = mounts.mount_of(str(point))
        status = client.ask(record, ShowStatus())
    except errors.VstorefsError:
        return ""
    for store in status.stores:
        if store.state == "ok":
            folder = point if record.project.single else point / store.alias
            return f"copy a file to {folder} twice and look into {folder}/.versions/; "
    return ""


def _moment(options: argparse.Namespace, what: Project) -> int:
    state_dir = folders.state_dir(options.state_dir)
    return at.moment_of(options.at, lambda: Chosen(what, None, state_dir))


def _then(options: argparse.Namespace) -> str:
    """What a line that says "mounted" adds for a mount of the past."""
    return f", read-only, as of {options.at}" if options.at is not None else ""


def _again(options: argparse.Namespace, point: Path) -> list[str]:
    """The arguments for the process in the background: the same, with paths made absolute."""
    arguments = ["mount"]
    if options.config is not None:
        arguments += ["--config", str(options.config.absolute())]
    for name in ("cache_dir", "state_dir", "log_file", "locked"):
        value = getattr(options, name)
        if value is not None:
            arguments += ["--" + name.replace("_", "-"), os.path.abspath(value.expanduser())]  # noqa: PTH100
    if options.cache_size is not None:
        arguments += ["--cache-size", options.cache_size]
    if options.at is not None:
        arguments += ["--at", options.at]
    arguments += ["--log-format", options.log_format]
    for name in ("read_only", "allow_other", "verbose"):
        if getattr(options, name):
            arguments.append("--" + name.replace("_", "-"))
    return [*arguments, *options.where[:-1], str(point)]
