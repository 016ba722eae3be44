"""Nobody but the person who started the page gets anything from it, and nothing that is shown can act."""

from __future__ import annotations

import http.client
import re

import pytest
import requests

from tests.support.ledgers import seen
from tests.web.conftest import Page, Served

ADDRESSES = [
    "/",
    "/warnings",
    "/mounts",
    "/file",
    "/file?path=train.csv",
    "/runs/baseline",
    "/runs/baseline/manifest.json",
    "/static/style.css",
    "/nowhere",
]
NAMES = [
    "<script>alert(1)</script>",
    'x"><img src=x onerror=alert(1)>.csv',
    "' onfocus='alert(1)' autofocus='",
    "javascript:alert(1)",
    "line\nbreak.csv",
    "right\u202eto-left.csv",
    "&lt;b&gt;{{ 7 * 7 }}{% raw %}",
    "%2e%2e?path=x&y#z.csv",
]


@pytest.mark.parametrize("where", ADDRESSES)
def test_without_the_cookie_there_is_nothing(served: Served, where: str) -> None:
    served.runs.whole("baseline", "true", used=[("train.csv", seen("a"))])
    answer = requests.get(served.url(where))
    assert answer.status_code == 403
    assert "baseline" not in answer.text
    wrong = {served.door.cookie: "x" * 43}
    assert requests.get(served.url(where), cookies=wrong).status_code == 403


def test_the_token_works_once_and_leaves_no_trace(served: Served) -> None:
    address = served.addresses[-1]
    token = address.partition("token=")[2]
    answer = requests.get(address)
    assert answer.status_code == 200
    assert token not in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert requests.get(served.url("/"), cookies=answer.cookies).status_code == 200
    again = requests.get(address)
    assert again.status_code == 403
    assert "set-cookie" not in again.headers
    assert served.addresses[-1] != address
    assert requests.get(served.addresses[-1]).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "x" * 5000])
def test_a_wrong_token_opens_nothing(served: Served, token: str) -> None:
    answer = requests.get(served.url(f"/enter?token={token}"))
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil:{port}",
        "",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(served: Served, host: str) -> None:
    cookie = "; ".join(f"{one.name}={one.value}" for one in served.session.cookies)
    given = host.format(port=served.port)
    answer = requests.get(served.url("/"), headers={"Host": given, "Cookie": cookie})
    assert answer.status_code == 421
    own = f"localhost:{served.port}"
    assert requests.get(served.url("/"), headers={"Host": own, "Cookie": cookie}).ok


def test_two_hosts_are_none(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.putrequest("GET", "/", skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{served.port}")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in {400, 421}
    connection.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_another_site_cannot_use_it(served: Served, origin: str) -> None:
    assert served.get("/", headers={"Origin": origin}).status_code == 403
    assert served.session.post(served.url("/"), headers={"Origin": origin}).status_code == 403
    assert served.get("/", headers={"Origin": f"http://127.0.0.1:{served.port}"}).ok


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(served: Served, method: str) -> None:
    own = {"Origin": f"http://127.0.0.1:{served.port}"}
    for where in ("/", "/file?path=x", "/enter?token=x"):
        answer = served.session.request(method, served.url(where), headers=own)
        assert answer.status_code == 405


@pytest.mark.parametrize("where", [*ADDRESSES, "/enter?token=x", "/runs/none", "/?before=x"])
@pytest.mark.parametrize("inside", [True, False])
def test_every_answer_forbids_what_a_page_does_not_need(
    served: Served, where: str, inside: bool
) -> None:
    served.runs.whole("baseline", "true", used=[("train.csv", seen("a"))])
    session = served.session if inside else requests.Session()
    headers = session.get(served.url(where)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_can_inject(served: Served, name: str) -> None:
    runs = served.runs
    runs.whole(name, "sh", "-c", name, used=[(name, seen("a"))], made=[(f"out/{name}", seen("b"))])
    run = runs.whole(f"{name}2", name, used=[(name, seen("c"))])
    listing = served.page(f"/?{requests.compat.urlencode({'search': name})}")
    details = served.page(f"/runs/{run.id}")
    file = served.page(details.link("/file?path"))
    warnings = served.page("/warnings")
    shown = name.replace("\n", "\\n").replace("\u202e", "\\u202e")
    for page in (listing, details, file, warnings):
        assert re.sub(r"\s+", " ", shown) in page.text
        _assert_harmless(page)


def test_an_error_shows_no_traceback(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(served.site.ledger, "runs", fails)
    answer = served.get("/")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "Traceback" not in answer.text
    assert "secret of the house" not in answer.text


def _assert_harmless(page: Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in {"script", "img", "style", "iframe", "object", "base"}
        assert not [
            name for name in attrs if name.startswith("on") or name in {"style", "autofocus"}
        ]
        for name in ("href", "action"):
            assert (attrs.get(name) or "/").startswith(("/", "#")), attrs
