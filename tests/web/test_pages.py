"""What the pages show: every run, everything about one, files, warnings; and what bad addresses get."""

from __future__ import annotations

import json
import os
import shutil
import socket
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.ledgers import hashes, many, seen
from tests.web.conftest import THIS_HOST, Served
from vstorefs import errors, files
from vstorefs.control.exchange import exchange
from vstorefs.ledger import manifest
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


def test_runs_have_their_warnings_beside_them(served: Served) -> None:
    runs = served.runs
    runs.whole("first", "python", "train.py", used=[("train.csv", seen("a"))])
    runs.whole("second", "python", "train.py", used=[("train.csv", seen("b"))], exit_status=3)
    page = served.page("/")
    assert page.text.index("second") < page.text.index("first")
    assert "failed (3)" in page.text
    assert "python train.py" in page.text
    assert "1 warning train.csv: warning: changed since run" in page.text
    assert page.text.count(" warning ") == 1


def test_a_run_that_goes_on_shows_what_it_has_done_by_now(served: Served) -> None:
    run = served.runs.begin("going", "sleep", "9")
    served.runs.use(run, "train.csv", seen("a"))
    assert "running" in served.page("/").text
    assert "Inputs 1" in served.page(f"/runs/{run.id}").text


def test_every_one_of_many_runs_is_on_one_part_of_the_list(served: Served) -> None:
    many(served.state, served.site.ledger.project, 120)
    found: list[str] = []
    where: str | None = "/"
    while where:
        page = served.page(where)
        found += [one for one in page.links if one.startswith("/runs/")]
        where = page.rel("next")
    assert len(found) == len(set(found)) == 120


def test_runs_are_found_by_name_command_host_and_warning(served: Served) -> None:
    runs = served.runs
    runs.whole("alpha", "make", "results", used=[("train.csv", seen("a"))])
    runs.whole("beta", "python", "train.py", used=[("train.csv", seen("b"))])
    for word, names in {
        "BETA": {"beta"},
        "results": {"alpha"},
        THIS_HOST: {"alpha", "beta"},
        "train.csv:": {"beta"},
    }.items():
        text = served.page(f"/?{urlencode({'search': word})}").text
        assert {name for name in ("alpha", "beta") if f" {name} " in text} == names, word
    assert "No run has “gamma”" in served.page("/?search=gamma").text


def test_a_search_goes_on_in_the_older_runs(served: Served) -> None:
    many(served.state, served.site.ledger.project, 300)
    page = served.page("/?search=even")
    onward = page.rel("next")
    assert onward is not None
    assert parse_qs(urlsplit(onward).query)["search"] == ["even"]
    assert all("even" in text for text in _names(served, onward))


def test_a_runs_page_tells_everything(served: Served) -> None:
    runs = served.runs
    before = runs.whole("before", "true", used=[("train.csv", seen("a", 1000))])
    run = runs.begin(
        "now",
        "python",
        "train.py",
        folder="/home/ada/work",
        commit="0123456789abcdef0123456789abcdef01234567+",
        software="0.1.0",
    )
    runs.use(run, "train.csv", seen("b", 2000), read_bytes=512, opens=3)
    runs.make(run, "out/model.pt", seen("c", 3000))
    runs.end(run, 4)
    page = served.page(f"/runs/{run.id}")
    for text in (
        run.id,
        "failed (4)",
        "python train.py",
        "/home/ada/work",
        "0123456789abcdef0123456789abcdef01234567+",
        "with changes",
        f"ada on {THIS_HOST}",
        "vstorefs 0.1.0",
        "train.csv",
        "2.0 kB",
        "512 B",
        "opened 3 times",
        "out/model.pt",
        *(getattr(hashes(one), kind) for one in "abc"[1:] for kind in ("md5", "sha1", "sha256")),
        hashes("a").sha256,
        seen("a").version or "",
        seen("b").version or "",
    ):
        assert text in page.text, text
    assert f"/runs/{before.id}" in page.links
    assert "changed since run" in page.text
    raw = served.get(page.link("manifest.json"))
    assert raw.headers["content-type"] == "application/json"
    assert raw.content == manifest.encode(served.site.ledger.manifest(run))


def test_a_run_is_found_by_its_name_and_by_the_start_of_its_id(served: Served) -> None:
    run = served.runs.whole("baseline", "true", used=[("a", seen("a"))])
    for text in ("baseline", run.id[:8]):
        assert run.id in served.page(f"/runs/{text}").text


def test_many_inputs_come_in_parts_and_can_be_searched(served: Served) -> None:
    runs = served.runs
    run = runs.begin("wide", "true")
    for number in range(230):
        runs.use(run, f"data/part-{number:03d}", seen(f"p{number}"))
    runs.end(run)
    page = served.page(f"/runs/{run.id}?inputs=3")
    assert "data/part-229" in page.text
    assert "data/part-199" not in page.text
    assert "3 of 3" in page.text
    page = served.page(f"/runs/{run.id}?search=PART-017")
    assert "Inputs 1" in page.text
    assert "data/part-017" in page.text


def test_the_log_of_a_run_is_shown_or_where_it_is(served: Served) -> None:
    logs = served.site.state_dir / "logs"
    logs.mkdir()
    (logs / "home-ada-data.log").write_text(
        "".join(
            f"2026-11-26T02:31:52.123+01:00 INFO    /home/ada/data/f{n}: <b>downloaded</b>, 28.9 kB\n"
            for n in range(500)
        )
    )
    runs = served.runs
    here = runs.begin("here", "true", mount_point="/home/ada/data")
    gone = runs.begin("gone", "true", mount_point="/home/ada/other")
    away = runs.begin("away", "true", mount_point="/home/ada/data", host="far")
    page = served.page(f"/runs/{here.id}")
    assert "f499: <b>downloaded</b>" in page.text
    assert "f299:" not in page.text
    assert str(logs / "home-ada-other.log") in served.page(f"/runs/{gone.id}").text
    assert "is on far" in served.page(f"/runs/{away.id}").text


