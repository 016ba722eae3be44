"""Which Azure account a container is in, and by what right: found as the Azure command line finds it.

In order: a connection string, a shared key, a shared access signature; then whatever azure-identity
finds (environment, workload and managed identity, `az login`), which renews itself. `anonymous` asks
without any.
"""

from __future__ import annotations

import os
from typing import Any

from azure.storage.blob import ContainerClient

from vstorefs import errors
from vstorefs.model import StoreSpec


def container_client(spec: StoreSpec, container: str, *, transport: Any) -> ContainerClient:
    """A client that never asks twice.

    Raises: Denied where no account is named or nothing says by what right.
    """
    options: dict[str, Any] = {
        "transport": transport,
        "retry_total": 0,
        "logging_enable": False,
        "max_single_get_size": 8 << 20,
        "max_chunk_get_size": 8 << 20,
    }
    if spec.proxy is not None:
        options["proxies"] = {"http": spec.proxy, "https": spec.proxy}
    string = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if string and spec.endpoint is None and not spec.anonymous:
        return ContainerClient.from_connection_string(string, container, **options)
    url = spec.endpoint or _endpoint_of(string) or _account_url(spec)
    return ContainerClient(url, container, credential=_credential(spec, string), **options)


def _account_url(spec: StoreSpec) -> str:
    account = os.environ.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise errors.Denied(
            "no storage account is named; set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT, "
            "or endpoint in the project file",
            store=spec.alias,
            operation="open",
        )
    return f"https://{account}.blob.core.windows.net"


def _credential(spec: StoreSpec, string: str | None) -> Any:
    if spec.anonymous:
        return None
    fields = _fields(string)
    key = os.environ.get("AZURE_STORAGE_KEY") or fields.get("AccountKey")
    account = os.environ.get("AZURE_STORAGE_ACCOUNT") or fields.get("AccountName")
    if key and account:
        return {"account_name": account, "account_key": key}
    signature = os.environ.get("AZURE_STORAGE_SAS_TOKEN") or fields.get("SharedAccessSignature")
    if signature:
        return signature.lstrip("?")
    # azure-identity takes a third of a second to import, and most need it not.
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(exclude_interactive_browser_credential=True)


def _endpoint_of(string: str | None) -> str | None:
    return _fields(string).get("BlobEndpoint")


def _fields(string: str | None) -> dict[str, str]:
    pairs = (part.partition("=") for part in (string or "").split(";") if part)
    return {name: value for name, _, value in pairs}
