"""What a command costs before it does anything: `status` of nothing, and `--help`. `python -m bench.startup`.

Each as a ratio to the start of Python itself, in CPU time, which other work on the machine changes little; the least
of many turns, as nothing makes a start faster than it is. With `--against DIRECTORY`, or $VSTOREFS_AGAINST, the same
commands of another checkout take turns with these.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_TURNS = 30
_COMMANDS = (("status",), ("--help",))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path, default=os.environ.get("VSTOREFS_AGAINST"))
    against = parser.parse_args().against
    roots = [_ROOT, *([Path(against)] if against else [])]
    lines: dict[tuple[str, Path | None], list[str]] = {("python -c pass", None): ["-c", "pass"]}
    for words in _COMMANDS:
        for root in roots:
            lines[" ".join(words), root] = ["-m", "vstorefs.cli.main", *words]
    least = dict.fromkeys(lines, float("inf"))
    with tempfile.TemporaryDirectory() as home:
        for _ in range(_TURNS):
            for what, arguments in lines.items():
                least[what] = min(least[what], _cpu_s(arguments, what[1], home))
    bare = least["python -c pass", None]
    print("CPU milliseconds, and how many times the start of Python:")
    for (line, where), seconds in least.items():
        told = f"  in {where}" if where is not None else ""
        print(f"{line:15}{seconds * 1000:6.0f}  × {seconds / bare:.1f}{told}")
    for line in map(" ".join, _COMMANDS) if against else ():
        ratio = least[line, roots[0]] / least[line, roots[1]]
        print(f"{line}: {ratio:.2f} of what it costs in {roots[1]}")


def _cpu_s(arguments: list[str], root: Path | None, home: str) -> float:
    env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home}
    if root is not None:
        env["PYTHONPATH"] = str(root)
    before = _used_s()
    subprocess.run(
        [sys.executable, *arguments], check=True, env=env, cwd=home, stdout=subprocess.DEVNULL
    )
    return _used_s() - before


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
