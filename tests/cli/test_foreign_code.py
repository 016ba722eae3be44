"""Nothing that lies in the working directory is run by a command of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.mounts import Host
from tests.support.processes import ROOT

TRAPS = ("tomllib.py", "json.py", "socket.py", "trio.py", "lmdb.py", "vstorefs/cli/main.py")


def test_modules_in_the_working_directory_are_not_imported(one_host: Host, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    here = tmp_path / "here"
    for name in TRAPS:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"open({str(ran)!r}, 'a').write('x')\nraise SystemExit(7)\n")
    for folder in ("vstorefs", "vstorefs/cli"):
        (here / folder / "__init__.py").write_text("")

    def command(*arguments: str | Path) -> str:
        # As bin/vstorefs starts it; what is started from there is the command's own doing.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "vstorefs.cli.main", *map(str, arguments)],
            env={**one_host.env, "PYTHONPATH": str(ROOT)},
            cwd=here,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout

    point = one_host.folder / "mnt"
    command("mount", "--log-file", one_host.folder / "log", point)
    one_host.points.append(point)
    (point / "f").write_text("x")
    assert "pending: 0" in command("status")
    command("run", "--mount", point, "--", "cat", point / "f")
    command("umount", point)
    assert not ran.exists()


def test_the_start_script_takes_no_module_from_the_working_directory() -> None:
    start = (ROOT / "bin/vstorefs").read_text()
    assert '/.venv/bin/python" -P -m vstorefs.cli.main "$@"' in start
