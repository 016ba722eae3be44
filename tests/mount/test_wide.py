"""Many files in many folders: all of them, each once, with two listings a folder and little memory."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.mount.kinds import WRITABLE, Place, web_root
from tests.support.mounts import host
from tests.support.paused import Gate
from tests.support.wide import anonymous_bytes, fill, names_of, walked

pytestmark = [pytest.mark.mount, pytest.mark.stores]

DIRECTORIES, FILES = 30, 40
KINDS = [kind for kind in WRITABLE if kind != "s3-native"]


def requests(gate: Gate) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{gate.port}/__counts__") as answer:
        counts = json.load(answer)
    return sum(count for name, count in counts.items() if not name.startswith("LIST "))


@pytest.mark.parametrize("kind", [*KINDS, "web"])
def test_everything_is_found_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    names = names_of(DIRECTORIES, FILES)
    place: Place
    if kind == "web":
        root = tmp_path / "root"
        root.mkdir()
        fill(root.as_uri(), {}, names)
        for name in names:
            # Of an empty file a server is asked twice: some say 0 of what they do not know.
            (root / name).write_bytes(b"x")
        place = web_root(request, root)
    else:
        place = WRITABLE[kind](request)
        fill(place.url, place.env, names)
    gate = None
    if place.port is not None:
        gate = Gate(tmp_path, place.port)
        gate.open()
        request.addfinalizer(gate.shut)
        place = place.through(gate.port)
    with host(tmp_path / "host", place.env) as one:
        mount = one.mount(place.url)
        assert sorted(walked(mount)) == names
        assert anonymous_bytes(mount) < 300 << 20
        if gate is not None:
            folders = DIRECTORIES + 1
            asked = requests(gate)
            # A web server's page does not tell sizes and tokens: each file is asked for. So is an empty one on Swift,
            # which may be the manifest of a large object, and all of these are empty.
            one_by_one = kind == "web" or kind.startswith("swift")
            most = 2 * folders + (len(names) if one_by_one else 0)
            # As a mount begins, each worker asks for a token, what the store is and how long its pages are, and one for
            # what other hosts wrote into the ledger.
            assert asked <= most + 16, asked
