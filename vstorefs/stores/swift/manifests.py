"""Rows of a Swift listing that may stand for more than they say.

A dynamic large object (`X-Object-Manifest`) is whatever lies below a prefix. Listings have its manifest, which is
empty: so an empty row is asked about before it is believed. Our own records, directories and deletions never are one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vstorefs import errors
from vstorefs.model import HIDDEN_FOLDER, VersionId
from vstorefs.stores.bucket import Stat

log = logging.getLogger(__name__)

_AT_ONCE = 4
_NO_BYTES = "d41d8cd98f00b204e9800998ecf8427e"

Ask = Callable[[str, VersionId | None], Stat]
"""What the server says of a name, relative to the prefix, or of one of its versions. Raises: a StoreError."""


def with_true_sizes(
    pages: Iterator[Sequence[dict[str, Any]]], relative: Callable[[str], str], ask: Ask
) -> Iterator[Sequence[dict[str, Any]]]:
    """The rows of a listing, manifests with size and ETag of the content that they stand for.

    What is gone by then, or whose size the server does not tell, is left out, never shown as empty.
    Raises: as `ask`, but for NotFound and NotSupported.
    """

    def true(row: dict[str, Any]) -> dict[str, Any] | None:
        version = row.get("version_id")
        try:
            found = ask(relative(row["name"]), VersionId(version) if version is not None else None)
        except errors.NotFound:
            return None
        except errors.NotSupported as error:
            log.warning("%s", error)
            return None
        return row if found.size == 0 else row | {"bytes": found.size, "hash": str(found.token)}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for rows in pages:
            found = pool.map(lambda row: true(row) if _may_stand(row, relative) else row, rows)
            yield [row for row in found if row is not None]


def _may_stand(row: Mapping[str, Any], relative: Callable[[str], str]) -> bool:
    name = relative(row.get("name", ""))
    return (
        row.get("bytes") == 0
        and row.get("hash") == _NO_BYTES
        and "slo_etag" not in row
        and bool(name)
        and not name.endswith("/")
        and not name.startswith(f"{HIDDEN_FOLDER}/")
        and not str(row.get("content_type")).startswith("application/x-deleted")
    )
