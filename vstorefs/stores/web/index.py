"""Index pages of web servers: nginx, Apache, Python and those that write like them. Pure."""

from __future__ import annotations

import re
import urllib.parse
from html.parser import HTMLParser

_TITLE = re.compile(r"\s*(index of|directory listing)\b", re.IGNORECASE)
_LONGEST = 255


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.is_index = False
        self.links: list[str] = []
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"title", "h1"}:
            self._in_heading = True
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in {"title", "h1"}:
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading and _TITLE.match(data):
            self.is_index = True


def names_in(page: str, url: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of files and of directories that an index page at `url` links to; None where it is no index page.

    Links that lead elsewhere, sort the page or go up are no names of the directory.
    """
    parser = _Page()
    parser.feed(page)
    if not parser.is_index:
        return None
    files: dict[str, None] = {}
    folders: dict[str, None] = {}
    here = urllib.parse.urlsplit(url)
    for link in parser.links:
        there = urllib.parse.urlsplit(urllib.parse.urljoin(url, link))
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or there.query:
            continue
        if not there.path.startswith(here.path):
            continue
        rest = there.path[len(here.path) :]
        name = urllib.parse.unquote(rest.removesuffix("/"), errors="surrogateescape")
        if "/" not in rest.removesuffix("/") and _is_name(name):
            (folders if rest.endswith("/") else files)[name] = None
    return tuple(name for name in files if name not in folders), tuple(folders)


def _is_name(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return name not in {"", ".", ".."} and not {"/", "\0"} & set(name) and size <= _LONGEST
