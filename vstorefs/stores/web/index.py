"""Index pages of web servers: nginx, Apache, Python and those that write like them; IIS and Caddy. Pure."""

from __future__ import annotations

import re
import urllib.parse
from html.parser import HTMLParser

_TITLE = re.compile(r"\s*(index of|directory listing)\b", re.IGNORECASE)
_IIS = re.compile(r"\s*\S+ - (/.*)")
_CADDY = "https://caddyserver.com"
_LONGEST = 255


class _Page(HTMLParser):
    """Headings and links of a page; `has_file`: a row of it is said to be a file's."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headings: list[str] = []
        self.links: list[str] = []
        self.has_file = False
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"title", "h1"}:
            self._in_heading = True
            self.headings.append("")
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
        self.has_file = self.has_file or (tag == "tr" and ("class", "file") in attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"title", "h1"}:
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings[-1] += data

    def is_index_of(self, path: str) -> bool:
        """Whether it lists the directory with that path, which begins and ends with a slash, by how servers name it."""
        if any(_TITLE.match(one) for one in self.headings):
            return True
        by_iis = (_IIS.fullmatch(one.rstrip()) for one in self.headings)
        if any(one is not None and one[1] == path for one in by_iis):
            return True
        # Caddy's title is the bare name, which a page of somebody's own may have too.
        name = path.rstrip("/").rpartition("/")[2] or "/"
        is_by_caddy = self.has_file and any(link.startswith(_CADDY) for link in self.links)
        return is_by_caddy and name in (one.strip() for one in self.headings)


def names_in(page: str, url: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of files and of directories that an index page at `url` links to; None where it is no index page.

    Links that lead elsewhere, sort the page or go up are no names of the directory.
    """
    parser = _Page()
    parser.feed(page)
    here = urllib.parse.urlsplit(url)
    if not parser.is_index_of(urllib.parse.unquote(here.path)):
        return None
    files: dict[str, None] = {}
    folders: dict[str, None] = {}
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
