"""All bytes that a store holds, old versions too, as its provider's own library gives them."""

from __future__ import annotations

import base64
import contextlib
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.mount.kinds import Place


def objects(place: Place) -> Iterator[tuple[str, bytes]]:
    """Every object and every version of it, by name."""
    url = urllib.parse.urlsplit(place.url)
    match url.scheme:
        case "file":
            root = Path(url.path)
            for path in sorted(root.rglob("*")):
                if path.is_file():
                    yield str(path.relative_to(root)), path.read_bytes()
        case "s3":
            client = boto3.client(
                "s3",
                endpoint_url=place.env["AWS_ENDPOINT_URL"],
                aws_access_key_id=place.env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=place.env["AWS_SECRET_ACCESS_KEY"],
                region_name="us-east-1",
            )
            bucket = url.netloc
            pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket)
            for item in [item for page in pages for item in page.get("Versions", ())]:
                # A deletion that was on its way may arrive now.
                with contextlib.suppress(client.exceptions.NoSuchKey):
                    found = client.get_object(
                        Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"]
                    )
                    yield item["Key"], found["Body"].read()
        case "gs":
            google = storage.Client(
                project="test",
                credentials=AnonymousCredentials(),
                client_options={"api_endpoint": place.env["STORAGE_EMULATOR_HOST"]},
            )
            for blob in google.list_blobs(url.netloc, versions=True):
                yield blob.name, blob.download_as_bytes()
        case _:
            raise AssertionError(place.url)


def holds(place: Place, content: bytes) -> bool:
    """Whether a content is anywhere in a store, as it is or within a record."""
    forms = (content, base64.b64encode(content))
    return any(form in data for _, data in objects(place) for form in forms)


def size(place: Place) -> int:
    """How many bytes there are in all."""
    return sum(len(data) for _, data in objects(place))
