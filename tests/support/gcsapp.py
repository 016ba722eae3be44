"""A Google Cloud Storage of our own, for tests only: `python -m tests.support.gcsapp PORT [TOKEN]`.

No real server of this kind can be installed. It speaks as much of the JSON interface as Google's own
library uses here, with generations, preconditions, versioning, paging, ranges, resumable uploads,
copies, rewrites and compositions; everything lies in memory. With a token only who brings it is let
in, but anyone may read buckets named `public-…`; `TOKEN-readonly` may only read, `TOKEN-listonly` not
even files. `POST /token?token=T` gives the token T for any signed assertion, without T the right one.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
import re
import socket
import sys
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import google_crc32c

_PAGE = 1000
_SLICE = 1 << 20
_MOST_SOURCES = 32
_LAST = "\U0010ffff"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class Thing:
    """One generation of an object."""

    bucket: str
    name: str
    generation: int
    data: bytes
    about: dict[str, Any]
    metageneration: int = 1
    ended: int | None = None
    parts: int = 0

    def resource(self) -> dict[str, Any]:
        crc = google_crc32c.Checksum(self.data).digest() if self.data else b"\0\0\0\0"
        made = _moment(self.generation)
        found = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.data)),
            "storageClass": "STANDARD",
            "timeCreated": made,
            "updated": made,
            "timeFinalized": made,
            "crc32c": base64.b64encode(crc).decode(),
            "etag": base64.b64encode(str(self.generation).encode()).decode(),
            **self.about,
        }
        if self.parts:
            found["componentCount"] = self.parts
        else:
            found["md5Hash"] = base64.b64encode(hashlib.md5(self.data).digest()).decode()
        if self.ended is not None:
            found["timeDeleted"] = _moment(self.ended)
        return found

    def listed(self) -> dict[str, Any]:
        row = {
            "name": self.name,
            "size": str(len(self.data)),
            "generation": str(self.generation),
            "timeCreated": _moment(self.generation),
        }
        return row | ({"timeDeleted": _moment(self.ended)} if self.ended is not None else {})


@dataclass
class Bucket:
    """All generations of all names; `names` is sorted."""

    name: str
    about: dict[str, Any]
    names: list[str] = field(default_factory=list)
    things: dict[str, list[Thing]] = field(default_factory=dict)

    @property
    def versioned(self) -> bool:
        return bool(self.about.get("versioning", {}).get("enabled"))

    def live(self, name: str) -> Thing | None:
        found = self.things.get(name, [])
        return found[-1] if found and found[-1].ended is None else None

    def add(self, thing: Thing) -> None:
        self.end(thing.name, thing.generation)
        if thing.name not in self.things:
            bisect.insort(self.names, thing.name)
            self.things[thing.name] = []
        self.things[thing.name].append(thing)

    def end(self, name: str, at: int) -> None:
        live = self.live(name)
        if live is None:
            return
        live.ended = at
        if not self.versioned:
            self.forget(live)

    def forget(self, thing: Thing) -> None:
        self.things[thing.name].remove(thing)
        if not self.things[thing.name]:
            del self.things[thing.name]
            del self.names[bisect.bisect_left(self.names, thing.name)]


@dataclass
class Upload:
    """A resumable upload under way."""

    bucket: str
    about: dict[str, Any]
    query: dict[str, str]
    data: bytearray = field(default_factory=bytearray)


class Service:
    """What the server holds; every method is called under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.buckets: dict[str, Bucket] = {}
        self.uploads: dict[str, Upload] = {}
        self.moving: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self._last = 0

    def tick(self) -> int:
        """Microseconds, never the same twice."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return self._last

    def bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refusal(404, "notFound")
        return self.buckets[name]

    def find(self, bucket: str, name: str, query: dict[str, str]) -> Thing:
        place = self.bucket(bucket)
        wanted = query.get("generation")
        if wanted is None:
            thing = place.live(name)
        else:
            versions = place.things.get(name, [])
            thing = next((one for one in versions if str(one.generation) == wanted), None)
        # As the real one: a named generation is not what a condition is compared with.
        check(place.live(name), query, reading=True)
        if thing is None:
            raise Refusal(404, "notFound")
        return thing

    def store(
        self, bucket: str, about: dict[str, Any], data: bytes, query: dict[str, str], parts: int = 0
    ) -> Thing:
        place = self.bucket(bucket)
        name = about.pop("name", None) or query["name"]
        if len(name.encode()) > 1024 or not name or "\n" in name or "\r" in name:
            raise Refusal(400, "invalid")
        check(place.live(name), query, reading=False)
        crc, md5 = about.pop("crc32c", None), about.pop("md5Hash", None)
        thing = Thing(bucket, name, self.tick(), data, about, parts=parts)
        made = thing.resource()
        if crc not in {None, made["crc32c"]} or md5 not in {None, made.get("md5Hash")}:
            raise Refusal(400, "invalid")
        place.add(thing)
        return thing

    def listing(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        place = self.bucket(bucket)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        versions = query.get("versions", "").lower() == "true"
        most = min(int(query.get("maxResults", _PAGE)), _PAGE)
        after = query.get("pageToken")
        start = (
            base64.b64decode(after).decode() if after else max(prefix, query.get("startOffset", ""))
        )
        at = bisect.bisect_left(place.names, start)
        items: list[dict[str, Any]] = []
        prefixes: list[str] = []
        while at < len(place.names) and place.names[at].startswith(prefix):
            name = place.names[at]
            if "endOffset" in query and name >= query["endOffset"]:
                break
            if len(items) + len(prefixes) >= most:
                token = base64.b64encode(name.encode()).decode()
                return answer(items, prefixes) | {"nextPageToken": token}
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folder = prefix + rest[: rest.index(delimiter) + 1]
                behind = bisect.bisect_left(place.names, folder + _LAST, at)
                if versions or any(place.live(one) for one in place.names[at:behind]):
                    prefixes.append(folder)
                at = behind
                continue
            found = place.things[name] if versions else [place.live(name)]
            items += [one.listed() for one in found if one is not None]
            at += 1
        return answer(items, prefixes)


def answer(items: list[dict[str, Any]], prefixes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "storage#objects"}
    return (
        found | ({"items": items} if items else {}) | ({"prefixes": prefixes} if prefixes else {})
    )


def check(thing: Thing | None, query: dict[str, str], *, reading: bool) -> None:
    """Preconditions against the live generation; none stands for 0."""
    generation = thing.generation if thing is not None else 0
    wanted, unwanted = query.get("ifGenerationMatch"), query.get("ifGenerationNotMatch")
    if wanted is not None and int(wanted) != generation:
        raise Refusal(412, "conditionNotMet")
    if unwanted is not None and int(unwanted) == generation:
        raise Refusal(304 if reading else 412, "conditionNotMet")
    meta = query.get("ifMetagenerationMatch")
    if meta is not None and (thing is None or int(meta) != thing.metageneration):
        raise Refusal(412, "conditionNotMet")


def _moment(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


SERVICE = Service()
TOKEN: str | None = None


class Handler(BaseHTTPRequestHandler):
    """Finds out what is asked, and answers."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self._body()
        raw, _, text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        try:
            self._allow(raw)
            self._count(raw, query)
            with SERVICE.lock:
                reply = self._route(raw, query, body)
            self._send(*reply)
        except Refusal as refusal:
            error = {"code": refusal.status, "message": refusal.reason}
            error["errors"] = [{"reason": refusal.reason}]
            body = b"" if refusal.status == 304 else json.dumps({"error": error}).encode()
            self._send(refusal.status, body, {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            found = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(found)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _allow(self, raw: str) -> None:
        if TOKEN is None or raw.startswith("/__control__/") or raw == "/token":
            return
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given == TOKEN or (self.command == "GET" and re.search(r"/b/public-", raw)):
            return
        if given in {f"{TOKEN}-readonly", f"{TOKEN}-listonly"}:
            content = raw.startswith("/download/") and ".vstorefs" not in raw
            if self.command != "GET" or (content and given.endswith("-listonly")):
                raise Refusal(403, "forbidden")
            return
        raise Refusal(401, "authError")

    def _count(self, raw: str, query: dict[str, str]) -> None:
        if raw.startswith("/__control__/") or (
            re.fullmatch(r"/storage/v1/b/[^/]+", raw) and query.get("fields") == "name"
        ):
            return
        SERVICE.counts[f"{self.command} {raw}"] += 1
        if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o", raw):
            SERVICE.counts[f"LIST {found[1]}"] += 1

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304 and "Content-Type" not in headers:
            self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _route(  # noqa: C901
        self, raw: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if raw == "/token":
            if b"assertion=" not in body:
                raise Refusal(400, "invalid_grant")
            return said(
                {
                    "access_token": query.get("token", TOKEN),
                    "token_type": "Bearer",
                    "expires_in": 3600,
                }
            )
        if raw == "/__control__/token":
            renew(query["token"])
            return said({})
        if raw == "/__control__/counts":
            return said(dict(SERVICE.counts))
        parts = [urllib.parse.unquote(part) for part in raw.split("/")[1:]]
        match parts:
            case ["storage", "v1", "b"]:
                return self._make_bucket(json.loads(body))
            case ["storage", "v1", "b", bucket]:
                return self._bucket(bucket, body)
            case ["storage", "v1", "b", bucket, "o"]:
                return said(SERVICE.listing(bucket, query))
            case ["download", "storage", "v1", "b", bucket, "o", name]:
                return self._download(SERVICE.find(bucket, name, query))
            case ["upload", "storage", "v1", "b", bucket, "o"]:
                return self._upload(bucket, query, body)
            case ["storage", "v1", "b", bucket, "o", name]:
                return self._object(bucket, name, query, body)
            case ["storage", "v1", "b", bucket, "o", name, "compose"]:
                return self._compose(bucket, name, query, json.loads(body))
            case ["storage", "v1", "b", bucket, "o", name, verb, "b", other, "o", target]:
                return self._copy(verb, (bucket, name), (other, target), query, body)
        raise Refusal(404, "notFound")

    def _make_bucket(self, about: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        if self.command == "GET":
            return said({"items": [bucket_of(one) for one in SERVICE.buckets.values()]})
        if about["name"] in SERVICE.buckets:
            raise Refusal(409, "conflict")
        SERVICE.buckets[about["name"]] = Bucket(about["name"], about)
        return said(bucket_of(SERVICE.buckets[about["name"]]))

    def _bucket(self, name: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        bucket = SERVICE.bucket(name)
        if self.command == "PATCH":
            bucket.about.update(json.loads(body))
        return said(bucket_of(bucket))

    def _download(self, thing: Thing) -> tuple[int, bytes, dict[str, str]]:
        whole = thing.resource()
        size = len(thing.data)
        headers = {
            "Content-Type": thing.about.get("contentType", "application/octet-stream"),
            "X-Goog-Hash": f"crc32c={whole['crc32c']}"
            + (f",md5={whole['md5Hash']}" if "md5Hash" in whole else ""),
            "X-Goog-Generation": whole["generation"],
            "X-Goog-Metageneration": whole["metageneration"],
            "X-Goog-Stored-Content-Length": whole["size"],
            "ETag": whole["etag"],
        }
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            return 200, thing.data, headers
        start, end = int(found[1]), min(int(found[2] or size - 1), size - 1)
        if start >= size:
            raise Refusal(416, "requestedRangeNotSatisfiable")
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return 206, thing.data[start : end + 1], headers

    def _upload(
        self, bucket: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if query["uploadType"] == "multipart":
            boundary = self.headers.get_param("boundary")
            first, data, kind = split(body, str(boundary))
            meta = json.loads(first)
            meta.setdefault("contentType", kind)
            return said(SERVICE.store(bucket, meta, data, query).resource())
        if "upload_id" not in query:
            meta = json.loads(body or b"{}")
            meta.setdefault("contentType", self.headers.get("X-Upload-Content-Type"))
            check(
                SERVICE.bucket(bucket).live(meta.get("name") or query["name"]), query, reading=False
            )
            number = uuid.uuid4().hex
            SERVICE.uploads[number] = Upload(bucket, meta, query)
            host = f"http://{self.headers['Host']}"
            place = f"{host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
            return 200, b"", {"Location": place}
        return self._go_on(query["upload_id"], body)

    def _go_on(self, number: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        upload = SERVICE.uploads.get(number)
        if upload is None:
            raise Refusal(404, "notFound")
        if self.command == "DELETE":
            del SERVICE.uploads[number]
            return 499, b"", {}
        told, _, total = self.headers["Content-Range"].removeprefix("bytes ").partition("/")
        if told != "*":
            start = int(told.partition("-")[0])
            if start > len(upload.data):
                raise Refusal(503, "backendError")
            upload.data[start:] = body
        if total != "*" and int(total) == len(upload.data):
            del SERVICE.uploads[number]
            crc = re.search(r"crc32c=([^,]+)", self.headers.get("X-Goog-Hash", ""))
            about = upload.about | ({"crc32c": crc[1]} if crc else {})
            made = SERVICE.store(upload.bucket, about, bytes(upload.data), upload.query)
            return said(made.resource())
        range_of = {"Range": f"bytes=0-{len(upload.data) - 1}"} if upload.data else {}
        return 308, b"", range_of

    def _object(
        self, bucket: str, name: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        thing = SERVICE.find(bucket, name, query)
        if self.command == "DELETE":
            place = SERVICE.bucket(bucket)
            if "generation" in query:
                place.forget(thing)
            else:
                place.end(name, SERVICE.tick())
            return 204, b"", {}
        if self.command == "PATCH":
            given = json.loads(body)
            kept = thing.about.get("metadata", {}) | (given.pop("metadata", None) or {})
            thing.about |= given
            thing.about["metadata"] = {
                key: value for key, value in kept.items() if value is not None
            }
            thing.metageneration += 1
        return said(thing.resource())

    def _copy(
        self,
        verb: str,
        source: tuple[str, str],
        target: tuple[str, str],
        query: dict[str, str],
        body: bytes,
    ) -> tuple[int, bytes, dict[str, str]]:
        wanted = query.get("sourceGeneration")
        asked = {"generation": wanted} if wanted else {}
        if "ifSourceGenerationMatch" in query:
            asked["ifGenerationMatch"] = query["ifSourceGenerationMatch"]
        origin = SERVICE.find(*source, asked)
        size = len(origin.data)
        if verb == "rewriteTo":
            number = query.get("rewriteToken") or uuid.uuid4().hex
            moved = SERVICE.moving[number] = SERVICE.moving.get(number, 0) + _SLICE
            if moved < size:
                going = {"done": False, "rewriteToken": number}
                return said(going | {"totalBytesRewritten": str(moved), "objectSize": str(size)})
        kept = {key: value for key, value in origin.about.items() if key != "storageClass"}
        about = kept | (json.loads(body) if body else {}) | {"name": target[1]}
        about.pop("bucket", None)
        made = SERVICE.store(target[0], about, origin.data, query).resource()
        if verb == "copyTo":
            return said(made)
        done = {"kind": "storage#rewriteResponse", "done": True, "resource": made}
        return said(done | {"totalBytesRewritten": str(size), "objectSize": str(size)})

    def _compose(
        self, bucket: str, name: str, query: dict[str, str], asked: dict[str, Any]
    ) -> tuple[int, bytes, dict[str, str]]:
        sources = asked["sourceObjects"]
        if len(sources) > _MOST_SOURCES:
            raise Refusal(400, "invalid")
        data = b""
        for one in sources:
            wanted = {"generation": str(one["generation"])} if one.get("generation") else {}
            conditions = one.get("objectPreconditions") or {}
            wanted |= {key: str(value) for key, value in conditions.items()}
            data += SERVICE.find(bucket, one["name"], wanted).data
        about = {**asked.get("destination", {}), "name": name}
        return said(SERVICE.store(bucket, about, data, query, parts=len(sources)).resource())


def renew(token: str) -> None:
    """From now on another token is the right one."""
    global TOKEN  # noqa: PLW0603
    TOKEN = token


def split(body: bytes, boundary: str) -> tuple[bytes, bytes, str]:
    """The two parts of a multipart upload and the second one's content type."""
    mark = b"--" + boundary.encode()
    first, second = body.split(mark, 2)[1:]
    data = second[: second.rindex(mark)]
    meta = first.split(b"\r\n\r\n", 1)[1].strip()
    head, content = data.split(b"\r\n\r\n", 1)
    kind = re.search(rb"content-type:\s*(\S+)", head, re.IGNORECASE)
    return meta, content.removesuffix(b"\r\n"), kind[1].decode() if kind else ""


def bucket_of(bucket: Bucket) -> dict[str, Any]:
    made = _moment(1_700_000_000_000_000)
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "location": "US",
        "storageClass": "STANDARD",
        "timeCreated": made,
        "updated": made,
        "metageneration": "1",
        **bucket.about,
    }


def said(found: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(found).encode(), {}


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main() -> None:
    """Serve for ever."""
    if len(sys.argv) > 2:
        renew(sys.argv[2])
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
