"""Web roots and addresses, rich and poor: what is read is what the server has, or an error."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webservers import LIARS_TRUTH, NAME, SECRET, TOKEN, liar, nginx, python_server
from vstorefs import errors
from vstorefs.model import EntryKind, Key, VersionId, Write, WriteId
from vstorefs.stores.registry import Settings, resolve
from vstorefs.stores.web.store import WebStore

pytestmark = pytest.mark.stores

DATA = os.urandom(5 << 20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    (root / "data.bin").write_bytes(DATA)
    (root / "a b").mkdir()
    (root / "a b/ü & c.csv").write_text("x,y\n1,2\n")
    (root / "empty").touch()
    (root / "home").mkdir()
    (root / "home/index.html").write_text('<h1>Welcome</h1><a href="picture.png">see</a>')
    (root / "home/picture.png").write_bytes(b"png")
    (root / "table.csv.gz").write_bytes(gzip.compress(b"x" * 5000))
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[str]:
    with nginx(tmp_path_factory.mktemp("nginx"), root) as url:
        yield url


@pytest.fixture(scope="module")
def poor_server(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[str]:
    with python_server(tmp_path_factory.mktemp("python"), root) as url:
        yield url


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def opened(url: str, **settings: object) -> WebStore:
    return WebStore(resolve("web", url, Settings(**settings), environ={}))  # type: ignore[arg-type]


def read(store: WebStore, name: str, start: int = 0, end: int | None = None) -> bytes:
    found = store.stat(Key(name))
    return b"".join(store.read(Key(name), found.token, start, found.size if end is None else end))


def names(store: WebStore, directory: str = "") -> dict[str, EntryKind]:
    return {one.key: one.kind for page in store.list(Key(directory)) for one in page.entries}


WEB = {"nginx": "", "nginx-poor": "poor/", "nginx-nameless": "nameless/", "python": None}
"""Kinds of server, and where below nginx' root they are found."""


@pytest.fixture(params=WEB)
def kind(request: pytest.FixtureRequest) -> str:
    request.node.user_properties.append(("kind", request.param))
    return str(request.param)


@pytest.fixture
def store(kind: str, server: str, poor_server: str) -> Iterator[WebStore]:
    below = WEB[kind]
    found = opened(poor_server if below is None else f"{server}{below}")
    yield found
    found.close()


def test_a_web_root_is_listed(store: WebStore) -> None:
    assert names(store) == {
        "data.bin": EntryKind.FILE,
        "empty": EntryKind.FILE,
        "table.csv.gz": EntryKind.FILE,
        "a b": EntryKind.DIRECTORY,
        "home": EntryKind.DIRECTORY,
    }
    assert names(store, "a b") == {"a b/ü & c.csv": EntryKind.FILE}
    with pytest.raises(errors.NotFound):
        list(store.list(Key("nothing")))


def test_files_are_read(store: WebStore) -> None:
    assert read(store, "a b/ü & c.csv") == b"x,y\n1,2\n"
    assert read(store, "empty") == b""
    assert read(store, "data.bin") == DATA
    for missing in ("nothing", "a b"):
        with pytest.raises(errors.NotFound):
            store.stat(Key(missing))


def test_ranges_at_every_border(store: WebStore) -> None:
    size = len(DATA)
    for start, end in [(0, 1), (size - 1, size), (1 << 20, 2 << 20), (7, 7), (1, size)]:
        assert read(store, "data.bin", start, end) == DATA[start:end]


def test_a_token_says_how_sure_it_is(store: WebStore, kind: str) -> None:
    found = store.stat(Key("data.bin"))
    # By an ETag, or by the content's own hash; by time and length it is weak.
    assert found.strong == (kind in {"nginx", "nginx-nameless"})
    assert store.stat(Key("data.bin")).token == found.token
    assert found.token != store.stat(Key("table.csv.gz")).token


def test_content_that_changed_is_never_mixed(store: WebStore, root: Path) -> None:
    (root / "moving").write_bytes(b"a" * 1000)
    os.utime(root / "moving", (1_600_000_000, 1_600_000_000))
    try:
        before = store.stat(Key("moving"))
        (root / "moving").write_bytes(b"b" * 1000)
        with pytest.raises(errors.Changed):
            list(store.read(Key("moving"), before.token, 0, 1000))
        assert read(store, "moving") == b"b" * 1000
    finally:
        (root / "moving").unlink()


