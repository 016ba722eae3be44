"""S3 servers for tests: moto as a process of its own, and clients for it."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.support.processes import ROOT, answers, free_port, running, wait_until


@dataclass
class S3Server:
    """A running server. `env` is what a program needs to reach it."""

    endpoint: str
    access_key: str = "test-access"
    secret_key: str = "test-secret-key"

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5})
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=config,
        )

    def bucket(self, name: str, *, versioned: bool = True) -> Any:
        """A new bucket; gives a client."""
        client = self.client()
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return client

    def control(self, what: str, *, method: str = "PUT", n: int = 0) -> dict[str, int]:
        request = urllib.request.Request(f"{self.endpoint}/__control__/{what}?n={n}", method=method)
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    def gets_of(self, path: str) -> int:
        return self.control("counts", method="GET").get(f"GET /{path}", 0)


@contextlib.contextmanager
def moto(folder: Path, *manner: str) -> Iterator[S3Server]:
    """moto behind a lock; `manner` as `moto_app` takes it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.moto_app", str(port), *manner]
    with running(command, folder / "moto.log", cwd=ROOT) as process:
        wait_until(lambda: answers(port), "answer of moto", process=process)
        yield S3Server(f"http://127.0.0.1:{port}")
