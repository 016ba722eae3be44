"""What recording costs: 5,000 cached files read within `vstorefs run` and without. `python -m bench.runs`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.mounts import host
from tests.support.processes import ROOT

_FILES = 5000
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
_READ = """
import sys, time
from pathlib import Path
files = sorted(Path(sys.argv[1]).iterdir())
began = time.perf_counter()
for file in files:
    file.read_bytes()
print(time.perf_counter() - began)
"""


def main() -> None:
    """Print medians, and the ratio pair by pair."""
    with tempfile.TemporaryDirectory() as text, host(Path(text) / "host") as one:
        store = Path(text) / "store"
        store.mkdir()
        for number in range(_FILES):
            (store / f"{number:05d}").write_bytes(os.urandom(4096))
            os.utime(store / f"{number:05d}", (1_700_000_000, 1_700_000_000))
        mount = one.mount(store.as_uri())
        script = Path(text) / "read.py"
        script.write_text(_READ)
        plain = [sys.executable, str(script), str(mount.path)]
        run = [sys.executable, "-m", "vstorefs.cli.main", "run", "--mount", str(mount.path), "--"]
        env = one.env | {"PYTHONPATH": str(ROOT)}

        def seconds(command: list[str]) -> float:
            result = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            return float(result.stdout)

        seconds(plain)
        pairs = [(seconds([*run, *plain]), seconds(plain)) for _ in range(_ROUNDS)]
    within = statistics.median(pair[0] for pair in pairs)
    without = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    print(
        f"{_FILES} cached files: {within:.2f} s in a run, {without:.2f} s without, ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
