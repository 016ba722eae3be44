"""Which Azure account a container is in, and by what right: found as the Azure command line finds it.

In order: a connection string, a shared key, a shared access signature, each from the environment; then key and
signature of the command line's own file, which may be written anew while a store is in use; then whatever
azure-identity finds (environment, workload and managed identity, `az login`), which renews itself. `anonymous`
asks without any.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
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
    key = _first("AZURE_STORAGE_KEY", "AccountKey", "key", string)
    account = os.environ.get("AZURE_STORAGE_ACCOUNT") or _fields(string).get("AccountName")
    if key and account:
        return {"account_name": account, "account_key": key}
    signature = _signature(string)
    if signature:
        return signature
    # azure-identity takes a third of a second to import, and most need it not.
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(exclude_interactive_browser_credential=True)


def signature_ended() -> datetime | None:
    """When the signature that would be used now ran out; None where it has not, or none is used."""
    found = _signature(os.environ.get("AZURE_STORAGE_CONNECTION_STRING"))
    told = urllib.parse.parse_qs(found or "").get("se", [""])[0]
    try:
        end = datetime.fromisoformat(told)
    except ValueError:
        return None
    end = end if end.tzinfo is not None else end.replace(tzinfo=UTC)
    return end if end <= datetime.now(UTC) else None


def _signature(string: str | None) -> str | None:
    found = _first("AZURE_STORAGE_SAS_TOKEN", "SharedAccessSignature", "sas_token", string)
    return found.lstrip("?") if found else None


def _first(variable: str, field: str, option: str, string: str | None) -> str | None:
    """A secret by its names in the environment, in a connection string and in the command line's file."""
    return os.environ.get(variable) or _fields(string).get(field) or _from_file(option)


def _from_file(option: str) -> str | None:
    """What `az config set storage.NAME=VALUE` has written. A file that cannot be read says nothing."""
    folder = Path(os.environ.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
        parser.read(folder / "config")
    return parser.get("storage", option, fallback=None)


def _endpoint_of(string: str | None) -> str | None:
    return _fields(string).get("BlobEndpoint")


def _fields(string: str | None) -> dict[str, str]:
    pairs = (part.partition("=") for part in (string or "").split(";") if part)
    return {name: value for name, _, value in pairs}
