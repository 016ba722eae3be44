"""The `swift` kind: a container of OpenStack Swift and a prefix in it.

A token is an ETag, for a large object that of its segments' list. A version is Swift's version id.
Swift looks at a condition when a request begins and not when it ends, so of several who create one
name at once all may be told yes: `atomic` is False, and what is built on it does without.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from swiftclient import client as swift

from vstorefs import errors
from vstorefs.checksums import Claimant, Claims, claims_of_hex
from vstorefs.model import StoreSpec, Token, VersionId
from vstorefs.stores.addresses import bucket_and_prefix
from vstorefs.stores.bucket import (
    CONTENT_TYPE,
    HEADERS,
    ListedVersion,
    Object,
    ObjectPage,
    Said,
    Source,
    Stat,
    Versioning,
    opened,
    sendable,
    size_of,
)
from vstorefs.stores.paging import onward
from vstorefs.stores.swift.account import Account
from vstorefs.stores.swift.errors import translated
from vstorefs.stores.swift.manifests import with_true_sizes

_BLOCK = 1 << 20
_WHOLE_BYTES = 1 << 30
_SEGMENT = 256 << 20
_WHOLE_COPY = 5 << 30
_AT_ONCE = 4
_PAGE = 10_000
_META = "x-object-meta-"
_MARKER_TYPE = "application/x-deleted;swift_versions_deleted=1"
# A version is an object, and its key a link to it; both their names, and the container's, are kept as metadata of the
# link. Measured: disks that give these 4 KiB take keys of 980 bytes less the container's name, without ours.
_VERSION_BYTES = 1024 - 980
_SEGMENTS = ".vstorefs/segments/"
_NO_CONTAINER = "there is no container {}; correct its name or the account, or make it first"


class SwiftBucket:
    """One container and prefix."""

    whole_bytes = _WHOLE_BYTES
    atomic = False

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self._container, self._prefix = bucket_and_prefix(spec.url)
        self.prefix_bytes = len(self._prefix.encode())
        self.version_bytes = _VERSION_BYTES + len(self._container.encode())
        with translated(spec.alias, "", "open"):
            self._account = Account(spec)

    def birth(self) -> str:
        """See `bucket.Bucket`. When the container was made."""
        return f"{self._about()['x-timestamp']} {self._container} {self._prefix}"

    def _about(self) -> dict[str, str]:
        try:
            with translated(self.spec.alias, "", "check"):
                return dict(self._account.call(swift.head_container, self._container))
        except errors.NotFound as error:
            raise errors.NotFound(
                _NO_CONTAINER.format(self._container), store=self.spec.alias, operation="check"
            ) from error

    def versioning(self) -> Versioning:
        """See `bucket.Bucket`."""
        said = self._about().get("x-versions-enabled")
        if said is None:
            return Versioning.OFF
        return Versioning.ENABLED if said.lower() == "true" else Versioning.SUSPENDED

    def keeps(self, version: VersionId | None) -> bool:
        """See `bucket.Bucket`. What is written while no versions are kept is "null", and replaced by the next."""
        return version not in {None, "null"}

    # --- looking

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """See `bucket.Bucket`."""
        pages = self._pages(prefix, by_folder=by_folder, limit=limit)
        onwards = onward(pages, _goes_on_at, self.spec.alias, prefix)
        for rows in with_true_sizes(onwards, self._relative, self.stat):
            yield ObjectPage(
                tuple(
                    Object(
                        self._relative(row["name"]),
                        row["bytes"],
                        _listed_ns(row),
                        _listed_token(row),
                    )
                    for row in rows
                    if "name" in row
                ),
                tuple(self._relative(row["subdir"]) for row in rows if "subdir" in row),
            )

    def _pages(
        self, prefix: str, *, by_folder: bool, limit: int | None = None, query: str | None = None
    ) -> Iterator[Sequence[dict[str, Any]]]:
        after: dict[str, str] = {}
        while True:
            with translated(self.spec.alias, prefix, "list", bucket=True):
                _, rows = self._account.call(
                    swift.get_container,
                    self._container,
                    prefix=self._prefix + prefix,
                    delimiter="/" if by_folder else None,
                    limit=limit or _PAGE,
                    query_string=query,
                    **after,
                )
            if rows:
                yield rows
            if limit is not None or not rows or len(rows) < self._account.page():
                return
            marker, version = _goes_on_at(rows)
            after = {"marker": marker} | ({"version_marker": version} if version else {})

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "stat"):
            found = self._account.call(
                swift.head_object,
                self._container,
                self._key(name),
                query_string=f"version-id={version}" if version is not None else None,
            )
        # Of a manifest with more segments than it lists at once, Swift makes up neither length nor ETag.
        if "etag" not in found or "content-length" not in found:
            raise errors.NotSupported(
                "a dynamic large object of so many segments that Swift does not tell its size",
                store=self.spec.alias,
                key=name,
                operation="stat",
            )
        said = found.get("x-object-version-id")
        return Stat(
            name,
            int(found["content-length"]),
            _stamp_ns(found["x-timestamp"]),
            _token(found["etag"]),
            VersionId(said) if said is not None else None,
            _metadata(found),
            {name: found[name] for name in HEADERS if name in found},
        )

    def read(
        self,
        name: str,
        start: int,
        end: int,
        *,
        token: Token | None = None,
        version: VersionId | None = None,
        size: int | None = None,
        said: Said | None = None,
    ) -> Iterator[bytes]:
        """See `bucket.Bucket`."""
        if start >= end:
            return
        with translated(self.spec.alias, name, "read"):
            found, body = self._account.call(
                swift.get_object,
                self._container,
                self._key(name),
                resp_chunk_size=_BLOCK,
                headers={"Range": f"bytes={start}-{end - 1}"},
                query_string=f"version-id={version}" if version is not None else None,
            )
            whole = found.get("content-range", "").rpartition("/")[2]
            # A copy of a large object keeps that one's ETag beside its own, and If-Match is compared with it.
            is_other = token is not None and _token(found.get("etag", "")) != token
            if (
                is_other
                or int(found["content-length"]) != end - start
                or size not in {None, int(whole)}
            ):
                body.close()
                raise errors.Changed(
                    "the store has other content there",
                    store=self.spec.alias,
                    key=name,
                    operation="read",
                )
            if said is not None:
                said(_claims(found), _metadata(found))
            left = end - start
            for block in body:
                left -= len(block)
                yield block
        if left:
            raise errors.Unavailable(
                "the server ended the content early",
                store=self.spec.alias,
                key=name,
                operation="read",
            )

    def get(self, name: str) -> bytes:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "read"):
            return bytes(
                self._account.call(swift.get_object, self._container, self._prefix + name)[1]
            )

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """See `bucket.Bucket`."""
        pages = self._pages(prefix, by_folder=by_folder, query="versions")
        onwards = onward(pages, _goes_on_at, self.spec.alias, prefix)
        for rows in with_true_sizes(onwards, self._relative, self.stat):
            yield tuple(
                ListedVersion(
                    self._relative(row["name"]),
                    VersionId(row["version_id"]),
                    _listed_ns(row),
                    row["bytes"],
                    None if row["content_type"] == _MARKER_TYPE else _listed_token(row),
                    row["is_latest"],
                )
                for row in rows
                if "name" in row
            )

    # --- changing

    def put(
        self,
        name: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        content_type: str,
        headers: Mapping[str, str] | None = None,
        md5: str | None = None,
        absent: bool = False,
        in_parts: bool = False,
    ) -> None:
        """See `bucket.Bucket`."""
        size = size_of(source)
        about = _about(metadata, headers)
        if absent:
            about["If-None-Match"] = "*"
        with translated(self.spec.alias, name, "put", absent=absent, bucket=True):
            if size <= _WHOLE_BYTES and not in_parts:
                with opened(source) as file:
                    self._put(name, file, size, about, content_type, etag=md5)
                return
            manifest = json.dumps(self._send_segments(name, source, size, md5)).encode()
            self._put(name, manifest, len(manifest), about, content_type, "multipart-manifest=put")

    def _put(
        self,
        name: str,
        contents: Any,
        size: int,
        headers: Mapping[str, str],
        content_type: str,
        query: str | None = None,
        etag: str | None = None,
    ) -> str:
        return str(
            self._account.call(
                swift.put_object,
                self._container,
                self._key(name),
                contents=contents,
                content_length=size,
                etag=etag,
                content_type=content_type,
                headers={**headers, "Expect": ""} if size == 0 else dict(headers),
                query_string=query,
            )
        )

    def _send_segments(
        self, name: str, source: Source, size: int, md5: str | None
    ) -> Sequence[dict[str, Any]]:
        """Segments have names of their content, so what an earlier try has sent is not sent again."""
        folder = f"{_SEGMENTS}{md5 or name}/{size}/"
        there = {
            one.name: one for page in self.list(folder) for one in page.objects if md5 is not None
        }

        def send(start: int) -> dict[str, Any]:
            segment, length = f"{folder}{start:020d}", min(_SEGMENT, size - start)
            found = there.get(segment)
            if found is not None and found.size == length:
                etag = str(found.token)
            else:
                with opened(source) as file:
                    file.seek(start)
                    etag = self._put(segment, file, length, {}, "application/octet-stream")
            return {
                "path": f"/{self._container}/{self._prefix}{segment}",
                "etag": etag.strip('"'),
                "size_bytes": length,
            }

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(send, range(0, size, _SEGMENT)))

    def copy(
        self,
        name: str,
        target: str,
        *,
        source: Stat,
        metadata: Mapping[str, str],
        content_type: str,
        headers: Mapping[str, str] | None = None,
        absent: bool = False,
    ) -> None:
        """See `bucket.Bucket`. What is too large for one object is copied as the list of its segments."""
        place = urllib.parse.quote(f"{self._container}/{self._key(target)}")
        about = _about(metadata, headers) | {
            "Destination": place,
            "X-Fresh-Metadata": "true",
            "Content-Type": content_type,
            "Content-Length": "0",
        }
        if absent:
            about["If-None-Match"] = "*"
        query = {"version-id": source.version} if source.version is not None else {}
        if source.size > _WHOLE_COPY:
            query["multipart-manifest"] = VersionId("get")
        with translated(self.spec.alias, target, "copy", absent=absent):
            if absent and self._is_there(target):
                raise errors.AlreadyExists(
                    "the object exists already", store=self.spec.alias, key=target, operation="copy"
                )
            self._account.request(
                "COPY",
                f"{self._container}/{self._key(name)}",
                about,
                urllib.parse.urlencode(query),
            )
        if source.version is None and self.stat(name).token != source.token:
            raise errors.Changed(
                "the source changed while it was copied",
                store=self.spec.alias,
                key=name,
                operation="copy",
            )

    def _is_there(self, name: str) -> bool:
        try:
            self.stat(name)
        except errors.NotFound:
            return False
        return True

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """See `bucket.Bucket`."""
        answer: dict[str, Any] = {}
        try:
            with translated(self.spec.alias, name, "delete"):
                self._account.call(
                    swift.delete_object,
                    self._container,
                    self._key(name),
                    query_string=f"version-id={version}" if version is not None else None,
                    response_dict=answer,
                )
        except errors.NotFound:
            return None
        said = answer.get("headers", {}).get("x-object-version-id")
        return VersionId(said) if said is not None else None

    def in_segments(self, size: int) -> bool:
        """See `bucket.Segmented`."""
        return size > self.whole_bytes

    def enable_versioning(self) -> None:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, "", "enable versioning"):
            self._account.call(
                swift.post_container, self._container, {"X-Versions-Enabled": "true"}
            )

    def close(self) -> None:
        """See `bucket.Bucket`."""
        self._account.close()

    def _key(self, name: str) -> str:
        return self._prefix + sendable(name, self.spec.alias)

    def _relative(self, name: str) -> str:
        return name[len(self._prefix) :]


def _goes_on_at(rows: Sequence[dict[str, Any]]) -> tuple[str, str | None]:
    last = rows[-1]
    return last.get("name") or last["subdir"], last.get("version_id")


def _listed_token(row: Mapping[str, Any]) -> Token:
    return _token(row.get("slo_etag") or row["hash"])


def _about(metadata: Mapping[str, str], headers: Mapping[str, str] | None) -> dict[str, str]:
    """What goes with an object, but for its content type. Not every server takes every header of these."""
    given = {name: value for name, value in (headers or {}).items() if name != CONTENT_TYPE}
    return {_META + key: value for key, value in metadata.items()} | given


def _metadata(found: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(_META): value for key, value in found.items() if key.startswith(_META)}


def _claims(found: Mapping[str, str]) -> Claims:
    """What is in segments has an ETag of their list."""
    if "x-static-large-object" in found or "x-object-manifest" in found:
        return ()
    return claims_of_hex(Claimant.STORE, "md5", _token(found.get("etag", "")))


def _token(etag: str) -> Token:
    return Token(etag.strip('"'))


def _listed_ns(row: Mapping[str, Any]) -> int:
    moment = datetime.fromisoformat(row["last_modified"]).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _stamp_ns(stamp: str) -> int:
    return int(Decimal(stamp) * 1_000_000_000)
