"""OpenStack Swift itself: account, container, object and proxy server, and memcached for its tokens."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import swiftclient

from tests.support.processes import ROOT, answers, free_port, running, wait_until

_BACKEND = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
workers = 1
log_level = WARNING

[pipeline:main]
pipeline = healthcheck recon {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:recon]
use = egg:swift#recon
recon_cache_path = {folder}/recon
"""
_PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl tempauth copy slo dlo "
    "versioned_writes symlink proxy-logging proxy-server"
)
_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
workers = 1
log_level = WARNING

[pipeline:main]
pipeline = {pipeline}

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
error_suppression_limit = 1000000
error_suppression_interval = 0
# A busy machine is no reason to give up after half a second.
conn_timeout = 20
node_timeout = 60

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_reader = key-of-test:reader
user_test_outsider = key-of-test:outsider

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
connect_timeout = 20
pool_timeout = 20
io_timeout = 20
"""
_PLAIN_FILTERS = (
    *(
        "catch_errors",
        "gatekeeper",
        "healthcheck",
        "proxy-logging:proxy_logging",
        "bulk",
        "tempurl",
    ),
    *("listing_formats", "copy", "slo", "dlo", "symlink"),
)
_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = vstorefs
swift_hash_path_suffix = tests

[storage-policy:0]
name = gold
default = yes

[swift-constraints]
max_meta_overall_size = 2048
"""


READER, OUTSIDER = "test:reader", "test:outsider"
EVERYBODY = ".r:*,.rlistings"


@dataclass
class SwiftServer:
    """A running Swift. `env` is what a program needs to reach it."""

    port: int
    memcached: int
    user: str = "test:tester"
    key: str = "testing"

    @property
    def env(self) -> dict[str, str]:
        return {
            "ST_AUTH": f"http://127.0.0.1:{self.port}/auth/v1.0",
            "ST_USER": self.user,
            "ST_KEY": self.key,
        }

    def forget_tokens(self) -> None:
        """All tokens that were given out run out."""
        with socket.create_connection(("127.0.0.1", self.memcached)) as sock:
            sock.sendall(b"flush_all\r\n")
            assert sock.recv(100) == b"OK\r\n"

    def client(self) -> swiftclient.Connection:
        return swiftclient.Connection(self.env["ST_AUTH"], self.user, self.key)

    def env_of(self, user: str) -> dict[str, str]:
        """What a program of another user's needs, who may do what a container lets it."""
        return self.env | {"ST_USER": user, "ST_KEY": f"key-of-{user}"}

    def container(self, name: str, *, versioned: bool = True, readers: str = "") -> None:
        headers = {"X-Versions-Enabled": "true"} if versioned else {}
        if readers:
            headers["X-Container-Read"] = readers
        client = self.client()
        client.put_container(name, headers)
        client.close()


@contextlib.contextmanager
def swift(folder: Path) -> Iterator[SwiftServer]:
    """A running Swift with one device in `folder`."""
    for name in ("devices/d1", "recon"):
        (folder / name).mkdir(parents=True)
    swift_conf = folder / "swift.conf"
    swift_conf.write_text(_SWIFT)
    about = {"folder": folder, "user": _me()}
    ports = {kind: free_port() for kind in ("object", "container", "account", "proxy")}
    memcached = free_port()
    with contextlib.ExitStack() as stack:
        cache = ["memcached", "-l", "127.0.0.1", "-p", str(memcached), "-U", "0", "-u", _me()]
        stack.enter_context(running(cache, folder / "memcached.log"))
        for kind in ("object", "container", "account"):
            _make_ring(folder, kind, ports[kind])
            text = _BACKEND.format(kind=kind, port=ports[kind], **about)
            (folder / f"{kind}.conf").write_text(text)
        (folder / "proxy.conf").write_text(
            _PROXY.format(port=ports["proxy"], pipeline=_PIPELINE, memcached=memcached, **about)
            + "".join(_filter(name) for name in _PLAIN_FILTERS)
        )
        for kind, port in ports.items():
            module = "tests.support.swiftapp"
            conf = folder / f"{kind}.conf"
            command = [sys.executable, "-m", module, kind, str(conf), str(swift_conf)]
            process = stack.enter_context(running(command, folder / f"{kind}.log", cwd=ROOT))
            wait_until(lambda: answers(port), f"answer of {kind}", process=process)  # noqa: B023
        server = SwiftServer(ports["proxy"], memcached)
        wait_until(lambda: _is_healthy(server), "health of swift")
        yield server


def _me() -> str:
    return subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()


def _filter(name: str) -> str:
    section, _, entry = name.partition(":")
    return f"\n[filter:{section}]\nuse = egg:swift#{entry or section}\n"


def _make_ring(folder: Path, kind: str, port: int) -> None:
    builder = str(folder / f"{kind}.builder")
    for arguments in (
        ["create", "4", "1", "1"],
        ["add", f"r1z1-127.0.0.1:{port}/d1", "1"],
        ["rebalance"],
    ):
        command = [str(Path(sys.executable).parent / "swift-ring-builder"), builder, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # The builder ends with 1 for a remark.
        assert done.returncode in {0, 1}, done.stdout + done.stderr


def _is_healthy(server: SwiftServer) -> bool:
    url = f"http://127.0.0.1:{server.port}/healthcheck"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
