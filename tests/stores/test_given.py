"""What other tools gave to an object beside its content: it stays through renames, changed attributes and saves."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.stores.kinds import SERVERS
from tests.support.s3server import S3Server
from vstorefs.digests import hash_file
from vstorefs.model import Key, Token, VersionId, Write, WriteId
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket, Stat
from vstorefs.stores.ids import new_id
from vstorefs.stores.registry import open_bucket, resolve
from vstorefs.versions import metadata
from vstorefs.versions.layouts.opening import open_store

pytestmark = pytest.mark.stores

KINDS = {
    f"{kind}-{layout}": (kind, layout)
    for kind in ("s3", "radosgw", "gcs", "azure", "swift")
    for layout in SERVERS[kind].layouts
}
HEADERS = {
    "cache-control": "max-age=60",
    "content-disposition": 'attachment; filename="x"',
    "content-encoding": "gzip",
    "content-language": "sv",
}
OTHERS = {"project": "apollo", "owner-of": "it; all=ours"}
TYPE = "text/x-log; charset=latin1"
DATA = b"content as it is stored"


@dataclass
class Box:
    """A new store of a kind, and its bucket as it is."""

    layout: str
    bucket: Bucket
    store: Store
    folder: Path

    def source(self, data: bytes) -> Path:
        path = self.folder / new_id()
        path.write_bytes(data)
        return path

    def write(self, base: Token | None, data: bytes = DATA) -> Write:
        return Write(
            WriteId(new_id()),
            VersionId(new_id()),
            time.time_ns(),
            base,
            size=len(data),
            hashes=hash_file(self.source(data)),
        )

    def given(self, name: str) -> Stat:
        """An object that another tool has made."""
        self.bucket.put(name, DATA, metadata=OTHERS, content_type=TYPE, headers=HEADERS)
        return self.bucket.stat(name)

    def head(self, key: str) -> Token:
        return self.store.stat(Key(key)).token

    def copy(self, key: str, target: str, base: Token | None = None) -> None:
        write = replace(self.write(base), hashes=None)
        self.store.copy(Key(key), self.head(key), Key(target), write)


@pytest.fixture(params=KINDS)
def box(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Box]:
    kind, layout = KINDS[request.param]
    url, env = SERVERS[kind].bucket(request, versioned=layout == "native")
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    spec = resolve("test", f"{url}/data", environ=os.environ)
    state = State.open(tmp_path / "state")
    bucket, store = open_bucket(spec), open_store(spec, Probes(state))
    yield Box(layout, bucket, store, tmp_path)
    store.close()
    bucket.close()
    state.close()


def others(found: Stat) -> dict[str, str]:
    """Metadata that are not ours."""
    return {
        name: value for name, value in found.metadata.items() if not name.startswith("vstorefs-")
    }


def as_given(found: Stat) -> tuple[dict[str, str], dict[str, str]]:
    """All that was given to an object, as its provider tells it."""
    return others(found), {
        name: value for name, value in found.headers.items() if name != "storage-class"
    }


def test_a_rename_keeps_what_was_given(box: Box) -> None:
    given = box.given("f")
    assert others(given) == OTHERS
    assert given.headers["content-type"].startswith("text/x-log")
    box.copy("f", "g")
    if not has_plain(box, "g"):
        return
    assert as_given(box.bucket.stat("g")) == as_given(given)
    box.copy("g", "h")
    assert as_given(box.bucket.stat("h")) == as_given(given)


def has_plain(box: Box, name: str) -> bool:
    """Whether a first version is an object of its own name here."""
    return any(one.name == name for page in box.bucket.list(name) for one in page.objects)


def test_changed_attributes_touch_no_object(box: Box) -> None:
    given = box.given("f")
    box.store.set_attributes(Key("f"), replace(box.write(None), mode=0o600, mtime_ns=10**18))
    assert box.bucket.stat("f") == given


def test_a_save_keeps_what_was_given(box: Box) -> None:
    given = box.given("f")
    data = b"something else"
    write = box.write(box.head("f"), data)
    box.store.put(Key("f"), box.source(data), write)
    found = box.bucket.stat("f")
    assert as_given(found) == as_given(given)
    assert (found.size == len(data)) == (box.layout == "native")
    token = box.head("f")
    assert b"".join(box.store.read(Key("f"), token, 0, len(data))) == data


def test_what_has_nothing_keeps_what_the_name_had(box: Box) -> None:
    given = box.given("f")
    data = b"new"
    box.store.put(Key("new"), box.source(data), box.write(None, data))
    write = replace(box.write(box.head("f"), data), hashes=None)
    box.store.copy(Key("new"), box.head("new"), Key("f"), write)
    assert as_given(box.bucket.stat("f")) == as_given(given)
    assert b"".join(box.store.read(Key("f"), box.head("f"), 0, 3)) == data


def stat_of(name: str, about: dict[str, str], **headers: str) -> Stat:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Stat(name, 1, 1, Token("t"), None, about, named)


WRITE = Write(WriteId("w"), VersionId("v"), 1, None)


def test_what_describes_the_content_goes_with_it_alone() -> None:
    about = {"md5chksum": "x", "mtime": "1", "s3cmd-attrs": "md5:x", "project": "p"}
    assert others_of(metadata.sent(Key("f"), WRITE, source=stat_of("e", about))) == about
    assert others_of(metadata.sent(Key("f"), WRITE, before=stat_of("f", about))) == {"project": "p"}


def others_of(found: metadata.Sent) -> dict[str, str]:
    return {
        name: value for name, value in found.metadata.items() if not name.startswith("vstorefs-")
    }


@pytest.mark.parametrize("value", ["x" * 2000, "käse"])
def test_what_no_provider_takes_is_left_out(value: str) -> None:
    found = metadata.sent(
        Key("f"), WRITE, source=stat_of("e", {"a": value}, cache_control="no-store")
    )
    assert others_of(found) == {}
    assert found.headers == {"cache-control": "no-store"}


def test_a_type_that_only_follows_from_a_name_follows_the_name() -> None:
    csv = stat_of("a.csv", {}, content_type="text/csv")
    assert metadata.sent(Key("b.json"), WRITE, source=csv).content_type == "application/json"
    chosen = stat_of("a.csv", {}, content_type="text/csv; header=present")
    found = metadata.sent(Key("b.json"), WRITE, source=chosen)
    assert found.content_type == "text/csv; header=present"


CLASSES = {"s3-native": "STANDARD_IA", "gcs-native": "NEARLINE"}


@pytest.mark.parametrize("box", CLASSES, indirect=True)
def test_the_storage_class_stays(box: Box, request: pytest.FixtureRequest) -> None:
    wanted = CLASSES[request.node.callspec.params["box"]]
    headers = {"storage-class": wanted}
    box.bucket.put("f", DATA, metadata={}, content_type=metadata.BYTES, headers=headers)
    box.copy("f", "g")
    assert box.bucket.stat("g").headers["storage-class"] == wanted
    box.store.put(Key("f"), box.source(b"saved"), box.write(box.head("f"), b"saved"))
    assert box.bucket.stat("f").headers["storage-class"] == wanted


@pytest.mark.parametrize("box", ["s3-native"], indirect=True)
def test_what_is_saved_over_an_archived_object_can_be_read(box: Box) -> None:
    box.bucket.put(
        "f", DATA, metadata=OTHERS, content_type=TYPE, headers={"storage-class": "GLACIER"}
    )
    found = metadata.sent(Key("f"), WRITE, before=stat_of("f", {}, storage_class="GLACIER"))
    box.bucket.put("f", b"new", metadata=found.metadata, content_type=TYPE, headers=found.headers)
    assert b"".join(box.bucket.read("f", 0, 3)) == b"new"


def test_tags_stay_with_what_is_renamed(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"t{uuid.uuid4().hex[:12]}"
    client = moto_server.bucket(name, versioned=True)
    for key, value in moto_server.env.items():
        monkeypatch.setenv(key, value)
    client.put_object(Bucket=name, Key="f", Body=DATA, Tagging="project=apollo")
    bucket = open_bucket(resolve("test", f"s3://{name}", environ=os.environ))
    found = bucket.stat("f")
    sent = metadata.sent(Key("g"), WRITE, source=found)
    bucket.copy("f", "g", source=found, metadata=sent.metadata, content_type=sent.content_type)
    bucket.close()
    tags = client.get_object_tagging(Bucket=name, Key="g")["TagSet"]
    assert tags == [{"Key": "project", "Value": "apollo"}]
