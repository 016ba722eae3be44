"""The `gs` kind: a bucket of Google Cloud Storage and a prefix in it.

A token, and a version, is a generation. Google keeps no delete markers: a generation that ended
before the next one began was deleted, and the marker is made up from when it ended. An empty object
may come without a size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from vstorefs import errors
from vstorefs.checksums import Claimant, claims_of_base64
from vstorefs.model import StoreSpec, Token, VersionId
from vstorefs.stores.addresses import bucket_and_prefix
from vstorefs.stores.bucket import (
    HEADERS,
    ListedVersion,
    Object,
    ObjectPage,
    Said,
    Source,
    Stat,
    Versioning,
    opened,
    size_of,
)
from vstorefs.stores.gcs.account import client_of
from vstorefs.stores.gcs.errors import translated
from vstorefs.stores.paging import onward

_ASKED = 8 << 20
_WHOLE_BYTES = 8 << 20
_CHUNK = 16 << 20
_SMALLEST_CHUNK = 256 << 10
_TIMES: Any = {"timeout": (5, 20), "retry": None}
_FIELDS = "nextPageToken,prefixes,items(name,size,generation,timeCreated)"
_VERSION_FIELDS = "nextPageToken,prefixes,items(name,size,generation,timeCreated,timeDeleted)"
_DELETED = ".deleted"
_AT_ONCE = timedelta(milliseconds=1)
_NO_BUCKET = "there is no bucket {}; correct its name or the endpoint, or make it first"


class GcsBucket:
    """One bucket and prefix."""

    whole_bytes = _WHOLE_BYTES
    atomic = True
    version_bytes = 0

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        name, self._prefix = bucket_and_prefix(spec.url)
        self.prefix_bytes = len(self._prefix.encode())
        with translated(spec.alias, "", "open"):
            self._client = client_of(spec)
            payer = self._client.project if spec.requester_pays else None
            self._bucket = self._client.bucket(name, user_project=payer)

    def birth(self) -> str:
        """See `bucket.Bucket`."""
        return ""

    def versioning(self) -> Versioning:
        """See `bucket.Bucket`."""
        try:
            with translated(self.spec.alias, "", "check"):
                self._bucket.reload(**_TIMES)
        except errors.NotFound as error:
            raise errors.NotFound(
                _NO_BUCKET.format(self._bucket.name), store=self.spec.alias, operation="check"
            ) from error
        except errors.Denied as error:
            raise errors.Denied(
                f"{error.message}; cannot read the versioning of bucket {self._bucket.name} "
                "(storage.buckets.get)",
                store=self.spec.alias,
                operation="check",
            ) from error
        return Versioning.ENABLED if self._bucket.versioning_enabled else Versioning.OFF

    def keeps(self, version: VersionId | None) -> bool:
        """See `bucket.Bucket`. No generation tells what will become of it."""
        del version
        return False

    # --- looking

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, prefix, "list", bucket=True):
            found = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                delimiter="/" if by_folder else None,
                max_results=limit,
                fields=_FIELDS,
                **_TIMES,
            )
            pages = onward(found.pages, lambda _: found.next_page_token, self.spec.alias, prefix)
            for page in pages:
                yield ObjectPage(
                    tuple(
                        Object(
                            self._relative(blob.name),
                            blob.size or 0,
                            _ns(blob.time_created),
                            Token(str(blob.generation)),
                        )
                        for blob in page
                    ),
                    tuple(self._relative(one) for one in page.prefixes),
                )

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """See `bucket.Bucket`."""
        blob = self._blob(name, version)
        with translated(self.spec.alias, name, "stat"):
            blob.reload(**_TIMES)
        return Stat(
            name,
            blob.size or 0,
            _ns(blob.time_created),
            Token(str(blob.generation)),
            VersionId(str(blob.generation)),
            blob.metadata or {},
            {
                name: value
                for name in HEADERS
                if (value := getattr(blob, name.replace("-", "_"))) is not None
            },
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
        """See `bucket.Bucket`. One pinned request for every 8 MiB."""
        if token is not None and not token.isdigit():
            raise self._changed(name)
        if size is not None and start < end:
            found = self.stat(name, version)
            if found.size != size:
                raise self._changed(name)
            token = token or found.token
        if version is not None and token is not None and str(token) != version:
            raise self._changed(name)
        blob = self._blob(name, version)
        # A condition is compared with the live generation, even where another one is named.
        condition = int(token) if token is not None and version is None else None
        for at in range(start, end, _ASKED):
            until = min(at + _ASKED, end)
            with translated(self.spec.alias, name, "read"):
                data = blob.download_as_bytes(
                    start=at,
                    end=until - 1,
                    raw_download=True,
                    if_generation_match=condition,
                    **_TIMES,
                )
            if len(data) != until - at:
                raise errors.Unavailable(
                    "the server ended the content early",
                    store=self.spec.alias,
                    key=name,
                    operation="read",
                )
            if said is not None and at == start:
                said(claims_of_base64(Claimant.STORE, "md5", blob.md5_hash), {})
            yield data

    def get(self, name: str) -> bytes:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "read"):
            return bytes(self._blob(name).download_as_bytes(raw_download=True, **_TIMES))

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """See `bucket.Bucket`. Google lists a name's generations oldest first."""
        with translated(self.spec.alias, prefix, "versions", bucket=True):
            same: list[Any] = []
            found = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                delimiter="/" if by_folder else None,
                versions=True,
                fields=_VERSION_FIELDS,
                **_TIMES,
            )
            pages = onward(found.pages, lambda _: found.next_page_token, self.spec.alias, prefix)
            for blob in (one for page in pages for one in page):
                if same and same[0].name != blob.name:
                    yield _versions_of(self._relative(same[0].name), same)
                    same = []
                same.append(blob)
            if same:
                yield _versions_of(self._relative(same[0].name), same)

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
        """See `bucket.Bucket`. The SDK sends a crc32c of what it reads, which Google checks."""
        del md5
        size = size_of(source)
        blob = self._blob(name)
        _give(blob, metadata, headers)
        if size > _WHOLE_BYTES or in_parts:
            # What is small enough for one request goes in one unless told otherwise.
            blob.chunk_size = _SMALLEST_CHUNK if in_parts else _CHUNK
        with (
            translated(self.spec.alias, name, "put", absent=absent, bucket=True),
            opened(source) as file,
        ):
            blob.upload_from_file(
                file,
                size=None if in_parts else size,
                content_type=content_type,
                if_generation_match=0 if absent else None,
                **_TIMES,
            )

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
        """See `bucket.Bucket`."""
        origin, blob = self._blob(name, VersionId(source.token)), self._blob(target)
        _give(blob, metadata, headers)
        blob.content_type = content_type
        going: str | None = None
        with translated(self.spec.alias, target, "copy", absent=absent):
            while True:
                going, _, _ = blob.rewrite(
                    origin, token=going, if_generation_match=0 if absent else None, **_TIMES
                )
                if going is None:
                    return

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """See `bucket.Bucket`."""
        try:
            found = None if version is not None else self.stat(name)
            with translated(self.spec.alias, name, "delete"):
                if found is not None:
                    self._blob(name).delete(if_generation_match=int(found.token), **_TIMES)
                else:
                    self._blob(name, version).delete(**_TIMES)
        except errors.NotFound:
            return None
        except errors.Changed as error:
            raise errors.Unavailable(
                "the object was replaced at the moment of its deletion",
                store=self.spec.alias,
                key=name,
                operation="delete",
            ) from error
        return VersionId(found.token + _DELETED) if found is not None else None

    def enable_versioning(self) -> None:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, "", "enable versioning"):
            self._bucket.versioning_enabled = True
            self._bucket.patch(**_TIMES)

    def expiring(self) -> tuple[str, ...]:
        """See `bucket.Expiring`."""
        with translated(self.spec.alias, "", "check"):
            self._bucket.reload(**_TIMES)
            rules = list(self._bucket.lifecycle_rules)
        return tuple(
            f"a lifecycle rule removes objects where {_conditions(rule)}"
            for rule in rules
            if rule.get("action", {}).get("type") == "Delete"
        )

    def close(self) -> None:
        """See `bucket.Bucket`."""
        self._client.close()

    def _blob(self, name: str, version: VersionId | None = None) -> Any:
        if version is not None and not version.isdigit():
            raise errors.NotFound("no such generation", store=self.spec.alias, key=name)
        generation = int(version) if version is not None else None
        return self._bucket.blob(self._prefix + name, generation=generation)

    def _relative(self, name: str) -> str:
        return name[len(self._prefix) :]

    def _changed(self, name: str) -> errors.Changed:
        return errors.Changed(
            "the store has other content there", store=self.spec.alias, key=name, operation="read"
        )


def _versions_of(name: str, blobs: list[Any]) -> tuple[ListedVersion, ...]:
    """Generations of one name, oldest first, as versions and delete markers, newest first."""
    found: list[ListedVersion] = []
    following: list[Any] = [*blobs[1:], None]
    for blob, after in zip(blobs, following, strict=True):
        ended = blob.time_deleted
        generation = str(blob.generation)
        found.append(
            ListedVersion(
                name,
                VersionId(generation),
                _ns(blob.time_created),
                blob.size or 0,
                Token(generation),
                ended is None,
            )
        )
        if ended is not None and (after is None or after.time_created - ended > _AT_ONCE):
            marker = VersionId(generation + _DELETED)
            found.append(ListedVersion(name, marker, _ns(ended), 0, None, after is None))
    return tuple(reversed(found))


def _give(blob: Any, metadata: Mapping[str, str], headers: Mapping[str, str] | None) -> None:
    blob.metadata = dict(metadata)
    for name, value in (headers or {}).items():
        setattr(blob, name.replace("-", "_"), value)


def _conditions(rule: Mapping[str, Any]) -> str:
    found = rule.get("condition", {})
    return (
        " and ".join(f"{name} = {value}" for name, value in found.items()) or "no condition is set"
    )


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
