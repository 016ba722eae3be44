"""What goes over the control socket arrives as it was: answers, pages, errors; and two versions tell each other apart."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.controls import connected, scripted, serving
from vstorefs import __version__, errors
from vstorefs.cli import main
from vstorefs.control import client, protocol
from vstorefs.control.history import DiffRow, Searched, ShowDiff, ShowHistory, Versions
from vstorefs.control.maintenance import FindPaths, FoundPaths, PurgeOutcomes, PurgeVersions
from vstorefs.control.protocol import PROTOCOL
from vstorefs.mount.control.server import Send
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.comparison import Change
from vstorefs.versions.history.points import NOW, Point

DIFF = ShowDiff("a", Point("k3v9x0"), NOW)
ROWS = [DiffRow(str(number), Change.ADDED, True, None, None) for number in range(3)]


async def found(request: FindPaths) -> FoundPaths:
    return FoundPaths((request.path,), ("s",))


def failing(error: Exception) -> Any:
    async def handler(request: FindPaths) -> FoundPaths:
        raise error

    return handler


def test_an_answer_has_the_type_that_its_request_names(record: MountRecord) -> None:
    with serving(record, {FindPaths: found}):
        answer = client.ask(record, FindPaths("caf\u00e9\n", to_purge=False))
    assert answer == FoundPaths(("caf\u00e9\n",), ("s",))


def test_the_socket_is_its_owners_alone(record: MountRecord) -> None:
    with serving(record, {FindPaths: found}):
        assert stat.S_IMODE(Path(record.socket).stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", sorted(errors.BY_NAME))
def test_an_error_of_a_store_arrives_whole(record: MountRecord, kind: str) -> None:
    error = errors.BY_NAME[kind]("why", store="s", key="a/b", operation="read")
    with serving(record, {FindPaths: failing(error)}), pytest.raises(errors.StoreError) as caught:
        client.ask(record, FindPaths("a", to_purge=False))
    assert type(caught.value) is type(error)
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == "read s:a/b: why"


@pytest.mark.parametrize(
    ("kind", "status"),
    [(errors.UsageError, 2), (errors.VstorefsError, 1), (errors.JournalError, 1)],
)
def test_other_errors_keep_their_exit_status(
    record: MountRecord, kind: type[errors.VstorefsError], status: int
) -> None:
    with (
        serving(record, {FindPaths: failing(kind("why"))}),
        pytest.raises(errors.VstorefsError) as caught,
    ):
        client.ask(record, FindPaths("a", to_purge=False))
    assert type(caught.value) is kind
    assert str(caught.value) == "why"
    assert errors.to_exit_status(caught.value) == status


def test_an_error_of_a_kind_that_the_protocol_does_not_know_is_the_nearest_one(
    record: MountRecord,
) -> None:
    class Busy(errors.Unavailable):
        """A special case."""

    with (
        serving(record, {FindPaths: failing(Busy("why", key="a"))}),
        pytest.raises(errors.StoreError) as caught,
    ):
        client.ask(record, FindPaths("a", to_purge=False))
    assert type(caught.value) is errors.Unavailable
    assert caught.value.key == "a"


def test_an_error_inside_leads_to_the_log(
    record: MountRecord, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving(record, {FindPaths: failing(RuntimeError("secret"))}),
        pytest.raises(errors.VstorefsError) as caught,
    ):
        client.ask(record, FindPaths("a", to_purge=False))
    assert str(caught.value) == "internal error (RuntimeError); the log has the traceback"
    assert "secret" in caplog.text


def test_pages_come_in_order_and_then_the_end(record: MountRecord) -> None:
    async def pager(request: ShowDiff, send: Send) -> Searched:
        assert request == DIFF
        await send(msgspec.json.encode(ROWS[:2]))
        await send(msgspec.json.encode(ROWS[2:]))
        return Searched(7)

    with serving(record, {}, {ShowDiff: pager}):
        pages = client.Pages(record, DIFF)
        assert list(pages) == ROWS
    assert pages.end == Searched(7)


def test_an_error_behind_some_pages(record: MountRecord) -> None:
    async def pager(request: ShowDiff, send: Send) -> Searched:
        await send(msgspec.json.encode(ROWS[:2]))
        raise errors.NotFound("gone", key="a")

    with serving(record, {}, {ShowDiff: pager}):
        rows = iter(client.Pages(record, DIFF))
        assert [next(rows), next(rows)] == ROWS[:2]
        with pytest.raises(errors.NotFound, match="a: gone"):
            next(rows)


def test_an_answer_that_is_cut_off(record: MountRecord) -> None:
    page = protocol.page_line(msgspec.json.encode(ROWS))
    with scripted(record, lambda _: page):
        rows = iter(client.Pages(record, DIFF))
        assert [next(rows) for _ in ROWS] == ROWS
        with pytest.raises(errors.VstorefsError, match="before its answer was complete"):
            next(rows)
    with (
        scripted(record, lambda _: b""),
        pytest.raises(errors.VstorefsError, match="before it answered"),
    ):
        client.ask(record, FindPaths("a", to_purge=False))


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\x00{",
        b"",
        b"[]",
        b'"status"',
        b"{" * 1000,
        f'{{"protocol": {PROTOCOL}}}'.encode(),
        f'{{"protocol": {PROTOCOL}, "request": {{"op": "no such thing"}}}}'.encode(),
        f'{{"protocol": {PROTOCOL}, "request": {{"op": "paths", "path": 1, "to_purge": false}}}}'.encode(),
        f'{{"protocol": {PROTOCOL}, "request": {{"op": "paths", "path": "a"}}}}'.encode(),
        b'{"protocol": "two", "request": {"op": "paths"}}',
    ],
)
def test_garbage_is_refused_and_the_connection_lives_on(record: MountRecord, line: bytes) -> None:
    with serving(record, {FindPaths: found}), connected(record) as say:
        answer = json.loads(say(line))
        assert answer["is"] == "failure"
        assert answer["error"] == "UsageError"
        assert "not a request that this mount knows" in answer["message"]
        good = json.loads(say(protocol.call_line(FindPaths("a", to_purge=False)).rstrip()))
        assert good["answer"] == {"paths": ["a"], "stores": ["s"]}


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\x00\n",
        b"[]\n",
        f'{{"protocol": {PROTOCOL}, "is": "song"}}\n'.encode(),
        f'{{"protocol": {PROTOCOL}, "is": "answer", "answer": {{"paths": 1}}}}\n'.encode(),
    ],
)
def test_garbage_for_an_answer(record: MountRecord, line: bytes) -> None:
    with (
        scripted(record, lambda _: line),
        pytest.raises(errors.VstorefsError, match=f"{record.mount_point}.*does not answer"),
    ):
        client.ask(record, FindPaths("a", to_purge=False))


def test_text_that_is_not_utf_8_is_refused_before_it_is_sent(record: MountRecord) -> None:
    with pytest.raises(errors.UsageError, match=r"caf\\xe9 is not UTF-8"):
        client.ask(record, FindPaths("caf\udce9", to_purge=False))


# --- versions that do not match


async def purged(request: PurgeVersions) -> PurgeOutcomes:
    raise AssertionError("nothing may be carried out")


def test_a_command_of_the_first_protocol_is_told_in_its_own_words(record: MountRecord) -> None:
    with serving(record, {PurgeVersions: purged}), connected(record) as say:
        answer = json.loads(say(b'{"op": "purge", "versions": [], "by": "me", "at": 1}'))
    assert answer["ok"] is False
    # What `status` of then prints before the error.
    assert (answer["mount_point"], answer["pid"]) == ("a mount of another vstorefs", record.pid)
    assert answer["error"] == (
        f"this mount was started by vstorefs {__version__} (control protocol {PROTOCOL}); this command is "
        "an older vstorefs (protocol 1): unmount and mount again, or use the matching vstorefs"
    )


@pytest.mark.parametrize(("number", "release"), [(PROTOCOL + 1, "9.0"), (PROTOCOL - 1, "0.0.1")])
def test_a_command_of_another_protocol_is_refused(
    record: MountRecord, number: int, release: str
) -> None:
    call = {"protocol": number, "release": release, "request": {"op": "purge"}, "new": "field"}
    with serving(record, {PurgeVersions: purged}), connected(record) as say:
        answer = json.loads(say(json.dumps(call).encode()))
    assert (answer["protocol"], answer["release"]) == (PROTOCOL, __version__)
    assert f"this command is vstorefs {release} (protocol {number})" in answer["error"]


def first_protocol(line: bytes) -> bytes:
    """As a mount of the first protocol read a request."""
    try:
        json.loads(line)["op"]
    except KeyError:
        return b'{"ok": false, "error": "not a request that this version knows"}\n'
    raise AssertionError("it would have carried this out")


@pytest.mark.parametrize(
    ("mount", "told"),
    [
        (first_protocol, "an older vstorefs (control protocol 1)"),
        (
            lambda _: b'{"protocol": 77, "release": "9.0", "ok": false, "error": "?"}\n',
            "vstorefs 9.0 (control protocol 77)",
        ),
    ],
)
def test_a_mount_of_another_protocol(
    record: MountRecord, capsys: pytest.CaptureFixture[str], mount: Any, told: str
) -> None:
    line = (
        f"the mount on {record.mount_point} was started by {told}; this command is vstorefs {__version__} "
        f"(protocol {PROTOCOL}): unmount and mount again, or use the matching vstorefs"
    )
    with scripted(record, mount):
        with pytest.raises(errors.VstorefsError) as caught:
            client.ask(record, ShowHistory("a"))
        assert str(caught.value) == line
        assert main.main(["log", f"{record.mount_point}/a"]) == 1
        assert capsys.readouterr().err == f"vstorefs: {line}\n"
        assert main.main(["status"]) == 1
        assert capsys.readouterr().out.splitlines()[1:] == [f"  {line}"]


def test_a_mount_of_this_protocol_and_another_release(record: MountRecord) -> None:
    answer = {"protocol": PROTOCOL, "release": "9.0", "is": "answer", "answer": {"versions": []}}
    with scripted(record, lambda _: json.dumps(answer).encode() + b"\n"):
        assert client.ask(record, ShowHistory("a")) == Versions(())
