"""Web servers for tests: nginx, rich and poor, and Python's own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.certificates import Certificate
from tests.support.processes import answers, free_port, running, wait_until

NAME, SECRET, TOKEN = "reader", "open-sesame", "bearer-of-nothing"
_CONF = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ text/html html; text/csv csv; }}
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {root}; autoindex on; }}
        location /poor/ {{ alias {root}/; autoindex on; max_ranges 0; etag off; }}
        location /nameless/ {{ alias {root}/; autoindex on; etag off; add_header Last-Modified ""; }}
        location /noindex/ {{ alias {root}/; }}
        location /secret/ {{
            alias {root}/; autoindex on; auth_basic "x"; auth_basic_user_file {folder}/users;
        }}
        location /token/ {{
            alias {root}/; autoindex on;
            if ($http_authorization != "Bearer {token}") {{ return 401; }}
        }}
        location /zipped/ {{ alias {root}/; gzip on; gzip_types *; gzip_min_length 1; }}
        location /packed/ {{ alias {root}/; add_header Content-Encoding gzip; }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
        location /circle/ {{ rewrite ^/circle/(.*)$ /circle/$1 redirect; }}
        location /down/ {{ return 503; }}
        location /closed/ {{ alias {root}/; autoindex on; location ~ /f$ {{ return 403; }} }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, root: Path, port: int | None = None) -> Iterator[str]:
    """A running nginx that shows `root` in many ways; gives the address of its root."""
    port = port or free_port()
    secret = subprocess.run(
        ["openssl", "passwd", "-apr1", SECRET], check=True, capture_output=True, text=True
    ).stdout.strip()
    (folder / "users").write_text(f"{NAME}:{secret}\n")
    (folder / "users").chmod(0o644)
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(user=_user(), folder=folder, root=root, port=port, token=TOKEN))
    with running(["nginx", "-c", str(conf)], folder / "nginx.out") as process:
        wait_until(lambda: answers(port), "answer of nginx", process=process)
        yield f"http://127.0.0.1:{port}/"


_TLS = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/tls-pid;
error_log {folder}/tls-error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        location / {{
            proxy_pass {behind};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@contextlib.contextmanager
def tls_front(folder: Path, behind: str, certificate: Certificate) -> Iterator[str]:
    """The way to a server by TLS; gives its address."""
    port = free_port()
    place = folder / "tls"
    place.mkdir()
    conf = place / "nginx.conf"
    about = {"user": _user(), "folder": place, "port": port, "behind": behind}
    conf.write_text(_TLS.format(**about, chain=certificate.chain, key=certificate.key))
    with running(["nginx", "-c", str(conf)], place / "nginx.out") as process:
        wait_until(lambda: answers(port), "answer of nginx", process=process)
        yield f"https://127.0.0.1:{port}"


def _user() -> str:
    who = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    return f"user {who};" if who == "root" else ""


@contextlib.contextmanager
def python_server(folder: Path, root: Path) -> Iterator[str]:
    """Python's own server, which knows neither ranges nor ETags."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running([*command, "--directory", str(root)], folder / "python.out") as process:
        wait_until(lambda: answers(port), "answer of the server", process=process)
        yield f"http://127.0.0.1:{port}/"


LIARS_TRUTH = bytes(range(250)) * 4


class _Liar(BaseHTTPRequestHandler):
    """A server that says wrong things of files of 1,000 bytes, each by its name."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(200, LIARS_TRUTH, {})

    def do_GET(self) -> None:
        name = self.path.strip("/")
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None or name in {"short", "shrunk"}:
            self._answer(200, LIARS_TRUTH[:600] if name == "shrunk" else LIARS_TRUTH, {})
            return
        start, end = int(asked[1]), int(asked[2])
        shift = 1 if name == "other-range" else 0
        told = {"Content-Range": f"bytes {start - shift}-{end - shift}/{len(LIARS_TRUTH)}"}
        self._answer(206, LIARS_TRUTH[start : end + 1], told)

    def _answer(self, status: int, data: bytes, told: dict[str, str]) -> None:
        name = self.path.strip("/")
        length: dict[str, str] = {"Content-Length": str(len(data))}
        if name == "no-number":
            length = {"Content-Length": "many"}
        if name == "no-length":
            length = {}
        whole = "Last-Modified" if name in {"short", "shrunk"} else "ETag"
        stamp = "Sun, 01 Nov 2026 10:00:00 GMT" if whole == "Last-Modified" else f'"{name}"'
        self.send_response(status)
        for key, value in ({whole: stamp} | length | told).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = data[:600] if name.startswith("short") else data
        self.wfile.write(sent + (b"and more" if name == "long" else b""))
        if length.get("Content-Length") != str(len(sent)):
            self.close_connection = True


@contextlib.contextmanager
def liar() -> Iterator[str]:
    """A server that says wrong things; gives the address of its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
