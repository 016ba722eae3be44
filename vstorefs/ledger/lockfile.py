"""Lock files: the versions and hashes of what a run used, as text that people read and compare.

TOML, one table an input, by path, so that two lock files compare line by line. Format 1. Pure.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from vstorefs import errors
from vstorefs.ledger.manifest import Input, Manifest
from vstorefs.model import Hashes, Key, StoreId, StoreSpec, Token
from vstorefs.project import Project
from vstorefs.versions.locked import Lock, LockedInput

FORMAT = 1
_HASHES = ("md5", "sha1", "sha256")


def locked_inputs(whole: Manifest) -> list[Input]:
    """The inputs of a run that are locked, by path.

    Of a path that was used in several versions the last, but for versions that were asked for by name.
    """
    newest: dict[tuple[str, str], Input] = {}
    for use in sorted(whole.inputs, key=lambda one: (not one.pinned, one.last_used)):
        newest[use.place.store, use.place.path] = use
    return sorted(newest.values(), key=lambda one: (one.place.alias, one.place.path))


def write(whole: Manifest, specs: Sequence[StoreSpec]) -> str:
    """The lock file of a run."""
    run = whole.run
    inputs = locked_inputs(whole)
    used = {use.place.store for use in inputs}
    lines = [
        f"# What run {run.label} used. With it: vstorefs mount --locked, vstorefs run --locked.",
        f"format = {FORMAT}",
        f"project = {_text(run.project)}",
        f"run = {_text(run.id)}",
        f"time = {run.started.isoformat()}",
    ]
    aliases = {}
    for spec in specs:
        if spec.id in used:
            aliases[spec.id] = spec.alias
            lines += ["", f"[stores.{_text(spec.alias)}]", f"id = {_text(spec.id)}"]
            lines.append(f"url = {_text(spec.url)}")
    for use in inputs:
        if use.place.store not in aliases:
            raise errors.NotFound(
                "it was used in a store that the project does not have any more",
                key=use.place.shown,
            )
        lines += ["", "[[input]]", *_table(use, aliases[use.place.store])]
    return "\n".join(lines) + "\n"


def _table(use: Input, alias: str) -> Iterable[str]:
    content = use.content
    yield f"store = {_text(alias)}"
    yield f"path = {_text(use.place.path)}"
    yield f"size = {content.size}"
    if content.version is not None:
        yield f"version = {_text(content.version)}"
    yield f"token = {_text(content.token)}"
    if content.hashes is not None:
        for name in _HASHES:
            yield f"{name} = {_text(getattr(content.hashes, name))}"


def _text(value: str) -> str:
    # A JSON string is a TOML string, but for escaped surrogates, which are not made of it here, and for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(text: str, source: str, project: Project) -> Lock:
    """What a lock file says, for a project. Raises: UsageError that names the file and what is wrong."""
    try:
        table = tomllib.loads(text)
        _check_format(table, source, project)
        stores = {alias: StoreId(one["id"]) for alias, one in table.get("stores", {}).items()}
        _check_stores(table, stores, source, project)
        time: datetime = table["time"]
        return Lock(
            source=source,
            time_ns=int(time.timestamp()) * 1_000_000_000,
            inputs=tuple(_input(one, stores) for one in table.get("input", ())),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise errors.UsageError(
            f"{source} is no lock file that can be read ({error}); write it with: vstorefs lock"
        ) from error


def _check_format(table: dict[str, Any], source: str, project: Project) -> None:
    if int(table["format"]) > FORMAT:
        raise errors.UsageError(
            f"{source} has format {table['format']}, and this vstorefs knows {FORMAT}; install a newer vstorefs"
        )
    if table["project"] != project.default_store.id:
        raise errors.UsageError(
            f"{source} belongs to another project than {project.name or project.default_store.url}; "
            "name the project that it was made in, with -c"
        )


def _check_stores(
    table: dict[str, Any], stores: dict[str, StoreId], source: str, project: Project
) -> None:
    known = {spec.id for spec in project.stores}
    for alias, store in stores.items():
        if store not in known:
            url = table["stores"][alias].get("url", "")
            raise errors.UsageError(
                f"{source} names the store {alias} ({url}), which the project does not have"
            )


def _input(table: dict[str, Any], stores: dict[str, StoreId]) -> LockedInput:
    hashes = Hashes(*(str(table[name]) for name in _HASHES)) if "sha256" in table else None
    return LockedInput(
        store=stores[table["store"]],
        path=Key(table["path"]),
        size=int(table["size"]),
        token=Token(table["token"]),
        version=table.get("version"),
        hashes=hashes,
    )
