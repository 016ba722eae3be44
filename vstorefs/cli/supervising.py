"""Runs a command with its whole process tree: signals go through, orphans are taken in, the exit status comes back.

The kernel gives orphans of the tree to this process (a subreaper), so that a process that forked twice stays in the
tree for as long as it lives. The run ends when the last of them has. What the terminal sends to a whole group has
reached the command already; what somebody sends to this process is passed on.

Source: prctl(2), PR_SET_CHILD_SUBREAPER; signal(7); sigaction(2), SI_KERNEL.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from vstorefs import errors
from vstorefs.cli.output import note_line

_SET_CHILD_SUBREAPER = 36
_FROM_KERNEL = 0x80
_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_NOT_FOUND, _NOT_RUNNABLE, _SIGNALLED = 127, 126, 128


def adopt_orphans() -> None:
    """From now on orphans among this process's descendants become its children."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise errors.VstorefsError(
            f"cannot adopt orphaned child processes: {os.strerror(ctypes.get_errno())}"
        )


def supervise(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command until its whole tree has ended; gives its exit status, 128 + n where signal n ended it."""
    # Whoever started us may ignore the ends of its children, and so would we: none would be told.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    watched = {signal.SIGCHLD, *_PASSED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509 — one thread only
        )
    except FileNotFoundError:
        note_line(f"vstorefs: command not found: {command[0]}")
        return _NOT_FOUND
    except OSError as error:
        note_line(f"vstorefs: cannot run {command[0]!r}: {error.strerror}")
        return _NOT_RUNNABLE
    status = _watch(process.pid, watched)
    # ^C ends the wait for what follows; other signals must not leave a mount behind.
    while signal.sigtimedwait({signal.SIGINT}, 0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT} - before)
    return status


def _watch(command: int, watched: set[signal.Signals]) -> int:
    status: int | None = None
    while True:
        ended, is_last = _reap(command)
        if ended is not None:
            status = ended
            if not is_last:
                note_line(
                    "vstorefs: the command has ended; waiting for its background processes (Ctrl-C stops waiting)"
                )
        if is_last:
            return status if status is not None else 0
        info = signal.sigwaitinfo(watched)
        if info.si_signo == signal.SIGCHLD:
            continue
        if status is not None:
            return status
        if info.si_code != _FROM_KERNEL:
            with contextlib.suppress(ProcessLookupError):
                os.kill(command, info.si_signo)


def _reap(command: int) -> tuple[int | None, bool]:
    """Take note of children that have ended: the command's exit status, if it is among them; whether none is left."""
    status = None
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, True
        if pid == 0:
            return status, False
        if pid == command:
            code = os.waitstatus_to_exitcode(how)
            status = code if code >= 0 else _SIGNALLED - code
