"""Walking through many files in many folders, on each kind of store: completeness, memory, requests, seconds.

`python -m bench.wide [--directories N] [--files N] [KIND ...]`, by default 1,000 folders of 100 files, on every kind.
The servers are those of the tests; every request passes a counting proxy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.mount.kinds import Place
from tests.support.azureserver import azurite
from tests.support.gcsserver import gcs
from tests.support.mounts import host
from tests.support.paused import Gate
from tests.support.radosgw import radosgw
from tests.support.swiftserver import swift
from tests.support.webservers import nginx
from tests.support.wide import anonymous_bytes, fill, names_of, walked

KINDS = ["file", "web", "gcs", "azure", "s3", "swift"]


@contextlib.contextmanager
def place_of(kind: str, folder: Path) -> Iterator[tuple[Place, Place]]:
    """Where to put files of one kind, and where to read them."""
    name = f"w{uuid.uuid4().hex[:12]}"
    root = folder / "root"
    root.mkdir()
    with contextlib.ExitStack() as stack:
        match kind:
            case "file":
                place = Place(root.as_uri())
                yield place, place
                return
            case "web":
                yield Place(root.as_uri()), Place(stack.enter_context(nginx(folder, root)))
                return
            case "s3":
                s3 = stack.enter_context(radosgw(folder))
                s3.bucket(name)
                place = Place(f"s3://{name}", s3.env)
            case "gcs":
                google = stack.enter_context(gcs(folder))
                google.bucket(name)
                place = Place(f"gs://{name}", google.env)
            case "azure":
                azure = stack.enter_context(azurite(folder))
                azure.container(name)
                place = Place(f"az://{name}", azure.env)
            case _:
                openstack = stack.enter_context(swift(folder))
                openstack.container(name)
                place = Place(f"swift://{name}", openstack.env)
        yield place, place


def requests(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/__counts__") as answer:
        counts = json.load(answer)
    return sum(count for name, count in counts.items() if not name.startswith("LIST "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directories", type=int, default=1000)
    parser.add_argument("--files", type=int, default=100, help="in each directory")
    parser.add_argument("kinds", nargs="*", choices=KINDS, default=KINDS, metavar="KIND")
    chosen = parser.parse_args()
    names = names_of(chosen.directories, chosen.files)
    print(f"{len(names)} files in {chosen.directories} folders")
    for kind in chosen.kinds:
        with tempfile.TemporaryDirectory() as text, place_of(kind, Path(text)) as (where, shown):
            folder = Path(text)
            began = time.monotonic()
            if kind == "swift":
                subprocess.run(
                    [
                        *(sys.executable, "-m", "tests.support.swiftrows"),
                        *(folder, where.url.removeprefix("swift://")),
                    ],
                    input="\n".join(names),
                    text=True,
                    check=True,
                )
            else:
                fill(where.url, where.env, names)
            filled = time.monotonic() - began
            gate = Gate(folder, shown.port) if shown.port is not None else None
            if gate is not None:
                gate.open()
            behind = shown.through(gate.port) if gate is not None else shown
            with host(folder / "host", behind.env) as one:
                mount = one.mount(behind.url)
                one.urls.clear()
                before = requests(gate.port) if gate is not None else 0
                began = time.monotonic()
                found = walked(mount)
                took = time.monotonic() - began
                asked = requests(gate.port) - before if gate is not None else 0
                memory = anonymous_bytes(mount) >> 20
                assert sorted(found) == names, f"{len(found)} of {len(names)}"
                print(
                    f"{kind}: filled in {filled:.0f} s; walked in {took:.1f} s, {asked} requests "
                    f"for {chosen.directories + 1} folders, {memory} MiB in all processes",
                    flush=True,
                )
            if gate is not None:
                gate.shut()


if __name__ == "__main__":
    main()
