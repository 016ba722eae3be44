"""The project file's JSON schema, made of the same tables that the file is checked with, for editors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vstorefs import project
from vstorefs.stores.registry import SCHEMES

_MEANINGS = {
    "project": "A name, for people.",
    "default": "The store that the project's own records go to.",
    "write": "When a close returns: the store has the content (through), or the journal has it (back).",
    "scratch": "Patterns of names that stay local until they are renamed.",
    "stores": "The stores; each is a folder at the top of the mount.",
    "cache": "The cache of what was read.",
    "hash": "When files that were read in part are read to their end and hashed.",
    "stores.url": "Where the store is. It holds no credentials.",
    "stores.read-only": "Allow no change.",
    "stores.listing-seconds": "How old what is shown may be.",
    "stores.endpoint": "The server, where it is not the provider's usual one.",
    "stores.region": "An S3 bucket's region.",
    "stores.anonymous": "Ask without credentials, for what is public.",
    "stores.requester-pays": "Agree to pay for requests.",
    "stores.proxy": "http://HOST:PORT, for this store alone.",
    "stores.ca-bundle": "A file of certificates that the server is trusted by.",
    "stores.concurrency": "How many requests may wait for this store at once.",
    "stores.files": "Single web addresses, each under the name that it is shown with.",
    "cache.size": "How large the cache may grow, such as 50 GiB.",
    "hash.whole-below": "Files up to this size are read to their end.",
    "hash.whole-above-part": "Larger ones, if at least this part was read.",
}
_TYPES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    list: {"type": "array", "items": {"type": "string", "minLength": 1}},
    dict: {"type": "object"},
    (int, float): {"type": "number"},
}


def schema() -> dict[str, Any]:
    """The schema of `vstorefs.toml`, draft 2020-12."""
    top = _table(project.TOP, "")
    top["properties"]["write"]["enum"] = ["through", "back"]
    store = _table(project.STORE, "stores.")
    store["properties"]["url"]["pattern"] = f"^({'|'.join(SCHEMES)})://"
    store["properties"]["files"] |= {
        "additionalProperties": {"type": "string", "pattern": "^https?://"}
    }
    store["properties"]["concurrency"] |= {"minimum": 1, "maximum": project.MOST_AT_ONCE}
    store["properties"]["listing-seconds"]["minimum"] = 0
    store["anyOf"] = [{"required": ["url"]}, {"required": ["files"]}]
    hashing = _table(project.HASH, "hash.")
    hashing["properties"]["whole-above-part"] |= {"minimum": 0, "maximum": 1}
    top["properties"]["stores"] |= {"minProperties": 1, "additionalProperties": store}
    top["properties"]["cache"] |= _table(project.CACHE, "cache.")
    top["properties"]["hash"] |= hashing
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vstorefs project file",
        **top,
        "required": ["stores"],
    }


def _table(keys: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    properties = {
        key: {**_TYPES[kind], "description": _MEANINGS[prefix + key]} for key, kind in keys.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}
