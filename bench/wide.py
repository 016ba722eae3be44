"""Walking through many files in many folders, on each kind of store: completeness, memory, requests, seconds.

`python -m bench.wide [DIRECTORIES [FILES]]`, by default 1,000 folders of 100 files. The servers are those of the
tests; every request passes a counting proxy.
"""

from __future__ import annotations

import contextlib
import json
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
    numbers = [int(one) for one in sys.argv[1:]]
    directories, files = [*numbers, 1000, 100][:2] if len(numbers) != 1 else (numbers[0], 100)
    names = names_of(directories, files)
    print(f"{len(names)} files in {directories} folders")
    for kind in ("file", "web", "gcs", "azure", "s3", "swift"):
        with tempfile.TemporaryDirectory() as text, place_of(kind, Path(text)) as (where, shown):
            folder = Path(text)
            began = time.monotonic()
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
                    f"for {directories + 1} folders, {memory} MiB in all processes",
                    flush=True,
                )
            if gate is not None:
                gate.shut()


if __name__ == "__main__":
    main()
