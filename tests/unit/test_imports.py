"""A process has only the SDKs in it that it needs: they take up to a second, and memory."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

import vstorefs
import vstorefs.api
from tests.support.processes import ROOT

SDKS = {
    "boto3": "s3",
    "google.cloud": "gs",
    "azure.storage": "az",
    "swiftclient": "swift",
    "requests": "https",
}
_OPEN = """
from vstorefs.stores.registry import *
spec = resolve("x", "{url}", Settings(anonymous=True, endpoint="http://127.0.0.1:9"), environ={{}})
open_bucket(spec) if is_object_store(spec.url) else open_plain(spec)
"""
# What an SDK brings along of another kind's.
_BROUGHT = {"gs": {"requests"}, "az": {"requests"}, "swift": {"requests"}}


def imported(code: str) -> set[str]:
    """The SDKs that a process has in it after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(found.stdout.splitlines()[-1])) & set(SDKS)


@pytest.mark.parametrize(
    "module", ["vstorefs.mount.front", "vstorefs.workers.main", "vstorefs.cli.main"]
)
def test_no_sdk_comes_with_a_process(module: str) -> None:
    assert imported(f"import {module}") == set()


@pytest.mark.parametrize(
    "url", ["s3://bucket", "gs://bucket", "az://container", "swift://container", "https://host/"]
)
def test_a_kind_brings_its_own_sdk_alone(url: str) -> None:
    kind = url.partition(":")[0]
    own = {name for name, serves in SDKS.items() if serves == kind}
    found = imported(_OPEN.format(url=url))
    assert own <= found
    assert found <= own | _BROUGHT.get(kind, set())


def test_type_checkers_see_what_programs_get() -> None:
    stub = ast.parse((ROOT / "vstorefs/__init__.pyi").read_text())
    imported_from = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imported_from] == ["vstorefs.api"]
    names = {one.name for node in imported_from for one in node.names}
    assert names == set(vstorefs.api.__all__)
    assert names | {"__version__"} == set(vstorefs.__all__)
