"""What every question to a worker is: a value that names the type of its answer."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Self, TypeVar, get_args

import msgspec

A = TypeVar("A")


class Request(msgspec.Struct, Generic[A], frozen=True, tag=True):
    """Something that the front asks of a worker, answered by one `A`: `class Find(Request[Found], …)`."""

    __orig_bases__: ClassVar[tuple[Any, ...]]
    definite: ClassVar[bool] = False
    """Whether an error must mean that it did not happen: who waits no longer withdraws it, and learns which it was."""

    @classmethod
    def answer_type(cls) -> type[A]:
        """The type of the answer."""
        (answer,) = get_args(cls.__orig_bases__[0])
        return answer  # type: ignore[no-any-return] # what a class was made from is not typed

    def again(self) -> Self:
        """What to ask where it may have been carried out already."""
        return self


class Noted(msgspec.Struct, frozen=True, tag=True):
    """The answer where there is nothing to tell."""
