"""What a shelf refuses, in the family's words: this kind's border, as each real kind has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vstorefs import errors
from vstorefs.stores.http_errors import kind_of_status


class Refused(Exception):
    """A shelf's own error; `status` is what an HTTP server would answer."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


@contextmanager
def translated(alias: str, key: str, operation: str, *, absent: bool = False) -> Iterator[None]:
    """Raise the family's errors instead. `absent`: a failed condition means that there is such an object."""
    try:
        yield
    except Refused as error:
        kind = kind_of_status(error.status)
        if kind is errors.Changed and absent:
            kind = errors.AlreadyExists
        raise kind(str(error), store=alias, key=key, operation=operation) from error
