"""From `vstorefs mount` to a mount that answers, on each kind of store. `python -m bench.start`."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench.wide import place_of
from tests.support.mounts import host

_TURNS = 5


def main() -> None:
    print("seconds from `vstorefs mount` to a listing of the mount: median, slowest")
    for kind in ("file", "web", "gcs", "azure", "s3", "swift"):
        with tempfile.TemporaryDirectory() as text, place_of(kind, Path(text)) as (_, shown):
            took = []
            with host(Path(text) / "host", shown.env) as one:
                for turn in range(_TURNS):
                    began = time.monotonic()
                    mount = one.mount(shown.url, name=f"mnt{turn}")
                    list(mount.path.iterdir())
                    took.append(time.monotonic() - began)
                    mount.umount()
                one.urls.clear()
            print(f"{kind}: {statistics.median(took):.2f}, {max(took):.2f}", flush=True)


if __name__ == "__main__":
    main()
