"""Where the bytes of a content come from that a run of this mount has made: what was there before, or the run itself.

A renamed file, one with another mode, and one that was written on still have bytes of the version that was there when
the run began to change it: that is what the run reads in them. What it wrote anew rests on nothing. Whoever else reads
a content reads what was made. Touched by the front's loop only.
"""

from __future__ import annotations

from collections import OrderedDict

from vstorefs.model import Content, Key, RunId, StoreId, Token

_REMEMBERED = 100_000

_Identity = tuple[StoreId, Key, Token]


class Origins:
    """The contents that runs of one mount made, the newest ones."""

    def __init__(self) -> None:
        self._made: OrderedDict[_Identity, tuple[RunId, Content | None]] = OrderedDict()

    def made(self, content: Content, run: RunId, under: Content | None) -> None:
        """A run has made a content, over another one or over nothing."""
        root = None if under is None else self.of(under, run)
        self._made.pop(_identity(content), None)
        self._made[_identity(content)] = (run, root)
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)

    def of(self, content: Content, run: RunId) -> Content | None:
        """What a run reads in a content: the content, what it had made that from, or None for its own work alone."""
        made = self._made.get(_identity(content))
        if made is None or made[0] != run:
            return content
        return made[1]

    def is_known(self, content: Content, run: RunId) -> bool:
        """Whether a run has made a content here, so that what it reads in it is known."""
        made = self._made.get(_identity(content))
        return made is not None and made[0] == run


def _identity(content: Content) -> _Identity:
    return content.store, content.key, content.token
