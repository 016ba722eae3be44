"""A project.

The stores of one mount and how it works with them, from `vstorefs.toml`, a URL, or nothing.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vstorefs import errors
from vstorefs.model import HIDDEN_FOLDER, VERSIONS_FOLDER, Key, StoreSpec
from vstorefs.stores import registry
from vstorefs.stores.registry import Settings

_WHOLE_BELOW = 256 << 20
_WHOLE_PART = 0.5
MOST_AT_ONCE = 1000
_LIST_URL = "https://files/"
_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")

TOP = {
    "project": str,
    "default": str,
    "write": str,
    "scratch": list,
    "stores": dict,
    "cache": dict,
    "hash": dict,
}
STORE = {
    "url": str,
    "read-only": bool,
    "listing-seconds": (int, float),
    "endpoint": str,
    "region": str,
    "anonymous": bool,
    "requester-pays": bool,
    "proxy": str,
    "ca-bundle": str,
    "concurrency": int,
    "files": dict,
}
CACHE = {"size": str}
HASH = {"whole-below": str, "whole-above-part": (int, float)}
_WORDS = {
    str: "text in quotes",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    int: "a whole number",
    (int, float): "a number",
}


@dataclass(frozen=True, slots=True)
class Project:
    """What a mount shows.

    `single`: one store, at the root; otherwise each is a folder at the top.
    """

    name: str
    stores: tuple[StoreSpec, ...]
    default: str
    single: bool
    write: str = "through"
    scratch: tuple[str, ...] = ()
    cache_bytes: int | None = None
    hash_whole_below: int = _WHOLE_BELOW
    hash_whole_above_part: float = _WHOLE_PART

    @property
    def default_store(self) -> StoreSpec:
        """The store that the project's own records go to; it stands for the project."""
        return next(spec for spec in self.stores if spec.alias == self.default)

    def alias_of(self, spec: StoreSpec) -> str:
        """What a store's folder is called in the mount; empty where it is the whole mount."""
        return "" if self.single else spec.alias

    def locate(self, path: str) -> tuple[StoreSpec, Key]:
        """The store and the key of a path in the mount. Raises: UsageError where no store has that name."""
        if self.single:
            return self.stores[0], Key(path)
        alias, _, key = path.partition("/")
        for spec in self.stores:
            if spec.alias == alias:
                return spec, Key(key)
        known = ", ".join(spec.alias for spec in self.stores)
        what = (
            f"{path!r} is in no store of the project" if path else "the top is in no store itself"
        )
        raise errors.UsageError(f"{what}; name a path in one of its stores: {known}")


