"""How pages write names and commands. Pure.

A name may hold anything: a character that cannot be seen, or turns the direction of the text, is written as its
escape. What a page gives to type is quoted for a shell, so that it does the same whatever the name is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from urllib.parse import quote, urlencode

_DIGEST = re.compile(r"\b[0-9a-f]{40,64}\b")
_SHORT = 12


def shell_word(text: str) -> str:
    """A text as one word of a bash command line."""
    if text.isprintable():
        return shlex.quote(text)
    parts = []
    for one in text:
        if one in "'\\":
            parts.append(f"\\{one}")
        elif one.isprintable():
            parts.append(one)
        else:
            data = one.encode("utf-8", "surrogateescape")
            parts.append("".join(f"\\x{byte:02x}" for byte in data))
    return f"$'{''.join(parts)}'"


def command_line(words: Sequence[str]) -> str:
    """A command as somebody would type it."""
    return " ".join(map(shell_word, words))


def short_digests(text: str) -> str:
    """A line with its hashes cut to what tells them apart."""
    return _DIGEST.sub(lambda found: f"{found[0][:_SHORT]}…", text)


def address(where: str, /, **query: object) -> str:
    """An address on this server; empty values are left out."""
    given = {name: value for name, value in query.items() if value not in {None, ""}}
    whole = quote(where, safe="/", errors="replace")
    return f"{whole}?{urlencode(given, errors='replace')}" if given else whole
