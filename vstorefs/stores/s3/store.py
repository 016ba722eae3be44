"""The `s3` kind: a bucket of S3 or of a server that speaks its language, and a prefix in it.

A token is an ETag: equal ETags of a name mean equal bytes, whether or not it is an MD5. A version is
S3's VersionId. Look-alikes ignore some conditions, so nothing here takes a success for proof; what
holds where is found out by the probe.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore import exceptions as boto
from botocore.config import Config

from vstorefs import errors
from vstorefs.model import StoreSpec, Token, VersionId
from vstorefs.stores.addresses import bucket_and_prefix
from vstorefs.stores.bucket import (
    ListedVersion,
    Object,
    ObjectPage,
    Said,
    Source,
    Stat,
    Unfinished,
    Versioning,
)
from vstorefs.stores.paging import onward
from vstorefs.stores.s3.checksums import ask_for_checksums, claims_of
from vstorefs.stores.s3.errors import translated
from vstorefs.stores.s3.headers import NAMES, named
from vstorefs.stores.s3.upload import WHOLE_BYTES, copy_in_parts, upload

if TYPE_CHECKING:
    from datetime import datetime

_BLOCK = 1 << 20
_WHOLE_COPY = 5 << 30
_CONNECTIONS = 64
_GOES_ON = ("NextContinuationToken", "NextKeyMarker", "NextVersionIdMarker", "NextUploadIdMarker")
_NO_BUCKET = "there is no bucket {}; correct its name or the endpoint, or make it first"


class S3Bucket:
    """One bucket and prefix."""

    whole_bytes = WHOLE_BYTES
    atomic = True
    version_bytes = 0

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self._bucket, self._prefix = bucket_and_prefix(spec.url)
        self.prefix_bytes = len(self._prefix.encode())
        with translated(spec.alias, "", "open"):
            self._client = _client(spec)

    def birth(self) -> str:
        """See `bucket.Bucket`."""
        return ""

    def versioning(self) -> Versioning:
        """See `bucket.Bucket`."""
        try:
            with translated(self.spec.alias, "", "check"):
                self._with_reason(
                    partial(self._client.head_bucket, Bucket=self._bucket),
                    partial(self._client.list_objects_v2, Bucket=self._bucket, MaxKeys=1),
                )
        except (errors.NotFound, errors.Displaced) as error:
            raise errors.NotFound(
                _NO_BUCKET.format(self._bucket), store=self.spec.alias, operation="check"
            ) from error
        try:
            with translated(self.spec.alias, "", "check"):
                answer = self._client.get_bucket_versioning(Bucket=self._bucket)
        except errors.Denied as error:
            raise errors.Denied(
                f"these credentials may not read the versioning of bucket {self._bucket} "
                "(s3:GetBucketVersioning)",
                store=self.spec.alias,
                operation="check",
            ) from error
        return {"Enabled": Versioning.ENABLED, "Suspended": Versioning.SUSPENDED}.get(
            answer.get("Status", ""), Versioning.OFF
        )

    def keeps(self, version: VersionId | None) -> bool:
        """See `bucket.Bucket`. What is written while no versions are kept is "null", and replaced by the next."""
        return version not in {None, "null"}

    # --- looking

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """See `bucket.Bucket`."""
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if by_folder:
            arguments["Delimiter"] = "/"
        if limit is not None:
            arguments["MaxKeys"] = limit
        with translated(self.spec.alias, prefix, "list"):
            # botocore asks for url-encoded names itself, and decodes them only then.
            answers = self._client.get_paginator("list_objects_v2").paginate(**arguments)
            for answer in onward(answers, _goes_on_at, self.spec.alias, prefix):
                yield ObjectPage(
                    tuple(
                        Object(
                            self._relative(item["Key"]),
                            item["Size"],
                            _ns(item["LastModified"]),
                            _token(item["ETag"]),
                        )
                        for item in answer.get("Contents", ())
                    ),
                    tuple(
                        self._relative(item["Prefix"]) for item in answer.get("CommonPrefixes", ())
                    ),
                )
                if limit is not None:
                    return

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """See `bucket.Bucket`."""
        extra = {"VersionId": version} if version is not None else {}
        with translated(self.spec.alias, name, "stat"):
            place = {"Bucket": self._bucket, "Key": self._prefix + name, **extra}
            answer = self._with_reason(
                partial(self._client.head_object, **place),
                partial(self._client.get_object, **place),
            )
        found = answer.get("VersionId")
        return Stat(
            name,
            answer["ContentLength"],
            _ns(answer["LastModified"]),
            _token(answer["ETag"]),
            VersionId(found) if found is not None else None,
            answer.get("Metadata", {}),
            {name: answer[ours] for name, ours in NAMES.items() if ours in answer},
        )

    @staticmethod
    def _with_reason(head: Callable[[], Any], get: Callable[[], Any]) -> Any:
        """The answer to a HEAD; where it is "400", which has no room for a reason, `get` is asked for that.

        So S3 refuses a session that has run out, and an object that is encrypted with its owner's key.
        """
        try:
            return head()
        except boto.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "400":
                answer = get()
                if "Body" in answer:
                    answer["Body"].close()
            raise

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
        answer = self._open(name, start, end, token, version, size)
        if said is not None:
            said(claims_of(answer), answer.get("Metadata", {}))
        body = answer["Body"]
        left = end - start
        try:
            with translated(self.spec.alias, name, "read"):
                while left:
                    block = body.read(min(_BLOCK, left))
                    if not block:
                        raise errors.Unavailable(
                            "the server ended the content early",
                            store=self.spec.alias,
                            key=name,
                            operation="read",
                        )
                    left -= len(block)
                    yield block
        finally:
            body.close()

    def _open(
        self,
        name: str,
        start: int,
        end: int,
        token: Token | None,
        version: VersionId | None,
        size: int | None,
    ) -> Any:
        extra: dict[str, Any] = {"VersionId": version} if version is not None else {}
        if token is not None:
            extra["IfMatch"] = f'"{token}"'
        with translated(self.spec.alias, name, "read"):
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                Range=f"bytes={start}-{end - 1}",
                **extra,
            )
        whole = answer.get("ContentRange", "").rpartition("/")[2]
        is_other = (token is not None and _token(answer["ETag"]) != token) or (
            whole != str(size) if size is not None else not whole.isdigit() or int(whole) < end
        )
        length = answer["ContentLength"]
        if not is_other and length == end - start:
            return answer
        answer["Body"].close()
        kind, why = (
            (errors.Changed, "the store has other content there")
            if is_other
            else (
                errors.Unavailable,
                f"the server announced {length} bytes instead of {end - start}",
            )
        )
        raise kind(why, store=self.spec.alias, key=name, operation="read")

    def get(self, name: str) -> bytes:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, name, "read"):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            data = bytes(answer["Body"].read())
        if len(data) != answer["ContentLength"]:
            raise errors.Unavailable(
                "the server ended the content early",
                store=self.spec.alias,
                key=name,
                operation="read",
            )
        return data

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """See `bucket.Bucket`."""
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if by_folder:
            arguments["Delimiter"] = "/"
        with translated(self.spec.alias, prefix, "versions"):
            answers = self._client.get_paginator("list_object_versions").paginate(**arguments)
            for answer in onward(answers, _goes_on_at, self.spec.alias, prefix):
                yield tuple(
                    ListedVersion(
                        self._relative(item["Key"]),
                        VersionId(item["VersionId"]),
                        _ns(item["LastModified"]),
                        item.get("Size", 0),
                        _token(item["ETag"]) if "ETag" in item else None,
                        item["IsLatest"],
                    )
                    for item in _in_order(answer)
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
        extra: dict[str, Any] = {
            **named(headers),
            "Metadata": dict(metadata),
            "ContentType": content_type,
        }
        if md5 is not None:
            extra["ContentMD5"] = base64.b64encode(bytes.fromhex(md5)).decode()
        with translated(self.spec.alias, name, "put", absent=absent):
            upload(
                self._client,
                self._bucket,
                self._prefix + name,
                source,
                extra,
                absent=absent,
                in_parts=in_parts,
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
        """See `bucket.Bucket`.

        Conditions on the source are ignored by some servers: where it has no version, it is looked at
        again afterwards, and a copy that may be of something else is not said to be one.
        """
        where = {"Bucket": self._bucket, "Key": self._prefix + name}
        if source.version is not None:
            where["VersionId"] = source.version
        arguments: dict[str, Any] = {
            **named(headers),
            "Metadata": dict(metadata),
            "ContentType": content_type,
        }
        with translated(self.spec.alias, target, "copy", absent=absent):
            if source.size > _WHOLE_COPY:
                copy_in_parts(
                    self._client,
                    self._bucket,
                    self._prefix + target,
                    where,
                    source.size,
                    arguments,
                    absent=absent,
                )
            else:
                if absent:
                    arguments["IfNoneMatch"] = "*"
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=self._prefix + target,
                    CopySource=where,
                    CopySourceIfMatch=f'"{source.token}"',
                    MetadataDirective="REPLACE",
                    **arguments,
                )
        if source.version is None and self.stat(name).token != source.token:
            raise errors.Changed(
                "the source changed while it was copied",
                store=self.spec.alias,
                key=name,
                operation="copy",
            )

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """See `bucket.Bucket`."""
        extra = {"VersionId": version} if version is not None else {}
        with translated(self.spec.alias, name, "delete"):
            answer = self._client.delete_object(
                Bucket=self._bucket, Key=self._prefix + name, **extra
            )
        found = answer.get("VersionId")
        return VersionId(found) if found is not None else None

    def enable_versioning(self) -> None:
        """See `bucket.Bucket`."""
        with translated(self.spec.alias, "", "enable versioning"):
            self._client.put_bucket_versioning(
                Bucket=self._bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    # --- what the provider does by itself

    def expiring(self) -> tuple[str, ...]:
        """See `bucket.Expiring`."""
        try:
            with translated(self.spec.alias, "", "check"):
                found = self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        except errors.NotFound:
            return ()
        return tuple(
            line
            for rule in found.get("Rules", ())
            if rule.get("Status") == "Enabled"
            for line in _removals(rule)
        )

    def unfinished(self) -> Iterator[Unfinished]:
        """See `bucket.Unfinishing`."""
        with translated(self.spec.alias, "", "list uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for one in page.get("Uploads", ()):
                    name = self._relative(one["Key"])
                    yield Unfinished(name, one["UploadId"], _ns(one["Initiated"]))

    def abort(self, upload: Unfinished) -> None:
        """See `bucket.Unfinishing`."""
        with translated(self.spec.alias, upload.name, "abort"):
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=self._prefix + upload.name, UploadId=upload.id
            )

    def close(self) -> None:
        """See `bucket.Bucket`."""
        self._client.close()

    def _relative(self, name: str) -> str:
        return name[len(self._prefix) :]


def _goes_on_at(answer: Mapping[str, Any]) -> tuple[str, ...] | None:
    told = [answer.get(name) for name in _GOES_ON]
    return tuple(map(str, told)) if any(told) else None


def _client(spec: StoreSpec) -> Any:
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path"} if spec.endpoint else None,
        signature_version=UNSIGNED if spec.anonymous else None,
        proxies={"http": spec.proxy, "https": spec.proxy} if spec.proxy is not None else None,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session()
    client = session.client(
        "s3",
        endpoint_url=spec.endpoint,
        region_name=spec.region or session.region_name or "us-east-1",
        config=config,
        verify=spec.ca_bundle,
    )
    if spec.requester_pays:
        client.meta.events.register("provide-client-params.s3.*", _agree_to_pay)
    client.meta.events.register("before-parse.s3.ListObjectVersions", _note_order)
    client.meta.events.register("before-call.s3.GetObject", ask_for_checksums)
    return client


def _removals(rule: dict[str, Any]) -> Iterator[str]:
    """What a lifecycle rule takes away."""
    name = rule.get("ID", "without a name")
    noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    if noncurrent is not None:
        yield f"rule {name} removes versions {noncurrent} days after they were superseded"
    after = rule.get("Expiration", {})
    if "Days" in after:
        yield f"rule {name} removes objects after {after['Days']} days"
    elif "Date" in after:
        yield f"rule {name} removes objects on {after['Date']:%Y-%m-%d}"


def _agree_to_pay(params: dict[str, Any], model: Any, **_: Any) -> None:
    """Every request that can say so says that its sender pays for it."""
    if "RequestPayer" in model.input_shape.members:
        params["RequestPayer"] = "requester"


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
    return sorted(items, key=lambda item: item["Key"])


def _token(etag: str) -> Token:
    return Token(etag.strip('"'))


def _ns(moment: datetime) -> int:
    """Whole seconds: a listing may be finer than a HEAD, and both have to say the same."""
    return int(moment.timestamp()) * 1_000_000_000
