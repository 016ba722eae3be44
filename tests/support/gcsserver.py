"""A server that speaks Google's JSON interface, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2.credentials import Credentials

from tests.support.processes import ROOT, answers, free_port, running, wait_until


@dataclass
class GcsServer:
    """A running server. `env` is what a program needs to reach it; with a `token`, only who has it is let in."""

    port: int
    token: str | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    def client(self) -> storage.Client:
        return storage.Client(
            project="test",
            credentials=Credentials(self.token) if self.token else AnonymousCredentials(),
            client_options={"api_endpoint": self.endpoint},
        )

    def bucket(self, name: str, *, versioned: bool = True) -> storage.Bucket:
        made = self.client().bucket(name)
        made.versioning_enabled = versioned
        made.create()
        return made

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.endpoint}/__control__/counts") as answer:
            return dict(json.load(answer))

    def renew(self, token: str) -> None:
        """From now on another token is the right one."""
        # Who asks for a token after the change must get the new one.
        self.token = token
        url = f"{self.endpoint}/__control__/token?token={token}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()


@contextlib.contextmanager
def gcs(folder: Path, token: str | None = None) -> Iterator[GcsServer]:
    """A running server with its objects in memory."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.gcsapp", str(port)]
    with running(command + ([token] if token else []), folder / "gcs.log", cwd=ROOT) as process:
        wait_until(lambda: answers(port), "answer of the GCS server", process=process)
        yield GcsServer(port, token)
