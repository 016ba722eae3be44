"""The `s3` kind: a bucket, or a prefix in it, that keeps versions (native layout).

A token is an ETag: equal ETags of a key mean equal bytes, whether or not it is an MD5. A version is
S3's VersionId. Content that is no longer head is found by its ETag among the key's versions. What
we know of a version travels in its metadata (`vstorefs-*`, see `_metadata`). An empty directory is
a zero-byte key `d/`.

Conditions on writes are not relied on: look-alikes ignore some of them. A HEAD just before tells
whether the head is the writer's base; a race inside that window is seen in the history, where
nothing is lost.

What comes late lies in `.vstorefs/content/<id>`, with a record in
`.vstorefs/history/<key>@<time>-<id>`, and joins the history.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
from botocore.config import Config

from vstorefs import errors
from vstorefs.model import (
    HIDDEN_FOLDER,
    Capabilities,
    Entry,
    EntryKind,
    Hashes,
    Key,
    Mark,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Attributes, Page, is_base
from vstorefs.stores.s3errors import translated
from vstorefs.stores.s3upload import copy_in_parts, upload

if TYPE_CHECKING:
    from datetime import datetime

_BLOCK = 1 << 20
_LOOKS = 100
_NAME_BYTES = 255
_WHOLE_COPY = 5 << 30
_CONNECTIONS = 64
_NO_BUCKET = "there is no bucket {}; correct its name or the endpoint, or make it first"


class S3Store:
    """One bucket and prefix."""

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        parts = urllib.parse.urlsplit(spec.url)
        self._bucket = parts.netloc
        prefix = urllib.parse.unquote(parts.path).strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with translated(spec.alias, "", "open"):
            self._client = _client(spec)
        self._known: dict[tuple[Key, str], Version] = {}
        self._lock = threading.Lock()

    def capabilities(self) -> Capabilities:
        """See `base.Store`."""
        try:
            with translated(self.spec.alias, "", "check"):
                self._client.head_bucket(Bucket=self._bucket)
        except errors.NotFound as error:
            raise errors.NotFound(
                _NO_BUCKET.format(self._bucket), store=self.spec.alias, operation="check"
            ) from error
        why = ""
        try:
            with translated(self.spec.alias, "", "check"):
                status = self._client.get_bucket_versioning(Bucket=self._bucket).get(
                    "Status", "off"
                )
            if status != "Enabled":
                why = (
                    f"bucket {self._bucket} keeps no versions (versioning is {status.lower()}), "
                    "so a write would overwrite; "
                    f"turn it on with: aws s3api put-bucket-versioning --bucket {self._bucket} "
                    "--versioning-configuration Status=Enabled"
                )
        except errors.Denied:
            why = f"these credentials may not ask whether bucket {self._bucket} keeps versions (s3:GetBucketVersioning)"
        return Capabilities(versioned=not why, writable=not why, why_read_only=why)

    # --- reading

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        prefix = self._name(directory) + ("/" if directory else "")
        arguments = {
            "Bucket": self._bucket,
            "Prefix": prefix,
            "Delimiter": "/",
        }
        with translated(self.spec.alias, directory, "list"):
            for answer in self._client.get_paginator("list_objects_v2").paginate(**arguments):
                yield Page(tuple(self._entries(answer, directory, prefix)))

    def _entries(self, answer: Any, directory: Key, prefix: str) -> Iterator[Entry]:
        # botocore asks for url-encoded keys itself, and decodes them only then.
        for item in answer.get("CommonPrefixes", ()):
            name = item["Prefix"][len(prefix) :].removesuffix("/")
            if _is_name(name) and not (not directory and name == HIDDEN_FOLDER):
                yield Entry(self._key(item["Prefix"].removesuffix("/")), EntryKind.DIRECTORY)
        for item in answer.get("Contents", ()):
            name = item["Key"][len(prefix) :]
            if _is_name(name):
                yield Entry(
                    self._key(item["Key"]),
                    EntryKind.FILE,
                    item["Size"],
                    _ns(item["LastModified"]),
                    _token(item["ETag"]),
                )

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        with translated(self.spec.alias, key, "stat"):
            extra = {"VersionId": version} if version is not None else {}
            answer = self._client.head_object(Bucket=self._bucket, Key=self._name(key), **extra)
        return _from_head(key, answer, is_head=version is None)

    def read(
        self, key: Key, token: Token, start: int, end: int, *, version: VersionId | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        if start >= end:
            return
        body = self._open(key, token, start, end, version)
        left = end - start
        try:
            with translated(self.spec.alias, key, "read"):
                while left:
                    block = body.read(min(_BLOCK, left))
                    if not block:
                        raise errors.Unavailable(
                            "the server ended the content early",
                            store=self.spec.alias,
                            key=key,
                            operation="read",
                        )
                    left -= len(block)
                    yield block
        finally:
            body.close()

    def _open(self, key: Key, token: Token, start: int, end: int, version: VersionId | None) -> Any:
        """The body of a ranged GET, pinned to a token.

        By version where that is known, else if it is the head still.
        """
        extra: dict[str, Any] = {"VersionId": version} if version is not None else {}
        for last in (False, True):
            try:
                with translated(self.spec.alias, key, "read"):
                    answer = self._client.get_object(
                        Bucket=self._bucket,
                        Key=extra.pop("Name", None) or self._name(key),
                        Range=f"bytes={start}-{end - 1}",
                        IfMatch=f'"{token}"',
                        **extra,
                    )
            except (errors.Changed, errors.NotFound):
                if last:
                    break
                extra = self._locate(key, token)
                continue
            if _token(answer["ETag"]) == token and answer["ContentLength"] == end - start:
                return answer["Body"]
            answer["Body"].close()
            if last:
                break
            extra = self._locate(key, token)
        raise errors.Changed(
            "the store has other content now and no longer this one",
            store=self.spec.alias,
            key=key,
            operation="read",
        )

    def _locate(self, key: Key, token: Token) -> dict[str, Any]:
        """Where content lies that is not the head: another version, or what came late."""
        for item in self._items(key):
            if item.get("ETag") is not None and _token(item["ETag"]) == token:
                return {"VersionId": item["VersionId"]}
        for record in self._late(key):
            if record.token == token:
                return {"Name": self._content_name(record.id)}
        raise errors.Changed(
            "the store has other content now and no longer this one",
            store=self.spec.alias,
            key=key,
            operation="read",
        )

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        prefix = self._name(directory) + ("/" if directory else "")
        found: dict[Key, None] = {}
        arguments = {
            "Bucket": self._bucket,
            "Prefix": prefix,
            "Delimiter": "/",
        }
        with translated(self.spec.alias, directory, "versions"):
            for answer in self._client.get_paginator("list_object_versions").paginate(**arguments):
                for item in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())):
                    if _is_name(item["Key"][len(prefix) :]):
                        found[self._key(item["Key"])] = None
        return iter(sorted(found))

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`. The newest versions, up to a bound, with what their metadata says."""
        with translated(self.spec.alias, key, "history"):
            items = list(self._items(key))
        with ThreadPoolExecutor(8) as pool:
            asked = list(
                pool.map(
                    lambda pair: self._version(key, pair[1], ask=pair[0] < _LOOKS), enumerate(items)
                )
            )
        found = list(reversed(asked))
        for record in sorted(self._late(key), key=lambda one: one.time_ns):
            place = next(
                (index for index, one in enumerate(found) if one.time_ns > record.time_ns),
                len(found) - 1,
            )
            # Never last: what came late is not the head.
            found.insert(min(place, max(0, len(found) - 1)), record)
        return tuple(found)

    def _items(self, key: Key) -> Iterator[dict[str, Any]]:
        """A key's versions and delete markers as the store lists them, newest first."""
        name = self._name(key)
        arguments = {"Bucket": self._bucket, "Prefix": name}
        found: list[dict[str, Any]] = []
        for answer in self._client.get_paginator("list_object_versions").paginate(**arguments):
            items = _in_order(answer)
            found.extend(item for item in items if item["Key"] == name)
            # Keys come in order: behind this one there are only longer ones.
            if any(item["Key"] > name for item in items):
                break
        # The store's own order; what is latest comes first, whatever else a look-alike does.
        return iter(sorted(found, key=lambda item: not item["IsLatest"]))

    def _version(self, key: Key, item: dict[str, Any], *, ask: bool) -> Version:
        version = VersionId(item["VersionId"])
        if "ETag" not in item:
            return Version(
                key, version, VersionKind.TOMBSTONE, _ns(item["LastModified"]), is_head=False
            )
        if not ask:
            return Version(
                key,
                version,
                VersionKind.CONTENT,
                _ns(item["LastModified"]),
                _token(item["ETag"]),
                size=item["Size"],
                is_head=item["IsLatest"],
            )
        with self._lock:
            known = self._known.get((key, version))
        if known is None:
            known = self.stat(key, version)
            with self._lock:
                self._known[key, version] = known
        # A listing's time is the same for every reader; HEAD's may be finer.
        return replace(known, time_ns=_ns(item["LastModified"]), is_head=item["IsLatest"])

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        for record in self._late(key):
            if record.write_id == write.write_id:
                return record
        with translated(self.spec.alias, key, "find"):
            items = list(self._items(key))
        # The base is one of those with its token, and the write is newer: behind the oldest it cannot be.
        bases = [at for at, item in enumerate(items) if _token(item.get("ETag", "")) == write.base]
        newer = items[: bases[-1]] if bases else items
        for looked, item in enumerate(newer):
            if "ETag" not in item:
                continue
            if looked >= _LOOKS:
                raise errors.Unavailable(
                    f"more than {_LOOKS} versions are newer than this write's base",
                    store=self.spec.alias,
                    key=key,
                    operation="find",
                )
            version = self._version(key, item, ask=True)
            if version.write_id == write.write_id:
                return version
        return None

    # --- writing

    def put(self, key: Key, source: Path, write: Write, *, overdue: bool = False) -> Version:
        """See `base.Store`."""
        head = self._head(key)
        if not _is_base(head, write):
            if overdue:
                return self._put_aside(key, source, replace(write, marks=(*write.marks, Mark.LATE)))
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        self._upload(self._name(key), source, write, _content_type(key))
        return self._made(key, write)

    def _upload(self, name: str, source: Path, write: Write, content_type: str) -> None:
        extra: dict[str, Any] = {"Metadata": _metadata(write), "ContentType": content_type}
        if write.hashes is not None:
            extra["ContentMD5"] = base64.b64encode(bytes.fromhex(write.hashes.md5)).decode()
        with translated(self.spec.alias, name, "put"):
            upload(self._client, self._bucket, name, source, write.size, extra)

    def _made(self, key: Key, write: Write) -> Version:
        """The version that a write has just made.

        Size and write id are compared before anyone is told yes.
        """
        made = self._head(key)
        if made is None or made.write_id != write.write_id:
            # Somebody else was there since, with a content or a deletion.
            found = self.find_write(key, write)
            if found is None:
                raise errors.Unavailable(
                    "the store does not show the version that it has taken",
                    store=self.spec.alias,
                    key=key,
                    operation="put",
                )
            made = found
        if made.size != write.size:
            raise errors.Corrupt(
                f"the store has {made.size} bytes of {write.size}",
                store=self.spec.alias,
                key=key,
                operation="put",
            )
        return replace(made, is_head=True)

    def _put_aside(self, key: Key, source: Path, write: Write) -> Version:
        name = self._content_name(write.version)
        self._upload(name, source, write, "application/octet-stream")
        with translated(self.spec.alias, key, "put"):
            answer = self._client.head_object(Bucket=self._bucket, Key=name)
            version = replace(
                _from_head(key, answer, is_head=False),
                id=VersionId(write.version),
                time_ns=write.time_ns,
            )
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{self._late_prefix(key)}{write.time_ns:020d}-{write.version}",
                Body=msgspec.json.encode(version),
                ContentType="application/json",
            )
        return version

    def _late(self, key: Key) -> tuple[Version, ...]:
        """What came late to a key."""
        found = []
        with translated(self.spec.alias, key, "history"):
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._late_prefix(key)
            )
            for item in answer.get("Contents", ()):
                body = self._client.get_object(Bucket=self._bucket, Key=item["Key"])["Body"].read()
                found.append(msgspec.json.decode(body, type=Version))
        return tuple(found)

    def copy(
        self, key: Key, token: Token, target: Key, write: Write, *, version: VersionId | None = None
    ) -> Version:
        """See `base.Store`."""
        found = self._source(key, token, version)
        write = replace(
            write,
            size=found.size,
            hashes=write.hashes or found.hashes,
            mode=found.mode if write.mode is None else write.mode,
            mtime_ns=found.mtime_ns if write.mtime_ns is None else write.mtime_ns,
        )
        if not _is_base(self._head(target), write):
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        source = {"Bucket": self._bucket, "Key": self._name(key), "VersionId": found.id}
        arguments: dict[str, Any] = {
            "Metadata": _metadata(write),
            "ContentType": _content_type(target),
        }
        with translated(self.spec.alias, key, "copy"):
            if found.size > _WHOLE_COPY:
                copy_in_parts(
                    self._client, self._bucket, self._name(target), source, found.size, arguments
                )
            else:
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=self._name(target),
                    CopySource=source,
                    MetadataDirective="REPLACE",
                    **arguments,
                )
        return self._made(target, write)

    def _source(self, key: Key, token: Token, version: VersionId | None) -> Version:
        """The version to copy.

        Conditions on the source are ignored by some servers, so it is named by its id.
        """
        if version is None:
            head = self._head(key)
            if head is not None and head.token == token:
                return head
            version = self._locate(key, token).get("VersionId")
        found = self.stat(key, version)
        if found.token != token:
            raise errors.Changed(
                "the source is another content now",
                store=self.spec.alias,
                key=key,
                operation="copy",
            )
        return found

    def remove(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`. What is no longer the base is left alone."""
        head = self._head(key)
        if head is None or not _is_base(head, write):
            return None
        with translated(self.spec.alias, key, "remove"):
            answer = self._client.delete_object(Bucket=self._bucket, Key=self._name(key))
        return Version(
            key,
            VersionId(answer.get("VersionId", "null")),
            VersionKind.TOMBSTONE,
            write.time_ns,
            base=write.base,
            write_id=write.write_id,
        )

    def make_directory(self, key: Key, mode: int) -> None:
        """See `base.Store`; the mode is not kept."""
        del mode
        if self._lives(f"{self._name(key)}/"):
            raise errors.AlreadyExists(
                "there is such a folder", store=self.spec.alias, key=key, operation="mkdir"
            )
        with translated(self.spec.alias, key, "mkdir"):
            self._client.put_object(Bucket=self._bucket, Key=f"{self._name(key)}/", Body=b"")

    def remove_directory(self, key: Key) -> None:
        """See `base.Store`."""
        marker = f"{self._name(key)}/"
        with translated(self.spec.alias, key, "rmdir"):
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=marker, MaxKeys=2)
            names = [item["Key"] for item in answer.get("Contents", ())]
            if any(name != marker for name in names):
                raise errors.NotSupported(
                    "the folder is not empty", store=self.spec.alias, key=key, operation="rmdir"
                )
            if names:
                self._client.delete_object(Bucket=self._bucket, Key=marker)

    def set_attributes(self, key: Key, attributes: Attributes) -> Entry:
        """See `base.Store`.

        Attributes travel with the content here, and cannot be changed later.
        """
        raise errors.NotSupported(
            "S3 keeps attributes only with the content",
            store=self.spec.alias,
            key=key,
            operation="attributes",
        )

    def make_symlink(self, key: Key, target: str, write: Write) -> Entry:
        """See `base.Store`: there are none yet."""
        raise errors.NotSupported(
            "no symlinks on S3", store=self.spec.alias, key=key, operation="symlink"
        )

    def keep_directory(self, key: Key) -> None:
        """See `base.Store`."""
        if key and not self._lives(f"{self._name(key)}/"):
            with translated(self.spec.alias, key, "mkdir"):
                self._client.put_object(Bucket=self._bucket, Key=f"{self._name(key)}/", Body=b"")

    def close(self) -> None:
        """See `base.Store`."""
        self._client.close()

    # --- parts

    def _head(self, key: Key) -> Version | None:
        try:
            return self.stat(key)
        except errors.NotFound:
            return None

    def _lives(self, prefix: str) -> bool:
        with translated(self.spec.alias, prefix, "list"):
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)
        return bool(answer.get("KeyCount", len(answer.get("Contents", ()))))

    def _name(self, key: Key) -> str:
        return self._prefix + key

    def _key(self, name: str) -> Key:
        return Key(name[len(self._prefix) :])

    def _content_name(self, version: str) -> str:
        return f"{self._prefix}{HIDDEN_FOLDER}/content/{version}"

    def _late_prefix(self, key: Key) -> str:
        return f"{self._prefix}{HIDDEN_FOLDER}/history/{key}@"


def _client(spec: StoreSpec) -> Any:
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path"} if spec.endpoint else None,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = spec.region or ("us-east-1" if spec.endpoint else None)
    session = boto3.session.Session()
    client = session.client(
        "s3",
        endpoint_url=spec.endpoint,
        region_name=region or session.region_name or "us-east-1",
        config=config,
    )
    client.meta.events.register("before-parse.s3.ListObjectVersions", _note_order)
    return client


def _metadata(write: Write) -> dict[str, str]:
    """What travels with a version.

    Write id, base, hashes, mode (octal), mtime (nanoseconds), marks (JSON).
    """
    about: dict[str, str] = {"vstorefs-write": write.write_id}
    if write.base is not None:
        about["vstorefs-base"] = write.base
    if write.hashes is not None:
        about |= {
            f"vstorefs-{name}": getattr(write.hashes, name) for name in ("md5", "sha1", "sha256")
        }
    if write.mode is not None:
        about["vstorefs-mode"] = f"{write.mode:o}"
    if write.mtime_ns is not None:
        about["vstorefs-mtime"] = str(write.mtime_ns)
    if write.marks:
        about["vstorefs-marks"] = json.dumps([mark.value for mark in write.marks])
    return about


def _from_head(key: Key, answer: Any, *, is_head: bool) -> Version:
    about = {
        name.removeprefix("vstorefs-"): value for name, value in answer.get("Metadata", {}).items()
    }
    hashes = Hashes(about["md5"], about["sha1"], about["sha256"]) if "sha256" in about else None
    ours = "write" in about
    marks = tuple(Mark(mark) for mark in json.loads(about.get("marks", "[]")))
    time_ns = _ns(answer["LastModified"])
    return Version(
        key,
        VersionId(answer.get("VersionId", "null")),
        VersionKind.CONTENT,
        time_ns,
        _token(answer["ETag"]),
        size=answer["ContentLength"],
        mtime_ns=int(about["mtime"]) if ours and "mtime" in about else time_ns,
        mode=int(about["mode"], 8) if ours and "mode" in about else None,
        base=Token(about["base"]) if "base" in about else None,
        write_id=WriteId(about["write"]) if ours else None,
        hashes=hashes if ours else None,
        marks=marks if ours else (Mark.OUTSIDE,),
        is_head=is_head,
    )


def _note_order(response_dict: Any, customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Versions and delete markers come in one list, newest first; botocore makes two of it and loses their order."""
    kinds = re.findall(rb"<(Version|DeleteMarker)>", response_dict["body"])
    customized_response_dict["Kinds"] = [kind.decode() for kind in kinds]


def _in_order(answer: dict[str, Any]) -> list[dict[str, Any]]:
    lists = {
        "Version": iter(answer.get("Versions", ())),
        "DeleteMarker": iter(answer.get("DeleteMarkers", ())),
    }
    items = [next(lists[kind]) for kind in answer["Kinds"]]
    # Within a key a listing goes back in time; one that lists markers apart does not, and is put right by time.
    items.sort(key=lambda item: item["LastModified"], reverse=True)
    return items


def _is_base(head: Version | None, write: Write) -> bool:
    return (
        is_base(head.token, head.write_id, write)
        if head is not None
        else is_base(None, None, write)
    )


def _is_name(name: str) -> bool:
    return (
        name not in {"", ".", ".."}
        and "/" not in name
        and "\0" not in name
        and len(name.encode()) <= _NAME_BYTES
    )


def _content_type(key: Key) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def _token(etag: str) -> Token:
    return Token(etag.strip('"'))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
