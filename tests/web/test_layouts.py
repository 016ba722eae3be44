"""A file's history is the same page on each way to keep versions: uses, makers, and contents that are compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.mount.kinds import WRITABLE
from tests.support.mounts import host
from tests.web.conftest import Page
from tests.web.test_ui import ui

pytestmark = [pytest.mark.mount, pytest.mark.stores]


@pytest.mark.parametrize("kind", ["file", "s3-native", "s3-portable"])
def test_versions_have_their_uses_and_can_be_compared(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    with host(tmp_path / "host", place.env) as one:
        mount = one.mount(place.url)
        file = mount / "train.csv"
        for content in ("a\n", "b\n"):
            file.write_text(content)
            one.run(
                "run", "--name", f"read {content.strip()}", "--mount", mount.path, "--", "cat", file
            )
        file.write_text("c\n")
        ids = [version["id"] for version in mount.history("train.csv")]
        with ui(one, "--no-browser", "--mount", mount.path) as (_, address):
            session = requests.Session()
            assert session.get(address).ok
            where = f"{address.partition('/enter')[0]}/file"
            query = {"path": "train.csv", "old": ids[0], "new": ids[2]}
            page = Page(session.get(where, params=query).text)
    assert page.text.count("1 run, last") == 2
    assert page.text.count(" none ") == 1
    assert "1 line added, 1 removed." in page.text
    assert page.text.count(f"--version={ids[0]}") == 1
