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
IIS = """<html><head><title>example.org - /data sets/mnist/</title></head><body>
<H1>example.org - /data sets/mnist/</H1><hr>
<pre><A HREF="/data%20sets/">[To Parent Directory]</A><br><br> 11/1/2026 10:00 AM        &lt;dir&gt;
<A HREF="/data%20sets/mnist/a%20b/">a b</A><br> 11/1/2026 10:00 AM           12
<A HREF="/data%20sets/mnist/%C3%BC.csv">ü.csv</A><br> 11/1/2026 10:00 AM           12
<A HREF="/data%20sets/mnist/x%26y.bin">x&amp;y.bin</A><br></pre><hr></body></html>"""
CADDY = """<!DOCTYPE html><html><head><title>mnist</title></head><body><header><div class="breadcrumbs">Folder Path</div>
<h1><a href="/">/</a><a href="/data%20sets/">data sets</a><a href="/data%20sets/mnist/">mnist</a></h1></header>
<a href="?layout=grid">Grid</a><table><thead><tr><th><a href="?sort=name&order=desc">Name</a></th></tr></thead><tbody>
<tr><td></td><td><a href=".."><span class="goup">Up</span></a></td></tr>
<tr class="file"><td></td><td><a href="./a%20b/"><span class="name">a b/</span></a></td></tr>
<tr class="file"><td></td><td><a href="./%C3%BC.csv"><span class="name">ü.csv</span></a></td></tr>
<tr class="file"><td></td><td><a href="./x%26y.bin"><span class="name">x&amp;y.bin</span></a></td></tr></tbody></table>
<footer>Served with <a rel="noopener noreferrer" href="https://caddyserver.com">Caddy</a></footer></body></html>"""


@pytest.mark.parametrize("page", [NGINX, APACHE, PYTHON, LIGHTTPD, IIS, CADDY])
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


@pytest.mark.parametrize(
    "page",
    [
        '<title>mnist</title><a href="https://caddyserver.com">made with</a><a href="f">f</a>',
        '<title>Home</title><table><tr class="file"><td><a href="f">f</a></td></tr></table>',
        '<title>Acme - /about/</title><a href="f">f</a>',
        '<title>Acme - Products</title><a href="f">f</a>',
        '<title>A report - index of all shares</title><a href="f">f</a>',
    ],
)
def test_pages_that_only_look_like_one(page: str) -> None:
    assert names_in(page, URL) is None
