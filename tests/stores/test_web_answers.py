"""What web servers answer that cannot be true, or is refused to one method only: files are shown all the same."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.scripted import Asked, Said, Script, scripted
from vstorefs import errors
from vstorefs.model import Key
from vstorefs.stores.registry import Settings, resolve
from vstorefs.stores.web.store import WebStore

pytestmark = pytest.mark.stores

CONTENT = bytes(range(250)) * 40
STAMP = {"Last-Modified": "Sun, 01 Nov 2026 10:00:00 GMT"}
NAMED = {"ETag": '"e1"'}


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def opened(url: str, **files: str) -> WebStore:
    settings = Settings(files=tuple((name, url + path) for name, path in files.items()))
    return WebStore(resolve("web", f"{url}/", settings, environ={}))


def given(asked: Asked, told: Mapping[str, str], content: bytes = CONTENT) -> Said:
    """A content as a good server gives it, whole or a range of it."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", ""))
    if found is None:
        return Said(200, content, told)
    start, end = int(found[1]), min(int(found[2]), len(content) - 1)
    if start >= len(content):
        return Said(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    where = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
    return Said(206, content[start : end + 1], {**told, **where})


def index(*names: str) -> Said:
    links = "".join(f'<a href="{name}">{name}</a>' for name in names)
    page = f"<title>Index of /</title>{links}".encode()
    return Said(200, page, {"Content-Type": "text/html"})


def whole(store: WebStore, name: str = "f") -> bytes:
    found = store.stat(Key(name))
    return b"".join(store.read(Key(name), found.token, 0, found.size))


def shown(store: WebStore) -> dict[str, int]:
    return {one.key: one.size for page in store.list(Key("")) for one in page.entries}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
@pytest.mark.parametrize("told", [STAMP, NAMED, {}], ids=["time", "etag", "nothing"])
def test_what_only_get_gives_is_shown(status: int, told: Mapping[str, str]) -> None:
    def script(asked: Asked) -> Said:
        return Said(status) if asked.method == "HEAD" else given(asked, told)

    with scripted(script) as url:
        store = opened(url, f="/f?signature=x")
        assert shown(store) == {"f": len(CONTENT)}
        assert whole(store) == CONTENT
        store.close()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("content", [CONTENT, b"", b"x"], ids=["long", "empty", "one byte"])
def test_a_length_of_nought_is_asked_about(content: bytes, ranges: bool) -> None:
    def script(asked: Asked) -> Said:
        if asked.method == "HEAD":
            return Said(200, b"", STAMP)
        return given(asked, STAMP, content) if ranges else Said(200, content, STAMP)

    with scripted(script) as url:
        store = opened(url)
        assert store.stat(Key("f")).size == len(content)
        assert whole(store) == content
        store.close()


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Mon, 01 Jan 1601 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", (1 << 63) // 10**9 - 1),
        ("never", 0),
        ("", 0),
        ("Sun, 01 Nov 2026 10:00:00 +99999999999999", 0),
        ("Sun, 01 Nov 2026 10:00:00 GMT", 1_793_527_200),
    ],
)
def test_a_time_that_no_file_has_is_clamped(date: str, seconds: int) -> None:
    def script(asked: Asked) -> Said:
        return index("f", "g") if asked.path == "/" else given(asked, {"Last-Modified": date})

    with scripted(script) as url:
        store = opened(url)
        (page,) = store.list(Key(""))
        assert [one.mtime_ns // 10**9 for one in page.entries] == [seconds] * 2
        assert [len(history) for _, history in store.histories(Key(""))] == [1, 1]
        assert whole(store) == CONTENT
        store.close()


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 25, "-5", "\u00b2"])
def test_a_length_that_no_content_has_is_counted(length: str) -> None:
    def script(asked: Asked) -> Said:
        if asked.method == "HEAD":
            return Said(200, b"", {"Content-Length": length.encode().decode("latin-1"), **NAMED})
        return given(asked, NAMED)

    with scripted(script) as url:
        store = opened(url)
        assert store.stat(Key("f")).size == len(CONTENT)
        store.close()


@pytest.mark.parametrize("status", [503, 500, 429])
def test_one_file_that_is_away_leaves_the_others(status: int) -> None:
    def script(asked: Asked) -> Said:
        if asked.path == "/":
            return index("away", "here")
        return Said(status) if asked.path == "/away" else given(asked, NAMED)

    with scripted(script) as url:
        store = opened(url)
        store.capabilities()
        (page,) = store.list(Key(""))
        assert [one.key for one in page.entries] == ["here"]
        assert not page.complete
        with pytest.raises(errors.RETRIED):
            store.stat(Key("away"))
        # A history that leaves a file out would be a wrong one.
        with pytest.raises(errors.RETRIED):
            list(store.histories(Key("")))
        store.close()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 414, 418])
def test_one_file_that_is_refused_is_named(status: int) -> None:
    def script(asked: Asked) -> Said:
        if asked.path == "/":
            return index("refused", "here")
        return Said(status) if asked.path == "/refused" else given(asked, NAMED)

    with scripted(script) as url:
        store = opened(url)
        (page,) = store.list(Key(""))
        assert [one.key for one in page.entries] == ["here"]
        assert [one.key for one in page.unshown] == ["refused"]
        store.close()


def test_a_name_that_an_index_hides_is_found() -> None:
    def script(asked: Asked) -> Said:
        found = {"/": index("f"), "/f": given(asked, NAMED), "/.zgroup": given(asked, NAMED)}
        return found.get(asked.path, Said(404))

    with scripted(script) as url:
        store = opened(url)
        (page,) = store.list(Key(""))
        assert not page.complete
        assert whole(store, ".zgroup") == CONTENT
        with pytest.raises(errors.NotFound):
            store.stat(Key(".zarray"))
        store.close()


@pytest.mark.parametrize("status", [404, 410])
def test_an_address_that_is_none_is_refused(status: int) -> None:
    with scripted(lambda _: Said(status)) as url:
        store = opened(url)
        with pytest.raises(errors.NotFound, match="nothing at"):
            store.capabilities()
        store.close()


@pytest.mark.parametrize("status", [200, 403, 405])
def test_an_address_without_an_index_is_none(status: int) -> None:
    script: Script = lambda asked: Said(status) if asked.path == "/" else given(asked, NAMED)  # noqa: E731
    with scripted(script) as url:
        store = opened(url)
        assert not store.capabilities().writable
        assert whole(store) == CONTENT
        store.close()


def test_what_unpacks_to_very_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vstorefs.stores.web.store._LARGEST_WHOLE", 1 << 20)
    packed = gzip.compress(bytes(3 << 20))

    def script(asked: Asked) -> Said:
        if asked.path == "/":
            return index("bomb", "f")
        if asked.path == "/f":
            return given(asked, NAMED)
        return Said(200, packed, {"Content-Encoding": "gzip", **NAMED})

    with scripted(script) as url:
        store = opened(url)
        assert shown(store) == {"f": len(CONTENT)}
        with pytest.raises(errors.NotSupported):
            store.stat(Key("bomb"))
        store.close()
