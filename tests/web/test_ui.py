"""`vstorefs ui` as a process: where it listens, what it prints, how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.mounts import Host
from tests.support.processes import ROOT, free_port, vstorefs, wait_until

PRINTED = r"(?m)^Open http://127\.0\.0\.1:\S+ \(valid once\)\. Ctrl-C stops the server\.$"


@contextlib.contextmanager
def ui(
    host: Host, *arguments: str | Path, **more: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The page of a host, and the address that was printed first."""
    output = host.folder / "ui.out"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "vstorefs.cli.main", "ui", *map(str, arguments)],
            env={**host.env, "PYTHONPATH": str(ROOT), **more},
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=host.folder,
        )
    try:
        wait_until(lambda: b"\n" in output.read_bytes(), "address", process=process)
        yield process, output.read_text().split()[1]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_on_the_loopback_address_until_it_is_told_to_stop(
    one_host: Host, number: signal.Signals
) -> None:
    with ui(one_host, "--no-browser") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        with requests.Session() as session:
            assert session.get(address).ok
            assert session.get(address.partition("/enter")[0]).ok
            process.send_signal(number)
            assert process.wait(30) == 0
        output = (one_host.folder / "ui.out").read_text()
    assert len(re.findall(PRINTED, output)) == output.count("\n") == 2
    assert not list(Path(one_host.env["XDG_RUNTIME_DIR"], "vstorefs").glob("ui-*"))


@pytest.mark.mount
def test_a_directory_leads_to_the_files_below_it(one_host: Host) -> None:
    folder = one_host.folder / "models"
    folder.mkdir()
    mount = one_host.project(f'[stores.models]\nurl = "{folder.as_uri()}"\n')
    (mount / "models/d/e").mkdir(parents=True)
    for name in ("d/e/a & b", "d/gone", "other"):
        (mount / "models" / name).write_text("content")
    (mount / "models/d/gone").unlink()
    one_host.run("flush")
    with ui(one_host, "--no-browser") as (_, address), requests.Session() as session:
        assert session.get(address).ok
        base = address.partition("/enter")[0]
        links: list[str] = []
        for path in ("models/d", "models/d/", str(mount / "models/d")):
            page = session.get(f"{base}/file", params={"path": path})
            assert page.status_code == 200, page.text
            links = re.findall(r'<a class="path" href="(/file\?path=[^"]+)"', page.text)
            assert links == ["/file?path=models%2Fd%2Fe%2Fa+%26+b", "/file?path=models%2Fd%2Fgone"]
        for link in links:
            assert "Versions" in session.get(f"{base}{link}").text
        assert session.get(f"{base}/file", params={"path": "models/none"}).status_code == 404
        assert (
            session.get(f"{base}/file", params={"path": "models/other", "page": "9"}).status_code
            == 404
        )


def test_a_port_in_use_is_one_clear_line(one_host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = vstorefs("ui", "--no-browser", "--port", port, env=one_host.env, check=False)
    assert result.returncode == 2
    assert result.stderr == (
        f"vstorefs: cannot listen on port {port}: Address already in use; "
        "choose another with --port, or omit it for a free one\n"
    )


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999", "x"])
def test_a_port_that_is_none_is_refused(one_host: Host, port: str) -> None:
    result = vstorefs("ui", "--no-browser", "--port", port, env=one_host.env, check=False)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "port" in result.stderr


def test_a_port_of_ones_choice_is_taken(one_host: Host) -> None:
    port = free_port()
    with ui(one_host, "--no-browser", "--port", str(port)) as (_, address):
        assert address.startswith(f"http://127.0.0.1:{port}/")


def test_the_browser_gets_the_token_through_a_private_file(one_host: Host) -> None:
    seen = one_host.folder / "seen"
    browser = one_host.folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {seen}.new && mv {seen}.new {seen}\n')
    browser.chmod(0o755)
    with ui(one_host, DISPLAY=":9", BROWSER=str(browser)) as (process, address):
        wait_until(seen.exists, "start of the browser", process=process)
        given = seen.read_text()
        token = address.partition("token=")[2]
        assert token not in given
        file = Path(given.removeprefix("file://"))
        assert token in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        assert token.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not file.exists()


def test_no_other_command_waits_for_what_serves_pages() -> None:
    script = "import vstorefs.cli.main as m, sys; m.parser(); print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=dict(os.environ),
    )
    assert {"starlette", "uvicorn", "jinja2"}.isdisjoint(found.stdout.split())
