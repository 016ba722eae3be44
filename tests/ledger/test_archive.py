"""Where a ledger lies: the same on a folder and on buckets, and nothing left of what is removed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.gcsserver import GcsServer
from tests.support.s3server import S3Server
from vstorefs import errors
from vstorefs.ledger.archive import Archive, open_archive
from vstorefs.model import HIDDEN_FOLDER, StoreSpec
from vstorefs.stores.registry import resolve


@dataclass
class Kind:
    """An archive, and a way to see all names, versions and markers that its store keeps."""

    spec: StoreSpec
    archive: Archive
    everything: Callable[[], list[str]]


def _folder(request: pytest.FixtureRequest) -> Kind:
    root: Path = request.getfixturevalue("tmp_path") / "store"
    root.mkdir()
    spec = resolve("default", root.as_uri(), environ={})

    def everything() -> list[str]:
        return [str(one.relative_to(root)) for one in root.rglob("*") if not one.is_dir()]

    return Kind(spec, open_archive(spec), everything)


def _s3(name: str, *, versioned: bool) -> Callable[[pytest.FixtureRequest], Kind]:
    def make(request: pytest.FixtureRequest) -> Kind:
        server: S3Server = request.getfixturevalue(name)
        bucket = f"l{uuid.uuid4().hex[:12]}"
        client = server.bucket(bucket, versioned=versioned)
        os.environ.update(server.env)
        spec = resolve("default", f"s3://{bucket}/pre fix", environ=server.env)

        def everything() -> list[str]:
            found = client.list_object_versions(Bucket=bucket)
            return [
                one["Key"].removeprefix("pre fix/")
                for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))
            ]

        return Kind(spec, open_archive(spec), everything)

    return make


def _gcs(*, versioned: bool) -> Callable[[pytest.FixtureRequest], Kind]:
    def make(request: pytest.FixtureRequest) -> Kind:
        server: GcsServer = request.getfixturevalue("gcs_server")
        name = f"l{uuid.uuid4().hex[:12]}"
        bucket = server.bucket(name, versioned=versioned)
        os.environ.update(server.env)
        spec = resolve("default", f"gs://{name}/pre fix", environ=server.env)

        def everything() -> list[str]:
            return [one.name.removeprefix("pre fix/") for one in bucket.list_blobs(versions=True)]

        return Kind(spec, open_archive(spec), everything)

    return make


_KINDS = {
    "folder": _folder,
    "s3-versioned": _s3("moto_server", versioned=True),
    "s3-plain": _s3("moto_server", versioned=False),
    "radosgw-versioned": _s3("radosgw_server", versioned=True),
    "radosgw-plain": _s3("radosgw_server", versioned=False),
    "gcs-versioned": _gcs(versioned=True),
    "gcs-plain": _gcs(versioned=False),
}


@pytest.fixture(params=_KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    before = dict(os.environ)
    yield _KINDS[request.param](request)
    os.environ.clear()
    os.environ.update(before)


pytestmark = pytest.mark.stores


def test_names_are_listed_in_order_with_the_time_of_the_store(kind: Kind) -> None:
    assert list(kind.archive.names("runs/")) == []
    began = datetime.now(UTC) - timedelta(seconds=3)
    names = ["runs/2026-11-20a.json", "runs/2026-11-21b.json", "runs/2026-11-21é +&.json"]
    for name in reversed(names):
        kind.archive.add(name, name.encode())
    kind.archive.add("ledger/acks/2026.json", b"")
    found = list(kind.archive.names("runs/"))
    assert [one.name for one in found] == names
    assert all(began <= one.written <= began + timedelta(seconds=60) for one in found)
    assert [one.name for one in kind.archive.names("runs/2026-11-21")] == names[1:]
    assert [one.name for one in kind.archive.names("runs/2026-11-22")] == []
    assert [one.name for one in kind.archive.names("ledger/acks/")] == ["ledger/acks/2026.json"]
    assert [kind.archive.get(name) for name in names] == [name.encode() for name in names]
    assert kind.archive.get("ledger/acks/2026.json") == b""
    assert all(one.startswith(f"{HIDDEN_FOLDER}/") for one in kind.everything())


def test_what_is_there_stays_when_it_is_added_again(kind: Kind) -> None:
    kind.archive.add("runs/a.json", b"first")
    kind.archive.add("runs/a.json", b"second")
    assert kind.archive.get("runs/a.json") == b"first"
    assert kind.everything() == [f"{HIDDEN_FOLDER}/runs/a.json"]


def test_what_is_removed_leaves_neither_version_nor_marker(kind: Kind) -> None:
    kind.archive.add("ledger/checkpoints/a@1.json", b"one")
    kind.archive.add("ledger/checkpoints/a@2.json", b"two")
    kind.archive.remove("ledger/checkpoints/a@1.json")
    assert kind.everything() == [f"{HIDDEN_FOLDER}/ledger/checkpoints/a@2.json"]
    kind.archive.remove("ledger/checkpoints/a@1.json")
    kind.archive.remove("ledger/checkpoints/never.json")
    assert [one.name for one in kind.archive.names("ledger/checkpoints/")] == [
        "ledger/checkpoints/a@2.json"
    ]
    kind.archive.remove("ledger/checkpoints/a@2.json")
    assert kind.everything() == []


def test_an_object_that_is_not_there(kind: Kind) -> None:
    with pytest.raises(errors.NotFound):
        kind.archive.get("runs/none.json")


def test_a_store_that_is_only_read_tells_what_others_wrote_and_takes_nothing(kind: Kind) -> None:
    kind.archive.add("runs/a.json", b"first")
    archive = open_archive(replace(kind.spec, read_only=True))
    assert [one.name for one in archive.names("runs/")] == ["runs/a.json"]
    assert archive.get("runs/a.json") == b"first"
    with pytest.raises(errors.NotSupported, match="mounted read-only"):
        archive.add("runs/b.json", b"second")
    with pytest.raises(errors.NotSupported, match="mounted read-only"):
        archive.remove("runs/a.json")
    assert kind.everything() == [f"{HIDDEN_FOLDER}/runs/a.json"]


def test_web_addresses_have_no_archive() -> None:
    spec = resolve("default", "https://example.org/data/", environ={})
    with pytest.raises(errors.NotSupported, match=r"can only be read|mounted read-only"):
        open_archive(spec)


def test_a_folder_that_is_gone_is_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    root = tmp_path / "share"
    root.mkdir()
    archive = open_archive(resolve("default", root.as_uri(), environ={}))
    archive.add("runs/a.json", b"x")
    root.rename(tmp_path / "elsewhere")
    for call in (
        lambda: list(archive.names("runs/")),
        lambda: archive.add("runs/b.json", b"y"),
    ):
        with pytest.raises(errors.Unavailable):
            call()
    assert not root.exists()


def test_manifests_in_a_folder_cannot_be_written_over_by_accident(tmp_path: Path) -> None:
    archive = open_archive(resolve("default", tmp_path.as_uri(), environ={}))
    archive.add("runs/a.json", b"x")
    (file,) = (tmp_path / HIDDEN_FOLDER / "runs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o444
