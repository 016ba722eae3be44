"""Index pages as servers write them: which names they list, and what is no index."""

from __future__ import annotations

import pytest

from vstorefs.stores.web.index import names_in

URL = "https://example.org/data%20sets/mnist/"
NGINX = """<html><head><title>Index of /data sets/mnist/</title></head><body>
<h1>Index of /data sets/mnist/</h1><hr><pre><a href="../">../</a>
<a href="a%20b/">a b/</a>                                               01-Nov-2026 10:00                   -
<a href="%C3%BC.csv">ü.csv</a>                                             01-Nov-2026 10:00                  12
<a href="x%26y.bin">x&amp;y.bin</a>                                           01-Nov-2026 10:00                  12
</pre><hr></body></html>"""
APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><head>
<title>Index of /data sets/mnist</title></head><body><h1>Index of /data sets/mnist</h1>
<table><tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th>
<th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th>
<th><a href="?C=S;O=A">Size</a></th><th><a href="?C=D;O=A">Description</a></th></tr>
<tr><td><img src="/icons/back.gif"></td><td><a href="/data%20sets/">Parent Directory</a></td></tr>
<tr><td><img src="/icons/folder.gif"></td><td><a href="a%20b/">a b/</a></td><td>2026-11-01</td></tr>
<tr><td><img src="/icons/text.gif"></td><td><a href="%c3%bc.csv">ü.csv</a></td><td>12</td></tr>
<tr><td><img src="/icons/unknown.gif"></td><td><a href="x%26y.bin">x&amp;y.bin</a></td></tr>
</table><address>Apache/2.4.62 (Debian) Server at example.org Port 443</address></body></html>"""
PYTHON = """<!DOCTYPE HTML><html lang="en"><head><meta charset="utf-8">
<title>Directory listing for /data sets/mnist/</title></head><body>
<h1>Directory listing for /data sets/mnist/</h1><hr><ul>
<li><a href="a%20b/">a b/</a></li><li><a href="%C3%BC.csv">ü.csv</a></li>
<li><a href="x%26y.bin">x&amp;y.bin</a></li></ul><hr></body></html>"""
LIGHTTPD = """<!DOCTYPE html><html><head><title>Index of /data%20sets/mnist/</title></head><body>
<h2>Index of /data%20sets/mnist/</h2><div class="list"><table><tbody>
<tr class="d"><td class="n"><a href="../">..</a>/</td><td class="m">&nbsp;</td></tr>
<tr class="d"><td class="n"><a href="a%20b/">a b</a>/</td></tr>
<tr><td class="n"><a href="%C3%BC.csv">ü.csv</a></td><td class="s">0.1K</td></tr>
<tr><td class="n"><a href="x%26y.bin">x&amp;y.bin</a></td></tr></tbody></table></div></body></html>"""


@pytest.mark.parametrize("page", [NGINX, APACHE, PYTHON, LIGHTTPD])
def test_servers_that_write_index_pages(page: str) -> None:
    assert names_in(page, URL) == (("ü.csv", "x&y.bin"), ("a b",))


def test_links_that_are_no_names() -> None:
    links = [
        "https://other.example.org/data%20sets/mnist/x",
        "mailto:a@b",
        "?sort=size",
        "file?download=1",
        "#top",
        "sub/deeper",
        "%2e%2e",
        "a%2Fb",
        "bad%00name",
        "n" * 256,
        "%FF.bin",
    ]
    page = "<title>Index of /</title>" + "".join(f'<a href="{one}">x</a>' for one in links)
    assert names_in(page + '<a href="good">good</a>', URL) == (("good",), ())


@pytest.mark.parametrize(
    "page", ["", "<title>My pages</title><a href='x'>x</a>", "<p>Index of things</p><a href='x'>x"]
)
def test_pages_that_are_no_index(page: str) -> None:
    assert names_in(page, URL) is None
