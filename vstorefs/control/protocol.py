"""The lines on a mount's control socket, and how two versions of vstorefs find out that they do not match.

One JSON object a line each way:

    → {"protocol": 2, "release": "0.1.0", "request": {"op": "history", "path": "a/b"}}
    ← {"protocol": 2, "release": "0.1.0", "is": "page", "rows": […]}           any number, for a request with pages
    ← {"protocol": 2, "release": "0.1.0", "is": "answer", "answer": {…}}
    ← {"protocol": 2, "release": "0.1.0", "is": "failure", "error": "NotFound", "message": "…", "key": "a/b", …}

Every line of every protocol has `protocol` and `release`; a line without them is of the first one, which had no
numbers. Where the numbers differ, nothing else of a line is read: the mount carries nothing out, and the command says
what to do. A mount refuses with `ok` and `error` beside the numbers: commands of the first protocol look for these.

Whoever changes a request, an answer or a row adds one to PROTOCOL, once for each release; a test remembers what is
said.
"""

from __future__ import annotations

import os
from typing import Any, Generic, Self, TypeVar, get_args

import msgspec

from vstorefs import __version__, errors

PROTOCOL = 2

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)
RowT = TypeVar("RowT", bound=msgspec.Struct)


class Request(
    msgspec.Struct, Generic[AnswerT], frozen=True, tag_field="op", forbid_unknown_fields=True
):
    """What a mount is asked; the type that it is derived from names the answer."""

    @classmethod
    def answer_type(cls) -> type[Any]:
        """What answers it."""
        found: type[Any] = _parameters(cls)[-1]
        return found


class Paged(Request[AnswerT], Generic[RowT, AnswerT], frozen=True):
    """A request with a long answer: pages of rows, then how it ended."""

    @classmethod
    def row_type(cls) -> type[Any]:
        """What its pages hold."""
        found: type[Any] = _parameters(cls)[0]
        return found


def _parameters(request: type[Request[Any]]) -> tuple[Any, ...]:
    (base,) = request.__dict__["__orig_bases__"]
    return get_args(base)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every line says of the side that wrote it."""

    protocol: int = 1
    release: str = ""

    @property
    def matches(self) -> bool:
        """Whether the rest of the line can be read here."""
        return self.protocol == PROTOCOL


class Call(Head, frozen=True, kw_only=True):
    """A request's line."""

    request: msgspec.Raw = msgspec.Raw(b"")


class Page(Head, frozen=True, kw_only=True, tag_field="is", tag="page"):
    """Some rows of a long answer: a list."""

    rows: msgspec.Raw


class Answer(Head, frozen=True, kw_only=True, tag_field="is", tag="answer"):
    """The answer, or the end of a long one."""

    answer: msgspec.Raw


class Failure(Head, frozen=True, kw_only=True, tag_field="is", tag="failure"):
    """Why there is no answer: an error of ours, with all that it knows."""

    error: str
    message: str
    store: str = ""
    key: str = ""
    operation: str = ""

    @classmethod
    def of(cls, error: errors.VstorefsError) -> Self:
        """An error, as the nearest of its kind that the other side knows."""
        name = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _FAMILY)
        if not isinstance(error, errors.StoreError):
            return cls(**_OURS, error=name, message=str(error))
        return cls(
            **_OURS,
            error=name,
            message=error.message,
            store=error.store,
            key=error.key,
            operation=error.operation,
        )

    def to_error(self) -> errors.VstorefsError:
        """The error, as if it had happened here."""
        kind = _FAMILY.get(self.error, errors.VstorefsError)
        if not issubclass(kind, errors.StoreError):
            return kind(self.message)
        return kind(self.message, store=self.store, key=self.key, operation=self.operation)


class Refusal(Head, frozen=True, kw_only=True):
    """What a mount answers to a command of another protocol, in the words of the first one.

    `status` of then took `mount_point` and `pid` from every answer.
    """

    error: str
    ok: bool = False
    mount_point: str = "a mount of another vstorefs"
    pid: int


Reply = Page | Answer | Failure

_OURS: dict[str, Any] = {"protocol": PROTOCOL, "release": __version__}
_FAMILY: dict[str, type[errors.VstorefsError]] = {
    **errors.BY_NAME,
    **{
        kind.__name__: kind
        for kind in (
            errors.VstorefsError,
            errors.StoreError,
            errors.CacheError,
            errors.JournalError,
            errors.UsageError,
        )
    },
}
_encode = msgspec.json.Encoder().encode


def call_line(request: Request[Any]) -> bytes:
    """A request's line. Raises: UsageError for text that is not UTF-8, as nothing in a store is."""
    try:
        return _line(Call(**_OURS, request=msgspec.Raw(_encode(request))))
    except UnicodeEncodeError as error:
        what = error.object.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise errors.UsageError(
            f"{what} is not UTF-8, as every name in a store is; give it in UTF-8"
        ) from error


def page_line(rows: bytes) -> bytes:
    """The line of a page; `rows` is a list in JSON."""
    return _line(Page(**_OURS, rows=msgspec.Raw(rows)))


def answer_line(answer: msgspec.Struct) -> bytes:
    """An answer's line."""
    return _line(Answer(**_OURS, answer=msgspec.Raw(_encode(answer))))


def failure_line(error: errors.VstorefsError) -> bytes:
    """A failure's line."""
    return _line(Failure.of(error))


def refusal_line(command: Head) -> bytes:
    """What a mount says to a command of another protocol."""
    error = mismatch("this mount", Head(**_OURS), command)
    return _line(Refusal(**_OURS, error=error, pid=os.getpid()))


def mismatch(mount: str, started_by: Head, command: Head | None = None) -> str:
    """In words: `mount` and a command (this one, without a head) do not speak the same protocol."""
    ours = command if command is not None else Head(**_OURS)
    return (
        f"{mount} was started by {_side(started_by)} (control protocol {started_by.protocol}); "
        f"this command is {_side(ours)} (protocol {ours.protocol}): "
        "unmount and mount again, or use the matching vstorefs"
    )


def _side(head: Head) -> str:
    if head.release:
        return f"vstorefs {head.release}"
    return "an older vstorefs" if head.protocol < PROTOCOL else "another vstorefs"


def _line(value: msgspec.Struct) -> bytes:
    return _encode(value) + b"\n"
