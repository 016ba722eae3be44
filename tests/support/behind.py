"""A mount of a bucket behind the proxy of faults."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.faultproxy import FaultProxy, faulty
from tests.support.mounts import Mount, host
from tests.support.s3server import S3Server


@dataclass(frozen=True)
class Behind:
    """The mount, and what is behind it: requests for `bucket` pass the proxy, the server's own client does not."""

    mount: Mount
    proxy: FaultProxy
    server: S3Server
    bucket: str

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Another program's objects."""
        client = self.server.client()
        for key, content in contents.items():
            client.put_object(Bucket=self.bucket, Key=key, Body=content)

    @property
    def is_ok(self) -> bool:
        """Whether `status` says of the store that it is."""
        return bool(self.mount.status()["stores"][0]["state"] == "ok")


@contextlib.contextmanager
def behind(
    server: S3Server, folder: Path, *, versioned: bool, env: Mapping[str, str] | None = None
) -> Iterator[Behind]:
    """A mount of a new bucket; `env`: of the mount's processes, beside what reaches the server."""
    bucket = f"b{uuid.uuid4().hex[:12]}"
    server.bucket(bucket, versioned=versioned)
    with faulty(int(server.endpoint.rpartition(":")[2]), folder) as proxy:
        through = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        with host(folder / "host", {**server.env, **through, **(env or {})}) as one:
            yield Behind(one.mount(f"s3://{bucket}"), proxy, server, bucket)
