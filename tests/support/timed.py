"""Programs that each do one thing at the same time: what each of them was told, and how long it waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 240.0


@dataclass(slots=True)
class Told:
    """What a program was told: nothing yet, an error, or that it is done; and the seconds that it waited."""

    done: bool = False
    error: OSError | None = None
    waited_s: float = 0.0

    @property
    def was_promised(self) -> bool:
        """Whether its call has returned without an error."""
        return self.done and self.error is None


class Together:
    """Calls at the same time, each in a thread of its own, begun at once."""

    def __init__(self, calls: Sequence[Callable[[], object]]) -> None:
        self.told = [Told() for _ in calls]
        self._threads = [
            threading.Thread(target=_call, args=(call, told), daemon=True)
            for call, told in zip(calls, self.told, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> list[Told]:
        """All of them, when they have returned. Raises: AssertionError where one hangs."""
        for thread in self._threads:
            thread.join(_PATIENCE_S)
            assert not thread.is_alive(), "a call hangs"
        return self.told


def writing(path: Path, content: bytes) -> Callable[[], None]:
    """A program that writes a file whole."""

    def program() -> None:
        path.write_bytes(content)

    return program


def reading(path: Path, content: bytes) -> Callable[[], None]:
    """A program that reads a file whole; fails where it reads anything else than what it is to hold."""

    def program() -> None:
        found = path.read_bytes()
        assert found == content, path.name

    return program


def _call(call: Callable[[], object], told: Told) -> None:
    began = time.monotonic()
    try:
        call()
    except OSError as error:
        told.error = error
    told.waited_s = time.monotonic() - began
    told.done = True
