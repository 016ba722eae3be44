"""Where a project comes from: a project file, one URL, or the store that comes with vstorefs."""

from __future__ import annotations

import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from vstorefs import agreements, errors, files
from vstorefs.model import HIDDEN_FOLDER, VERSIONS_FOLDER, StoreSpec
from vstorefs.project import WHOLE_BELOW, Project, data_home
from vstorefs.projectfile import ProjectFile, StoreTable, checked, parse_size
from vstorefs.stores import registry
from vstorefs.stores.registry import Settings

_LIST_URL = "https://files/"
_ADDRESS = re.compile(r"https?://[^\s\\\x00-\x1f\x7f]+", re.IGNORECASE)
"""No two libraries read such an address differently."""


def for_url(url: str, environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """One store. Raises: UsageError."""
    spec = registry.resolve("store", url, Settings(read_only=read_only), environ=environ)
    return Project("", (spec,), "store", single=True)


def embedded(environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """The store that comes with vstorefs.

    A directory of the user's own, made when it is first used.
    """
    folder = data_home(environ) / "default"
    files.change("default-store.make", folder.mkdir, parents=True, exist_ok=True)
    spec = registry.resolve(
        "default", folder.absolute().as_uri(), Settings(read_only=read_only), environ=environ
    )
    return Project("", (spec,), "default", single=True)


def load(path: Path, environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """A project file.

    Raises: UsageError that names the file, the key, what is wrong and what would be right; NotAgreed.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise errors.UsageError(f"cannot read the project file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"{path} is not a project file: {error}") from error
    try:
        found = _project(checked(table), environ, read_only=read_only)
    except errors.UsageError as error:
        raise errors.UsageError(f"{path}: {error}") from error
    agreements.require(path, found.stores, environ)
    return found


def _project(file: ProjectFile, environ: Mapping[str, str], *, read_only: bool) -> Project:
    specs = tuple(
        _store(alias, store, environ, read_only=read_only) for alias, store in file.stores.items()
    )
    default = file.default if file.default is not None else specs[0].alias
    if default not in file.stores:
        raise errors.UsageError(
            f"default = {default!r} names no store; there are: {', '.join(file.stores)}"
        )
    below = file.hash.whole_below
    return Project(
        file.project,
        specs,
        default,
        single=False,
        write=file.write,
        scratch=file.scratch,
        cache_bytes=parse_size(file.cache.size) if file.cache.size is not None else None,
        hash_whole_below=parse_size(below) if below is not None else WHOLE_BELOW,
        hash_whole_above_part=file.hash.whole_above_part,
    )


def _store(
    alias: str, table: StoreTable, environ: Mapping[str, str], *, read_only: bool
) -> StoreSpec:
    where = f"stores.{alias}"
    if "/" in alias or alias in {".", "..", "", VERSIONS_FOLDER, HIDDEN_FOLDER}:
        raise errors.UsageError(
            f"{where}: a store's name is that of a directory; choose one without '/'"
        )
    files = _files(table.files, where)
    if table.url is None and not files:
        raise errors.UsageError(
            f'{where} has no url; add url = "s3://BUCKET" or "file:///DIRECTORY"'
        )
    bundle = Path(table.ca_bundle).expanduser() if table.ca_bundle is not None else None
    if bundle is not None and not bundle.is_file():
        raise errors.UsageError(f"{where}.ca-bundle: there is no file {table.ca_bundle}")
    _check_address(
        table.endpoint,
        f"{where}.endpoint",
        "https://HOST",
        "put them where the provider's own tools look",
    )
    _check_address(
        table.proxy,
        f"{where}.proxy",
        "http://HOST:PORT",
        "leave proxy out and set HTTPS_PROXY in the environment",
    )
    settings = Settings(
        read_only or table.read_only,
        table.listing_seconds,
        table.endpoint,
        table.region,
        table.anonymous,
        table.requester_pays,
        table.proxy,
        str(bundle.absolute()) if bundle is not None else None,
        table.concurrency,
        files,
    )
    url = table.url if table.url is not None else _LIST_URL
    try:
        return registry.resolve(alias, url, settings, environ=environ)
    except errors.UsageError as error:
        raise errors.UsageError(f"{where}.url: {error}") from error


def _files(table: Mapping[str, str], where: str) -> tuple[tuple[str, str], ...]:
    for name, url in table.items():
        if "/" in name or name in {".", "..", "", VERSIONS_FOLDER, HIDDEN_FOLDER}:
            raise errors.UsageError(
                f"{where}.files: {name!r} is no file name; choose one without '/'"
            )
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise errors.UsageError(
                f"{where}.files.{name} is {url!r}, which is not an address; write https://HOST/PATH"
            )
        if parts.username or parts.password:
            raise errors.UsageError(
                f"{where}.files.{name} holds credentials; put them into ~/.netrc"
            )
    return tuple(sorted(table.items()))


def _check_address(address: str | None, where: str, better: str, instead: str) -> None:
    if address is None:
        return
    try:
        parts = urllib.parse.urlsplit(address) if _ADDRESS.fullmatch(address) else None
    except ValueError:
        parts = None
    if parts is None or not parts.hostname:
        raise errors.UsageError(f"{where} is {address!r}, which is not an address; write {better}")
    if parts.username or parts.password:
        raise errors.UsageError(f"{where} holds credentials; {instead}")
