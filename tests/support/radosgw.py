"""Ceph's radosgw, a real S3 server with versioning: one mon, one OSD in memory, no mgr.

It checks signatures, serves ranges fast, and honours only some conditions, as many look-alikes do.
A counting proxy stands before it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.processes import ROOT, answers, free_port, running, wait_until
from tests.support.s3server import S3Server

_CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
ms bind port min = {low}
ms bind port max = {high}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = 6442450944
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw relaxed s3 bucket names = true
rgw crypt require ssl = false
# A full store answers, with an error, where it would hold every request for ever.
rados osd op timeout = 60
"""


READER, LISTER = "reader", "lister"
"""Two more users, who may do what a bucket's policy lets them."""
_MAY = {
    READER: ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetObject*"],
    LISTER: ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning"],
}


@dataclass
class CountedServer(S3Server):
    """A server behind the counting proxy. `conf` is its own, where it is a radosgw."""

    conf: Path | None = None

    def admin(self, *command: str) -> None:
        """Change users and their keys."""
        subprocess.run(
            ["radosgw-admin", "-c", str(self.conf), *command],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def env_of(self, user: str) -> dict[str, str]:
        """What a program of another user's needs to reach the server."""
        own = {
            "AWS_ACCESS_KEY_ID": f"{user}-access",
            "AWS_SECRET_ACCESS_KEY": f"{user}-secret-key",
        }
        return self.env | own

    def let_in(self, bucket: str) -> None:
        """Let the other users see a bucket, each as much as it may."""
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
                "Action": actions,
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
            for user, actions in _MAY.items()
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client().put_bucket_policy(Bucket=bucket, Policy=policy)

    def gets_of(self, path: str) -> int:
        return self._counts().get(f"GET /{path}", 0)

    def gets_below(self, path: str) -> list[str]:
        """The names below a path that were read so far, relative to it."""
        head = f"GET /{path}"
        return [name.removeprefix(head) for name in self._counts() if name.startswith(head)]

    def puts_of(self, path: str) -> int:
        return self._counts().get(f"PUT /{path}", 0)

    def requests(self) -> int:
        """All requests so far."""
        return sum(count for name, count in self._counts().items() if not name.startswith("LIST "))

    def deletes(self) -> int:
        """Requests that delete something."""
        return sum(count for name, count in self._counts().items() if name.startswith("DELETE "))

    def lists_of(self, bucket: str) -> int:
        """Requests that list a bucket's objects."""
        return self._counts().get(f"LIST /{bucket}", 0)

    def _counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.endpoint}/__counts__") as answer:
            return {str(name): int(count) for name, count in json.load(answer).items()}


@contextlib.contextmanager
def counted(
    port: int, folder: Path, server: S3Server, *, delay_ms: int = 0
) -> Iterator[CountedServer]:
    """A counting proxy before a server on a port; it may hold up every request."""
    own = free_port()
    module = "tests.support.counting_proxy"
    command = [sys.executable, "-m", module, str(own), str(port), str(delay_ms)]
    with running(command, folder / "proxy.log", cwd=ROOT) as proxy:
        wait_until(lambda: answers(own), "answer of the proxy", process=proxy)
        yield CountedServer(f"http://127.0.0.1:{own}", server.access_key, server.secret_key)


@contextlib.contextmanager
def radosgw(folder: Path) -> Iterator[CountedServer]:
    """A running radosgw with one user."""
    mon1, mon2, port = free_port(), free_port(), free_port()
    conf = folder / "ceph.conf"
    low = 20000 + port % 10000
    conf.write_text(
        _CONF.format(
            fsid=uuid.uuid4(),
            mon1=mon1,
            mon2=mon2,
            low=low,
            high=low + 60,
            folder=folder,
            port=port,
        )
    )
    (folder / "osd").mkdir()

    def call(*command: str) -> str:
        return subprocess.run(
            [command[0], "-c", str(conf), *command[1:]]
            if command[0] != "monmaptool"
            else list(command),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    _make_keys(folder)
    fsid = conf.read_text().split("fsid = ")[1].split()[0]
    address = f"[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]"
    call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, f"{folder}/monmap")
    call(
        "ceph-mon",
        "-i",
        "a",
        "--mkfs",
        "--monmap",
        f"{folder}/monmap",
        "--keyring",
        f"{folder}/keyring",
    )
    base = ["-c", str(conf), "-f"]
    with contextlib.ExitStack() as stack:
        mon = stack.enter_context(running(["ceph-mon", "-i", "a", *base], folder / "mon.out"))
        wait_until(lambda: answers(mon2), "answer of the mon", process=mon)
        osd_id = str(uuid.uuid4())
        call("ceph", "osd", "new", osd_id)
        call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        osd = stack.enter_context(running(["ceph-osd", "-i", "0", *base], folder / "osd.out"))
        wait_until(lambda: "1 up" in call("ceph", "osd", "stat"), "start of the OSD", process=osd)
        gateway = stack.enter_context(
            running(["radosgw", "-n", "client.rgw", *base], folder / "rgw.out")
        )
        wait_until(lambda: answers(port), "answer of radosgw", process=gateway, seconds=120)
        user = S3Server(f"http://127.0.0.1:{port}", "testaccess", "testsecretkey")
        call(
            "radosgw-admin",
            "user",
            "create",
            "--uid=u",
            "--display-name=u",
            f"--access-key={user.access_key}",
            f"--secret-key={user.secret_key}",
        )
        for name in (READER, LISTER):
            call(
                *("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"),
                *(f"--access-key={name}-access", f"--secret-key={name}-secret-key"),
            )
        server = stack.enter_context(counted(port, folder, user))
        yield replace(server, conf=conf)


def _make_keys(folder: Path) -> None:
    ring = f"{folder}/keyring"
    everything = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
    caps = {
        "mon.": ["--cap", "mon", "allow *"],
        "client.admin": [*everything],
        "osd.0": ["--cap", "mon", "allow profile osd", "--cap", "osd", "allow *"],
        "client.rgw": ["--cap", "mon", "allow rwx", "--cap", "osd", "allow rwx"],
    }
    subprocess.run(["ceph-authtool", "--create-keyring", ring], check=True, capture_output=True)
    for name, given in caps.items():
        subprocess.run(
            ["ceph-authtool", ring, "--gen-key", "-n", name, *given],
            check=True,
            capture_output=True,
        )
