"""The `http` and `https` kinds: a web root, or a list of single addresses; read-only by nature.

A directory is listed where the server gives an index page; what that does not name, and all where there is
none, is found by its name. What a file is, a HEAD tells, or a GET of its first byte where HEAD is refused
or tells of no content. A token is a strong ETag; else what Last-Modified and the length say (weak);
where a server gives neither, or packs what it sends, the content itself is read and its hash is the token.
"""

from __future__ import annotations

import hashlib
import tempfile
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from vstorefs import errors
from vstorefs.checksums import Told
from vstorefs.model import (
    Capabilities,
    Entry,
    EntryKind,
    Key,
    StoreSpec,
    Token,
    Unshown,
    Version,
    VersionId,
    VersionKind,
    join,
)
from vstorefs.stores.base import Page
from vstorefs.stores.http_errors import kind_of_status, refusal
from vstorefs.stores.readonly import ReadOnly
from vstorefs.stores.web import headers as header
from vstorefs.stores.web.index import names_in
from vstorefs.stores.web.session import open_session, translated
from vstorefs.stores.web.streams import Streams

_BLOCK = 1 << 20
_AT_ONCE = 16
_IN_MEMORY = 64 << 20
_LARGEST_INDEX = 64 << 20
_BY_TIME = "time-"
_BY_CONTENT = "sha256-"
_LARGEST_WHOLE = 1 << 30
_ONE_BYTE = {"Range": "bytes=0-0"}
_NOT_IMPLEMENTED = 501
_TOO_MANY = 429
_GONE = {404, 410}
_NO_INDEX = {403, 404, 405, 410}
_CHANGED = {412, 416}

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Files and folders of a directory."""


class WebStore(ReadOnly):
    """One web root, or one list of addresses."""

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self._files = dict(spec.files)
        self._session = open_session(spec)
        self._streams = Streams(self._get)

    def capabilities(self) -> Capabilities:
        """See `base.Store`. The server must answer; whether it lists is found out at each directory.

        Raises: NotFound, too, where the address itself is none.
        """
        if not self._files:
            self._index(Key(""), there=True)
        return Capabilities(
            writable=False, why_read_only="web addresses can only be read", layout="web"
        )

    # --- looking

    def look(self) -> None:
        """See `base.Store`. Whatever the server says of an address but that it fails itself is an answer."""
        key = Key(next(iter(self._files), ""))
        with (
            translated(self.spec.alias, "", "look"),
            self._session.head(self._address(key), allow_redirects=True) as answer,
        ):
            if kind_of_status(answer.status_code) in errors.RETRIED:
                self._accept(answer, Key(""), "look")

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`. Sizes and tokens are what a HEAD of each file says.

        No index is complete: servers leave names out of it that they serve. A file about which nothing is
        known now is left out too, and is found by its name.
        """
        yield self._page(directory, whole=False)

    def _page(self, directory: Key, *, whole: bool) -> Page:
        """A directory. `whole`: that nothing is known now about one file of an index is an error."""
        found = self._named(directory) if self._files else self._index(directory)
        if found is None:
            return Page((), complete=False)
        names, folders = found
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listed = tuple(pool.map(lambda name: self._listed(join(directory, name)), names))
        failed = [one for one in listed if isinstance(one, errors.StoreError)]
        if whole and failed and not self._files:
            raise failed[0]
        entries = [one for one in listed if isinstance(one, Entry)]
        entries += [Entry(join(directory, name), EntryKind.DIRECTORY) for name in folders]
        unshown = tuple(one for one in listed if isinstance(one, Unshown))
        complete = bool(self._files) and not failed
        return Page(tuple(entries), complete=complete, unshown=unshown)

    def _named(self, directory: Key) -> Names:
        return (() if directory else tuple(self._files)), ()

    def _index(self, directory: Key, *, there: bool = False) -> Names | None:
        """Files and directories of an index page; None where the server gives none.

        `there`: the root, too, must be there.
        Raises: NotFound for a directory that is not there, where that can be told; a StoreError.
        """
        url = self._address(Key(f"{directory}/" if directory else ""))
        with (
            translated(self.spec.alias, directory, "list"),
            self._get(url, {}) as answer,
        ):
            if answer.status_code in _GONE and there:
                raise errors.NotFound(
                    f"the server has nothing at {url} ({answer.status_code}); correct the address, or name "
                    "the addresses of single files in a project file",
                    store=self.spec.alias,
                    operation="list",
                )
            if answer.status_code in _GONE and directory:
                raise errors.NotFound(
                    "no such directory", store=self.spec.alias, key=directory, operation="list"
                )
            if answer.status_code in _NO_INDEX:
                return None
            self._accept(answer, directory, "list")
            if "html" not in answer.headers.get("Content-Type", ""):
                return None
            page = answer.raw.read(_LARGEST_INDEX, decode_content=True)
            return names_in(page.decode(answer.encoding or "utf-8", "replace"), answer.url)

    def _listed(self, key: Key) -> Entry | Unshown | errors.StoreError:
        """A file of an index or list; an error where it is not known now whether it is there."""
        try:
            found = self.stat(key)
        except (errors.Unavailable, errors.Throttled) as error:
            return error
        except errors.StoreError as error:
            return Unshown(key, error.message)
        return Entry(
            key, EntryKind.FILE, found.size, found.mtime_ns, found.token, found.strong, found.id
        )

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        url = self._address(key)
        with translated(self.spec.alias, key, "stat"), self._head(url) as answer:
            if answer.url.endswith("/") and not url.endswith("/"):
                raise errors.NotFound(
                    "that is a directory", store=self.spec.alias, key=key, operation="stat"
                )
            self._accept(answer, key, "stat")
            found = self._described(key, answer)
        if version is not None and version != found.id:
            raise errors.NotFound(
                "the server has no such version any more",
                store=self.spec.alias,
                key=key,
                operation="stat",
            )
        return found

    def _head(self, url: str) -> requests.Response:
        """The answer that tells of a content: to a HEAD, else to a GET of one byte, else to one of all.

        Servers that sign addresses refuse HEAD, and some answer it with the length of what it sends.
        """
        answer = self._session.head(url, allow_redirects=True)
        if header.length(answer.headers) if answer.ok else _is_final(answer.status_code):
            return answer
        answer.close()
        answer = self._get(url, _ONE_BYTE)
        if answer.status_code not in _CHANGED:
            return answer
        answer.close()
        return self._get(url, {})

    def _described(self, key: Key, answer: requests.Response) -> Version:
        modified, length = header.seconds(answer.headers), header.length(answer.headers)
        etag = answer.headers.get("ETag", "")
        named = header.is_strong(etag) or modified is not None
        if header.is_packed(answer.headers) or length is None or not named:
            with self._content(self._address(key), key) as (_, digest, size):
                token, strong = Token(_BY_CONTENT + digest), True
        elif header.is_strong(etag):
            token, strong, size = Token(etag.strip('"')), True, length
        else:
            token, strong, size = Token(f"{_BY_TIME}{modified}-{length}"), False, length
        mtime_ns = header.nanoseconds(modified)
        version = VersionId(hashlib.sha256(f"{key}\0{token}".encode()).hexdigest()[:26])
        return Version(
            key,
            version,
            VersionKind.CONTENT,
            mtime_ns,
            token,
            strong,
            size,
            mtime_ns,
            is_head=True,
        )

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`. What the server has now is all that it tells."""
        try:
            return (self.stat(key),)
        except errors.NotFound:
            return ()

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        page = self._page(directory, whole=True)
        yield from (one.key for one in page.entries if one.kind is EntryKind.FILE)

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        yield from (one.key for one in self._files_below(directory))

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. What the server has now is all that it tells."""
        for one in sorted(self._files_below(directory), key=lambda entry: entry.key):
            yield one.key, (_head_of(one),)

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`. Only what has not changed since is known."""
        for one in self._files_below(directory):
            if one.mtime_ns <= moment_ns:
                yield one

    def _files_below(self, directory: Key) -> Iterator[Entry]:
        left = [directory]
        while left:
            page = self._page(left.pop(), whole=True)
            found = sorted(page.entries, key=lambda entry: entry.key)
            yield from (one for one in found if one.kind is not EntryKind.DIRECTORY)
            left += [one.key for one in reversed(found) if one.kind is EntryKind.DIRECTORY]

    # --- reading

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: VersionId | None = None,
        told: Told | None = None,
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        del version
        if start >= end:
            return
        url = self._address(key)
        with translated(self.spec.alias, key, "read"):
            if token.startswith(_BY_CONTENT):
                yield from self._read_by_content(url, key, token, start, end)
                return
            headers = {"Range": f"bytes={start}-{end - 1}"}
            if not token.startswith(_BY_TIME):
                headers["If-Match"] = f'"{token}"'
            answer = self._get(url, headers)
            try:
                if answer.status_code in _CHANGED:
                    raise self._changed(key)
                self._accept(answer, key, "read")
                if not self._is_of(answer, token):
                    raise self._changed(key)
                if told is not None:
                    told(header.claims(answer.headers))
                if answer.status_code == 206:
                    yield from self._take(answer, key, start, end)
                    return
            finally:
                answer.close()
            # No ranges: the whole comes, and what other readers want of it goes on from there.
            yield from self._streams.read(
                (url, token), lambda found: self._is_of(found, token), start, end
            )

    def _is_of(self, answer: requests.Response, token: Token) -> bool:
        """Whether an answer is about the content that a token names."""
        if header.is_packed(answer.headers):
            return False
        if token.startswith(_BY_TIME):
            modified, length = header.seconds(answer.headers), header.length(answer.headers)
            return token == f"{_BY_TIME}{modified}-{length}"
        return answer.headers.get("ETag", "").strip('"') == token

    def _take(self, answer: requests.Response, key: Key, start: int, end: int) -> Iterator[bytes]:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-{end - 1}/"):
            raise self._changed(key)
        left = end - start
        for block in answer.iter_content(_BLOCK):
            left -= len(block)
            yield block
        if left:
            raise errors.Unavailable(
                "the server ended the content early",
                store=self.spec.alias,
                key=key,
                operation="read",
            )

    def _read_by_content(
        self, url: str, key: Key, token: Token, start: int, end: int
    ) -> Iterator[bytes]:
        """What nothing but its bytes identifies is read whole and compared before any of it is given."""
        with self._content(url, key) as (file, digest, size):
            if token != _BY_CONTENT + digest or end > size:
                raise self._changed(key)
            file.seek(start)
            left = end - start
            while left:
                block = file.read(min(_BLOCK, left))
                left -= len(block)
                yield block

    def _content(self, url: str, key: Key) -> _Whole:
        with self._get(url, {}) as answer:
            self._accept(answer, key, "read")
            return _Whole(answer, self.spec.alias, key)

    # --- parts

    def _address(self, key: Key) -> str:
        if self._files:
            if key not in self._files:
                raise errors.NotFound("no such file", store=self.spec.alias, key=key)
            return self._files[key]
        return self.spec.url + urllib.parse.quote(key)

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        return self._session.get(url, headers=headers, stream=True)

    def _accept(self, answer: requests.Response, key: Key, operation: str) -> None:
        """Raise what a status means, unless it is success."""
        if not answer.ok:
            answer.close()
            raise refusal(
                kind_of_status(answer.status_code),
                str(answer.status_code),
                self.spec.alias,
                key,
                operation,
                credentials="if the address needs a name and password, put them into ~/.netrc",
            )

    def _changed(self, key: Key) -> errors.Changed:
        return errors.Changed(
            "the server has other content now", store=self.spec.alias, key=key, operation="read"
        )

    def close(self) -> None:
        """See `base.Store`."""
        self._streams.close()
        self._session.close()


class _Whole:
    """A whole content, unpacked, in a file of nobody else, with its hash.

    Raises: NotSupported for more than a few bytes may unpack to, or than a server may send without end.
    """

    def __init__(self, answer: requests.Response, alias: str, key: Key) -> None:
        self._file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 — closed by __exit__
        digest = hashlib.sha256()
        size = 0
        for block in answer.iter_content(_BLOCK):
            digest.update(block)
            size += len(block)
            if size > _LARGEST_WHOLE:
                self._file.close()
                raise errors.NotSupported(
                    f"the server packs it or does not say how long it is, and it is over {_LARGEST_WHOLE} bytes",
                    store=alias,
                    key=key,
                    operation="read",
                )
            self._file.write(block)
        self._about = (self._file, digest.hexdigest(), size)

    def __enter__(self) -> tuple[Any, str, int]:
        return self._about

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _head_of(entry: Entry) -> Version:
    assert entry.version is not None
    return Version(
        entry.key,
        entry.version,
        VersionKind.CONTENT,
        entry.mtime_ns,
        entry.token,
        entry.strong,
        entry.size,
        entry.mtime_ns,
        is_head=True,
    )


def _is_final(status: int) -> bool:
    """Whether a HEAD so refused says as much as a GET would: the server has no time, or no answer at all."""
    return (status >= 500 and status != _NOT_IMPLEMENTED) or status == _TOO_MANY