def for_url(url: str, environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """One store. Raises: UsageError."""
    spec = registry.resolve("store", url, Settings(read_only=read_only), environ=environ)
    return Project("", (spec,), "store", single=True)


def embedded(environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """The store that comes with vstorefs.

    A folder of the user's own, made when it is first used.
    """
    folder = data_home(environ) / "default"
    folder.mkdir(parents=True, exist_ok=True)
    spec = registry.resolve(
        "default", folder.absolute().as_uri(), Settings(read_only=read_only), environ=environ
    )
    return Project("", (spec,), "default", single=True)


def data_home(environ: Mapping[str, str]) -> Path:
    """The user's data folder for vstorefs."""
    base = environ.get("XDG_DATA_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".local/share"
    )
    return Path(base) / "vstorefs"


def state_home(environ: Mapping[str, str]) -> Path:
    """Where this user's state lies, if nobody says otherwise."""
    base = environ.get("XDG_STATE_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".local/state"
    )
    return (Path(base) / "vstorefs").absolute()


def load(path: Path, environ: Mapping[str, str], *, read_only: bool = False) -> Project:
    """A project file.

    Raises: UsageError that names the file, the key, what is wrong and what would be right.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise errors.UsageError(f"cannot read the project file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"{path} is not a project file: {error}") from error
    try:
        return _project(table, environ, read_only=read_only)
    except errors.UsageError as error:
        raise errors.UsageError(f"{path}: {error}") from error


def _project(table: dict[str, Any], environ: Mapping[str, str], *, read_only: bool) -> Project:
    _check(table, TOP, "")
    stores = table.get("stores", {})
    if not stores:
        raise errors.UsageError('no store is named; add a table [stores.NAME] with url = "…"')
    specs = tuple(
        _store(alias, store, environ, read_only=read_only) for alias, store in stores.items()
    )
    default = table.get("default", specs[0].alias)
    if default not in stores:
        raise errors.UsageError(
            f"default = {default!r} names no store; there are: {', '.join(stores)}"
        )
    write = table.get("write", "through")
    if write not in {"through", "back"}:
        raise errors.UsageError(f'write = {write!r} is not known; it is "through" or "back"')
    scratch = table.get("scratch", [])
    if not all(isinstance(one, str) and one for one in scratch):
        raise errors.UsageError(
            'scratch holds something other than patterns; write scratch = ["*.tmp"]'
        )
    cache, hashing = table.get("cache", {}), table.get("hash", {})
    _check(cache, CACHE, "cache.")
    _check(hashing, HASH, "hash.")
    part = float(hashing.get("whole-above-part", _WHOLE_PART))
    if not 0 <= part <= 1:
        raise errors.UsageError(
            f"hash.whole-above-part = {part} is not a part; give a number from 0 to 1"
        )
    return Project(
        table.get("project", ""),
        specs,
        default,
        single=False,
        write=write,
        scratch=tuple(scratch),
        cache_bytes=parse_size(cache["size"]) if "size" in cache else None,
        hash_whole_below=parse_size(hashing["whole-below"])
        if "whole-below" in hashing
        else _WHOLE_BELOW,
        hash_whole_above_part=part,
    )


def _store(alias: str, table: Any, environ: Mapping[str, str], *, read_only: bool) -> StoreSpec:
    where = f"stores.{alias}"
    if not isinstance(table, dict):
        raise errors.UsageError(f"{where} is not a table; write [{where}] and below it url = …")
    if "/" in alias or alias in {".", "..", "", VERSIONS_FOLDER, HIDDEN_FOLDER}:
        raise errors.UsageError(
            f"{where}: a store's name is that of a folder; choose one without '/'"
        )
    _check(table, STORE, f"{where}.")
    files = _files(table.get("files", {}), where)
    if "url" not in table and not files:
        raise errors.UsageError(f'{where} has no url; add url = "s3://BUCKET" or "file:///FOLDER"')
    seconds, concurrency = table.get("listing-seconds"), table.get("concurrency")
    if seconds is not None and seconds < 0:
        raise errors.UsageError(f"{where}.listing-seconds = {seconds} is below zero")
    if concurrency is not None and not 1 <= concurrency <= MOST_AT_ONCE:
        raise errors.UsageError(
            f"{where}.concurrency = {concurrency} cannot be; give a number from 1 to {MOST_AT_ONCE}"
        )
    bundle = table.get("ca-bundle")
    if bundle is not None and not Path(bundle).expanduser().is_file():
        raise errors.UsageError(f"{where}.ca-bundle: there is no file {bundle}")
    _check_proxy(table.get("proxy"), where)
    settings = Settings(
        read_only or table.get("read-only", False),
        float(seconds) if seconds is not None else None,
        table.get("endpoint"),
        table.get("region"),
        table.get("anonymous", False),
        table.get("requester-pays", False),
        table.get("proxy"),
        str(Path(bundle).expanduser().absolute()) if bundle is not None else None,
        concurrency,
        files,
    )
    try:
        return registry.resolve(alias, table.get("url", _LIST_URL), settings, environ=environ)
    except errors.UsageError as error:
        raise errors.UsageError(f"{where}.url: {error}") from error


def _files(table: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    for name, url in table.items():
        if "/" in name or name in {".", "..", "", VERSIONS_FOLDER, HIDDEN_FOLDER}:
            raise errors.UsageError(
                f"{where}.files: {name!r} is no file name; choose one without '/'"
            )
        parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in {"http", "https"} or not parts.netloc:
            raise errors.UsageError(
                f"{where}.files.{name} is {url!r}, which is not an address; write https://HOST/PATH"
            )
        if parts.username or parts.password:
            raise errors.UsageError(
                f"{where}.files.{name} holds credentials; put them into ~/.netrc"
            )
    return tuple(sorted(table.items()))


def _check_proxy(proxy: str | None, where: str) -> None:
    if proxy is None:
        return
    parts = urllib.parse.urlsplit(proxy)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise errors.UsageError(
            f"{where}.proxy is {proxy!r}, which is not an address; write http://HOST:PORT"
        )
    if parts.username or parts.password:
        raise errors.UsageError(
            f"{where}.proxy holds credentials; leave proxy out and set HTTPS_PROXY in the environment"
        )


def _check(table: dict[str, Any], known: Mapping[str, Any], prefix: str) -> None:
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are: {', '.join(known)}"
            raise errors.UsageError(f"unknown key {prefix}{key}; {hint}")
        if not isinstance(value, known[key]) or (
            isinstance(value, bool) and known[key] is not bool
        ):
            raise errors.UsageError(
                f"{prefix}{key} is {value!r}, which is not {_WORDS[known[key]]}"
            )


def parse_size(text: str) -> int:
    """Bytes of a size such as `50 GiB`, `1.5GB` or `1048576`. Raises: UsageError."""
    match = _SIZE.fullmatch(text)
    unit = match[2] if match else ""
    factor = _UNITS.get(unit) or _UNITS.get(f"{unit}iB")
    if match is None or factor is None:
        raise errors.UsageError(f"{text!r} is not a size; write for instance 50 GiB or 500 MB")
    return int(float(match[1]) * factor)
