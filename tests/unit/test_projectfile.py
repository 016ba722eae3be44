"""What is wrong with a project file is named: the key, the value, and what would be right."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from vstorefs import errors, projectfile
from vstorefs.projectfile import CacheTable, HashTable, StoreTable

STORE = '[stores.a]\nurl = "s3://b"\n'

WRONG = {
    "": 'no store is named; add a table [stores.NAME] with url = "…"',
    "[stores]": 'no store is named; add a table [stores.NAME] with url = "…"',
    'storess = "x"': "unknown key storess; did you mean stores?",
    "zzz = 1": "unknown key zzz; known are: stores, project, default, write, scratch, cache, hash",
    'wriite = "back"\n' + STORE: "unknown key wriite; did you mean write?",
    '[stores.a]\nurll = "s3://x"': "unknown key stores.a.urll; did you mean stores.a.url?",
    "[stores.a]\nread_only = true": "unknown key stores.a.read_only; did you mean stores.a.read-only?",
    STORE + '[cache]\nsizes = "1 GiB"': "unknown key cache.sizes; did you mean cache.size?",
    STORE + "[hash]\nabove = 1": "unknown key hash.above; known are: whole-below, whole-above-part",
    "stores = 3": "stores is 3, which is not a table",
    "[stores]\na = 3": "stores.a is 3, which is not a table; write [stores.NAME] and below it url = …",
    "cache = 5\n" + STORE: "cache is 5, which is not a table",
    "project = 5\n" + STORE: "project is 5, which is not text in quotes",
    "project = 2026-11-01\n"
    + STORE: "project is datetime.date(2026, 11, 1), which is not text in quotes",
    'write = "never"\n' + STORE: """write is 'never', which is not "through" or "back\"""",
    "write = [1]\n" + STORE: 'write is [1], which is not "through" or "back"',
    'scratch = "*.tmp"\n'
    + STORE: """scratch is '*.tmp', which is not a list of patterns, such as ["*.tmp"]""",
    'scratch = ["*.tmp", ""]\n'
    + STORE: """scratch is ['*.tmp', ''], which is not a list of patterns, such as ["*.tmp"]""",
    STORE + 'read-only = "yes"': "stores.a.read-only is 'yes', which is not true or false",
    STORE + "read-only = 1": "stores.a.read-only is 1, which is not true or false",
    STORE
    + "concurrency = 0": "stores.a.concurrency is 0, which is not a whole number from 1 to 1000",
    STORE
    + "concurrency = 1.5": "stores.a.concurrency is 1.5, which is not a whole number from 1 to 1000",
    STORE
    + "concurrency = true": "stores.a.concurrency is True, which is not a whole number from 1 to 1000",
    STORE
    + "listing-seconds = -1": "stores.a.listing-seconds is -1, which is not a number from 0 on",
    STORE + "[hash]\nwhole-above-part = 2": (
        "hash.whole-above-part is 2, which is not a number from 0 to 1"
    ),
    STORE + "[hash]\nwhole-below = 5": "hash.whole-below is 5, which is not text in quotes",
    '[stores.a]\nfiles = { "x" = 5 }': "stores.a.files.x is 5, which is not text in quotes",
    # The first thing that is wrong is named, in the order of the file.
    STORE + '[stores.b]\nurl = 1\nurll = "x"': "stores.b.url is 1, which is not text in quotes",
}
RIGHT = [
    STORE,
    STORE + "listing-seconds = 0",
    STORE + 'listing-seconds = 0.5\nca-bundle = "/x"\nrequester-pays = true',
    STORE + '[stores.b]\nfiles = { "x y" = "https://h/x" }',
    'project = "p"\ndefault = "a"\nwrite = "back"\nscratch = ["*.tmp"]\n' + STORE,
    STORE + '[cache]\nsize = "1 GiB"\n[hash]\nwhole-below = "1 MB"\nwhole-above-part = 1',
]


def valid(table: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(projectfile.schema()).is_valid(table))


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(text: str) -> None:
    table = tomllib.loads(text)
    with pytest.raises(errors.UsageError) as caught:
        projectfile.checked(table)
    assert str(caught.value) == WRONG[text]


@pytest.mark.parametrize("text", WRONG)
def test_the_schema_refuses_it_too(text: str) -> None:
    assert not valid(tomllib.loads(text))


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right(text: str) -> None:
    table = tomllib.loads(text)
    assert valid(table)
    assert projectfile.checked(table).stores["a"].url == "s3://b"


def test_what_is_left_out_has_its_default() -> None:
    found = projectfile.checked(tomllib.loads(STORE))
    assert found.stores == {"a": StoreTable(url="s3://b")}
    assert (found.project, found.default, found.write, found.scratch) == ("", None, "through", ())
    assert (found.cache, found.hash) == (CacheTable(), HashTable())


def test_the_schema_tells_what_each_key_is_for() -> None:
    found = projectfile.schema()
    tables = found["$defs"].values()
    properties = {name: about for table in tables for name, about in table["properties"].items()}
    assert {key.rpartition(".")[2] for key in projectfile.key_names()} <= set(properties)
    assert all(about["description"] for about in properties.values())
    assert "null" not in str(found)
    assert "None" not in str(found)