def test_a_log_in_json_is_shown_as_text(served: Served) -> None:
    logs = served.site.state_dir / "logs"
    logs.mkdir()
    fields = {"time": "2026-11-26T02:31:52.123+01:00", "level": "ERROR", "logger": "vstorefs"}
    record = fields | {"message": "/f\n: bad", "exception": "Traceback:\n  line\nOSError: x"}
    (logs / "home-ada-data.log").write_text(json.dumps(record) + "\n")
    here = served.runs.begin("here", "true", mount_point="/home/ada/data")
    page = served.page(f"/runs/{here.id}")
    told = r"2026-11-26T02:31:52.123+01:00 ERROR /f\n: bad Traceback: line OSError: x"
    assert told in page.text
    assert "{" not in page.text[page.text.index("Log of the mount") :]


def test_warnings_that_hold_come_with_the_command_and_end_when_accepted(served: Served) -> None:
    runs = served.runs
    runs.whole("first", "true", used=[("b.csv", seen("a")), ("a.csv", seen("a"))])
    runs.whole("second", "true", used=[("b.csv", seen("b")), ("a.csv", seen("b"))])
    page = served.page("/warnings")
    assert "2 paths" in page.text
    assert page.text.index("a.csv") < page.text.index("b.csv")
    assert hashes("a").sha256 in page.text
    assert "vstorefs ack" in page.text
    assert "b.csv" not in served.page("/warnings?search=A.CSV").text
    served.site.ledger.acknowledge(runs.place("a.csv"), seen("b"), "fine", "ada")
    assert "a.csv" not in served.page("/warnings").text


def test_a_file_that_is_not_mounted_shows_what_the_ledger_knows(served: Served) -> None:
    run = served.runs.whole("one", "true", used=[("train.csv", seen("a"))])
    page = served.page("/file?path=train.csv")
    assert "not mounted on this host" in page.text
    assert hashes("a").sha256 in page.text
    assert f"/runs/{run.id}" in page.links


def test_nothing_at_all_is_said_so(served: Served) -> None:
    assert "No runs yet." in served.page("/").text
    assert "No warnings: " in served.page("/warnings").text
    assert "No mounts." in served.page("/mounts").text


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("/runs/none", 404),
        ("/runs/" + "x" * 2000, 404),
        ("/runs/%00", 404),
        ("/runs/%F0%9F%98%80", 404),
        ("/runs/none/manifest.json", 404),
        ("/runs/one?inputs=2", 404),
        ("/runs/one?inputs=0", 400),
        ("/runs/one?outputs=-1", 400),
        ("/runs/one?inputs=1e3", 400),
        ("/?before=yesterday", 400),
        ("/?before=2026-11-20", 400),
        ("/warnings?page=2", 404),
        ("/warnings?page=%D9%A3", 400),
        ("/warnings?page=" + "9" * 400, 400),
        ("/file?path=none", 404),
        ("/file?path=../../etc/passwd", 400),
        ("/file?path=/etc/passwd", 400),
        ("/file?path=a/./b", 400),
        ("/file?path=a//b", 400),
        ("/file?path=.vstorefs/format", 400),
        ("/file?path=a/.versions/b", 400),
        ("/file?path=a%00b", 400),
        ("/file?path=%FF%FE", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/nowhere", 404),
    ],
)
def test_bad_addresses_get_a_page_that_says_why(served: Served, where: str, status: int) -> None:
    served.runs.whole("one", "true", used=[("train.csv", seen("a"))])
    answer = served.get(where)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert "Traceback" not in answer.text


def test_a_store_that_is_away_takes_nothing_but_news(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = served.runs.whole("one", "true", used=[("train.csv", seen("a"))])
    shutil.rmtree(served.site.project.default_store.url.removeprefix("file://"))
    sync = served.site.sync
    sync.problem = exchange(served.site.chosen, served.site.ledger)
    page = served.page("/")
    assert "Cannot sync with the default store." in page.text
    assert "there is no directory" in page.text
    assert "1 record is on this host only" in page.text
    assert " one " in page.text
    assert "train.csv" in served.page(f"/runs/{run.id}").text

    def away(_: object) -> None:
        raise errors.Unavailable("nobody answers")

    monkeypatch.setattr(served.site.ledger, "manifest", away)
    page = served.page(f"/runs/{run.id}")
    assert "Cannot read its manifest" in page.text
    assert "nobody answers" in page.text
    assert served.get(f"/runs/{run.id}/manifest.json").status_code == 503


def _names(served: Served, where: str) -> list[str]:
    page = served.page(where)
    return [served.page(one).text for one in page.links[:12] if one.startswith("/runs/")]


def test_a_mount_that_does_not_answer_is_said_so(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        path = mounts.socket_path("/home/ada/data")
        sock.bind(str(path))
        pid = os.getpid()
        start = files.process_start(pid)
        assert start is not None
        record = MountRecord(
            "/home/ada/data",
            pid,
            start,
            str(path),
            mounts.encoded(served.site.project),
            "",
            "",
            None,
            read_only=False,
        )
        mounts.write(record)
    run = served.runs.whole("one", "true", used=[("train.csv", seen("a"))])
    assert "does not answer: [Errno 111]" in served.page("/mounts").text
    page = served.page("/file?path=train.csv")
    assert "does not answer: [Errno 111]" in page.text
    assert f"/runs/{run.id}" in page.links