def test_nothing_can_be_written(store: WebStore, tmp_path: Path) -> None:
    assert not store.capabilities().writable
    (tmp_path / "new").write_bytes(b"x")
    write = Write(WriteId("w"), VersionId("v"), 1, None, size=1)
    with pytest.raises(errors.NotSupported):
        store.put(Key("new"), tmp_path / "new", write)


def test_many_readers_at_once(store: WebStore) -> None:
    found: dict[int, bytes] = {}

    def part(start: int) -> None:
        found[start] = read(store, "data.bin", start, min(start + (1 << 20), len(DATA)))

    threads = [threading.Thread(target=part, args=(at,)) for at in range(0, len(DATA), 1 << 20)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join()
    assert b"".join(found[at] for at in sorted(found)) == DATA


def test_without_an_index_files_are_found_by_name(server: str) -> None:
    store = opened(f"{server}noindex/")
    (page,) = store.list(Key(""))
    assert (page.entries, page.complete) == ((), False)
    assert read(store, "data.bin", 0, 100) == DATA[:100]
    # A page that is somebody's home is no index, whatever it links to.
    (page,) = store.list(Key("home"))
    assert (page.entries, page.complete) == ((), False)


@pytest.mark.parametrize("where", ["nameless", "zipped", "moved"])
def test_the_bytes_are_the_files_own(server: str, where: str, root: Path) -> None:
    store = opened(f"{server}{where}/")
    for name in ("a b/ü & c.csv", "data.bin", "table.csv.gz"):
        assert read(store, name) == (root / name).read_bytes()
    assert read(store, "data.bin", 5, 50) == DATA[5:50]


def test_what_a_server_packs_is_unpacked(server: str) -> None:
    assert read(opened(f"{server}packed/"), "table.csv.gz") == b"x" * 5000


def test_single_addresses_have_names(server: str) -> None:
    files = (
        ("gone.csv", f"{server}nothing"),
        ("train.bin", f"{server}data.bin"),
        ("x.csv", f"{server}a%20b/%C3%BC%20%26%20c.csv"),
    )
    store = opened("https://files/", files=files)
    (page,) = store.list(Key(""))
    assert {one.key for one in page.entries} == {"train.bin", "x.csv"}
    assert [one.key for one in page.unshown] == ["gone.csv"]
    assert read(store, "train.bin") == DATA
    with pytest.raises(errors.NotFound):
        store.stat(Key("other"))


def test_what_a_server_says_wrongly_never_makes_a_wrong_file() -> None:
    with liar() as url:
        store = opened(url)
        found = store.stat(Key("short"))
        with pytest.raises(errors.Unavailable, match="ended the content early"):
            list(store.read(Key("short"), found.token, 0, found.size))
        with pytest.raises(errors.Unavailable, match="ended the content early"):
            list(store.read(Key("short-range"), store.stat(Key("short-range")).token, 0, 1000))
        with pytest.raises(errors.Changed):
            list(store.read(Key("shrunk"), store.stat(Key("shrunk")).token, 0, 1000))
        with pytest.raises(errors.Changed):
            list(store.read(Key("other-range"), store.stat(Key("other-range")).token, 5, 100))
        for name in ("no-number", "no-length"):
            assert read(store, name) == LIARS_TRUTH
        # What comes after the end that was named is nobody's answer.
        assert read(store, "long") == LIARS_TRUTH
        assert read(store, "honest") == LIARS_TRUTH


def test_credentials_come_from_netrc(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.Denied) as caught:
        opened(f"{server}secret/").capabilities()
    assert "netrc" in str(caught.value)
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    netrc.write_text(f"machine 127.0.0.1 login {NAME} password {SECRET}\n")
    netrc.chmod(0o600)
    assert read(opened(f"{server}secret/"), "data.bin", 0, 9) == DATA[:9]
    with pytest.raises(errors.Denied):
        opened(f"{server}secret/", anonymous=True).capabilities()
    netrc.write_text(f"machine 127.0.0.1 login bearer password {TOKEN}\n")
    assert read(opened(f"{server}token/"), "data.bin", 0, 9) == DATA[:9]


def test_servers_that_fail_say_so(server: str) -> None:
    with pytest.raises(errors.Throttled):
        opened(f"{server}down/").capabilities()
    with pytest.raises(errors.NotFound):
        opened(f"{server}circle/").stat(Key("data.bin"))
    with pytest.raises(errors.Unavailable):
        opened("http://127.0.0.1:9/").capabilities()
