"""A page served in this process, for one project with a ledger that tests fill."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from tests.support.ledgers import Runs, SetClock
from tests.support.processes import answers, wait_until
from vstorefs import projectsources
from vstorefs.ledger.archive import FolderArchive
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.opening import Chosen
from vstorefs.state.env import State
from vstorefs.web.app import application
from vstorefs.web.security import Door
from vstorefs.web.site import Site
from vstorefs.web.sync import LedgerSync

THIS_HOST = socket.gethostname()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-screenshots", type=Path, help="write the pictures that the documentation shows"
    )


@dataclass
class Served:
    """A server, what it shows, and a browser of sorts that has come in."""

    port: int
    runs: Runs
    state: State
    site: Site
    door: Door
    addresses: list[str] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def url(self, where: str) -> str:
        return f"http://127.0.0.1:{self.port}{where}"

    def get(self, where: str, **more: Any) -> requests.Response:
        return self.session.get(self.url(where), **more)

    def page(self, where: str) -> Page:
        answer = self.get(where)
        assert answer.status_code == 200, answer.text
        return Page(answer.text)


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._text))

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for tag, attrs in self.tags if tag == "a"]

    def link(self, text: str) -> str:
        """The address of the first link in which a text occurs."""
        return next(one for one in self.links if text in one)

    def rel(self, name: str) -> str | None:
        """The address of the link that leads on, or back."""
        return next(
            (a["href"] for tag, a in self.tags if tag == "a" and a.get("rel") == name), None
        )


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (tmp_path / "store").mkdir()
    shown = projectsources.for_url((tmp_path / "store").as_uri(), {})
    spec = shown.default_store
    clock = SetClock()
    with contextlib.ExitStack() as stack:
        state = State.open(tmp_path / "state")
        stack.callback(state.close)
        ledger = Ledger(state, spec.id, lambda: FolderArchive(spec), clock)
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        addresses: list[str] = []
        door = Door(port, addresses.append)
        chosen = Chosen(shown, None, tmp_path / "state")
        site = Site(chosen, ledger, LedgerSync(chosen))
        config = uvicorn.Config(
            application(site, door), lifespan="off", ws="none", access_log=False, log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        wait_until(lambda: answers(port), "answer of the server")
        session = stack.enter_context(requests.Session())
        one = Served(
            port,
            Runs(ledger, clock, spec.id, host=THIS_HOST),
            state,
            site,
            door,
            addresses,
            session,
        )
        assert session.get(door.address).status_code == 200
        yield one
