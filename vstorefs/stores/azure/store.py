"""The `az` kind: a container of Azure Blob storage and a prefix in it.

A token is an ETag; it changes at every write, with equal content too. A version is Azure's version
id, where the account keeps versions. The account's setting for that cannot be asked through the
storage interface, so it is read off what blobs and answers carry, and a write in the native layout
makes sure of it first.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobBlock, BlobPrefix, ContainerClient, ContentSettings
from requests import Session
from requests.adapters import HTTPAdapter

from vstorefs import errors
from vstorefs.checksums import Claimant, claims_of_hex
from vstorefs.model import StoreSpec, Token, VersionId
from vstorefs.stores.addresses import bucket_and_prefix
from vstorefs.stores.azure.account import container_client
from vstorefs.stores.azure.errors import translated
from vstorefs.stores.bucket import (
    CONTENT_TYPE,
    HEADERS,
    STORAGE_CLASS,
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
from vstorefs.stores.http_auth import unchanged
from vstorefs.stores.paging import onward

_BLOCK = 1 << 20
_WHOLE_BYTES = 32 << 20
_PART = 16 << 20
_MOST_PARTS = 50_000
_AT_ONCE = 4
_CONNECTIONS = 64
_DELETED = ".deleted"
_SETTINGS = tuple(name for name in HEADERS if name != STORAGE_CLASS)
_NO_CONTAINER = "there is no container {}; correct its name or the account, or make it first"


class AzureBucket:
    """One container and prefix."""

    whole_bytes = _WHOLE_BYTES
    atomic = True
    version_bytes = 0

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self._container, self._prefix = bucket_and_prefix(spec.url)
        self.prefix_bytes = len(self._prefix.encode())
        self._keeps_versions = False
        self._lock = threading.Lock()
        with translated(spec.alias, "", "open"):
            self._client: ContainerClient = container_client(
                spec, self._container, transport=_transport(spec)
            )

    def birth(self) -> str:
        """See `bucket.Bucket`."""
        return ""

    def versioning(self) -> Versioning:
        """See `bucket.Bucket`. Versions are known to be kept where a blob has a version id."""
        try:
            with translated(self.spec.alias, "", "check"):
                pages = self._client.list_blobs(
                    name_starts_with=self._prefix, include=["versions"], results_per_page=100
                ).by_page()
                found = [blob.version_id for blob in next(pages, ())]
        except (errors.NotFound, errors.Displaced) as error:
            raise errors.NotFound(
                _NO_CONTAINER.format(self._container), store=self.spec.alias, operation="check"
            ) from error
        self._keeps_versions = any(found)
        return Versioning.ENABLED if self._keeps_versions else Versioning.OFF

    def keeps(self, version: VersionId | None) -> bool:
        """See `bucket.Bucket`. Each change looks for itself."""
        del version
        return True

    # --- looking

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """See `bucket.Bucket`."""
        where: dict[str, Any] = {
            "name_starts_with": self._prefix + prefix,
            "results_per_page": limit,
        }
        with translated(self.spec.alias, prefix, "list"):
            found = (
                self._client.walk_blobs(**where, delimiter="/")
                if by_folder
                else self._client.list_blobs(**where)
            )
            for page in self._pages(found, prefix):
                items = list(page)
                yield ObjectPage(
                    tuple(
                        Object(
                            self._relative(item.name),
                            item.size,
                            _ns(item.last_modified),
                            _token(item.etag),
                        )
                        for item in items
                        if not isinstance(item, BlobPrefix)
                    ),
                    tuple(
                        self._relative(item.name) for item in items if isinstance(item, BlobPrefix)
                    ),
                )
                if limit is not None:
                    return

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "stat"):
            found = self._blob(name, version).get_blob_properties()
        return Stat(
            name,
            found.size,
            _ns(found.last_modified),
            _token(found.etag),
            VersionId(found.version_id) if found.version_id is not None else None,
            _decoded(found.metadata or {}),
            {
                name: value
                for name in _SETTINGS
                if (value := getattr(found.content_settings, name.replace("-", "_")))
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
        """See `bucket.Bucket`. One request for each MiB-long run that the SDK asks for, all pinned.

        A blob with a Content-Encoding is given as it is stored: that is what its size and hashes are of.
        """
        if start >= end:
            return
        pinned: dict[str, Any] = (
            {"etag": f'"{token}"', "match_condition": MatchConditions.IfNotModified}
            if token is not None
            else {}
        )
        left = end - start
        with translated(self.spec.alias, name, "read"):
            stream = self._blob(name, version).download_blob(
                offset=start, length=left, max_concurrency=1, decompress=False, **pinned
            )
            whole = int(stream.properties.content_range.rpartition("/")[2])
            if size not in {None, whole} or end > whole:
                raise errors.Changed(
                    "the store has other content there",
                    store=self.spec.alias,
                    key=name,
                    operation="read",
                )
            if said is not None:
                about = stream.properties
                md5 = about.content_settings.content_md5
                said(
                    claims_of_hex(Claimant.STORE, "md5", md5.hex() if md5 else None),
                    _decoded(about.metadata or {}),
                )
            while left:
                block = stream.read(min(_BLOCK, left))
                if not block:
                    raise errors.Unavailable(
                        "the server ended the content early",
                        store=self.spec.alias,
                        key=name,
                        operation="read",
                    )
                left -= len(block)
                yield block

    def get(self, name: str) -> bytes:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "read"):
            stream = self._blob(name).download_blob(max_concurrency=1, decompress=False)
            return bytes(stream.readall())

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """See `bucket.Bucket`.

        Azure lists a name's versions oldest first and has no delete markers: a name without a current
        version was deleted, when is not told.
        """
        with translated(self.spec.alias, prefix, "versions"):
            same: list[Any] = []
            blobs = self._client.list_blobs(
                name_starts_with=self._prefix + prefix, include=["versions"]
            )
            for blob in (one for page in self._pages(blobs, prefix) for one in page):
                if by_folder and "/" in self._relative(blob.name)[len(prefix) :]:
                    continue
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
        """See `bucket.Bucket`. Metadata names may hold no hyphen here, so they travel with underscores."""
        if not absent:
            self._see_that_it_stays(name)
        size = size_of(source)
        given = {name: (headers or {})[name] for name in _SETTINGS if name in (headers or {})}
        given.pop(CONTENT_TYPE, None)
        about: dict[str, Any] = {
            "metadata": _encoded(metadata),
            "content_settings": ContentSettings(
                **{name.replace("-", "_"): value for name, value in given.items()},
                content_type=content_type,
                content_md5=bytearray(bytes.fromhex(md5)) if md5 is not None else None,
            ),
        }
        blob = self._blob(name)
        with translated(self.spec.alias, name, "put", absent=absent):
            if size <= _WHOLE_BYTES and not in_parts:
                with opened(source) as file:
                    blob.upload_blob(
                        file, length=size, overwrite=not absent, max_concurrency=1, **about
                    )
                return
            blocks = self._send_blocks(name, source, size)
            condition = {"match_condition": MatchConditions.IfMissing} if absent else {}
            blob.commit_block_list(blocks, **about, **condition)

    def _send_blocks(self, name: str, source: Source, size: int) -> Sequence[BlobBlock]:
        """Send content in blocks, several at a time; blocks are named by their content, and sent once."""
        part = max(_PART, -(-size // _MOST_PARTS))
        blob = self._blob(name)
        try:
            there = {one.id for one in blob.get_block_list("uncommitted")[1]}
        except ResourceNotFoundError:
            there = set()

        def send(start: int) -> BlobBlock:
            with opened(source) as file:
                file.seek(start)
                data = file.read(part)
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            block = f"{start:015d}-{digest}"
            if block not in there:
                blob.stage_block(block, data, length=len(data), validate_content=True)
            return BlobBlock(block)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(send, range(0, size, part)))

    def _see_that_it_stays(self, name: str) -> None:
        """In a container that keeps versions: what is there was made as a version, or is made one now.

        A blob without a version id may be older than the account's setting, or the setting may have
        been taken back. Writing its metadata once more harms neither, and tells.
        Raises: NotSupported where a write would take content away.
        """
        if not self._keeps_versions:
            return
        blob = self._blob(name)
        try:
            with translated(self.spec.alias, name, "put"):
                found = blob.get_blob_properties()
                if found.version_id is not None:
                    return
                answer = blob.set_blob_metadata(
                    found.metadata, etag=found.etag, match_condition=MatchConditions.IfNotModified
                )
        except errors.NotFound:
            return
        if answer.get("version_id") is None:
            raise errors.NotSupported(
                "the account keeps no versions any more, so a write would overwrite; turn blob versioning on again",
                store=self.spec.alias,
                key=name,
                operation="put",
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
        """See `bucket.Bucket`. Content type and headers are the source's, as the provider copies them."""
        del content_type, headers
        if not absent:
            self._see_that_it_stays(target)
        origin, blob = self._blob(name, source.version), self._blob(target)
        condition = {"match_condition": MatchConditions.IfMissing} if absent else {}
        with translated(self.spec.alias, target, "copy", absent=absent):
            # Within an account, the request's own authority covers the source.
            answer = blob.start_copy_from_url(
                origin.url,
                metadata=_encoded(metadata),
                source_etag=f'"{source.token}"',
                source_match_condition=MatchConditions.IfNotModified,
                **condition,
            )
            if answer["copy_status"] != "success":
                self._wait_for_copy(target)
        if source.version is None and self.stat(name).token != source.token:
            raise errors.Changed(
                "the source changed while it was copied",
                store=self.spec.alias,
                key=name,
                operation="copy",
            )

    def _wait_for_copy(self, target: str) -> None:
        waiting = threading.Event()
        while True:
            status = self._blob(target).get_blob_properties().copy.status
            if status == "success":
                return
            if status != "pending":
                raise errors.Unavailable(
                    f"the copy ended as {status}",
                    store=self.spec.alias,
                    key=target,
                    operation="copy",
                )
            waiting.wait(0.5)

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """See `bucket.Bucket`."""
        if version is None:
            self._see_that_it_stays(name)
        try:
            with translated(self.spec.alias, name, "delete"):
                self._blob(name).delete_blob(**({"version_id": version} if version else {}))
        except errors.NotFound:
            return None
        return None

    def enable_versioning(self) -> None:
        """See `bucket.Bucket`. The setting belongs to the account's management, not to storage."""
        raise errors.NotSupported(
            "versioning is a setting of the storage account; turn it on with: az storage account "
            "blob-service-properties update --account-name ACCOUNT --enable-versioning true",
            store=self.spec.alias,
            operation="enable versioning",
        )

    def close(self) -> None:
        """See `bucket.Bucket`."""
        self._client.close()

    def _blob(self, name: str, version: VersionId | None = None) -> Any:
        extra = {"version_id": version} if version is not None else {}
        return self._client.get_blob_client(self._prefix + sendable(name, self.spec.alias), **extra)

    def _pages(self, found: Any, prefix: str) -> Iterator[Any]:
        pages = found.by_page()
        return onward(pages, lambda _: pages.continuation_token or None, self.spec.alias, prefix)

    def _relative(self, name: str) -> str:
        return name[len(self._prefix) :]


def _versions_of(name: str, blobs: list[Any]) -> tuple[ListedVersion, ...]:
    """Versions of one name, newest first, with a deletion on top where there is no current one."""
    blobs = sorted(blobs, key=lambda one: one.version_id or "", reverse=True)
    current = [one for one in blobs if one.is_current_version or one.version_id is None]
    found = [
        ListedVersion(
            name,
            VersionId(one.version_id or "null"),
            _ns(one.last_modified),
            one.size,
            _token(one.etag),
            one in current,
        )
        for one in [*current, *(one for one in blobs if one not in current)]
    ]
    if not current:
        newest = found[0]
        marker = VersionId(newest.version + _DELETED)
        found.insert(0, ListedVersion(name, marker, newest.modified_ns, 0, None, True))
    return tuple(found)


def _transport(spec: StoreSpec) -> RequestsTransport:
    session = Session()
    session.auth = unchanged
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return RequestsTransport(
        session=session,
        session_owner=True,
        connection_timeout=5,
        read_timeout=20,
        connection_verify=spec.ca_bundle or True,
    )


def _decoded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in metadata.items()}


def _encoded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in metadata.items()}


def _token(etag: str) -> Token:
    return Token(etag.strip('"'))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
