"""How far a long command is, on standard error: a line that changes on a terminal, one now and then elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType

_TERMINAL_S = 0.5
_LOG_S = 10.0
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows what `text` says, again and again, until it is left. `text` is called from a thread of its own."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._over = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ProgressLine:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self.clear()

    def clear(self) -> None:
        """Make room for another line."""
        if self._terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def _run(self) -> None:
        while not self._over.wait(_TERMINAL_S if self._terminal else _LOG_S):
            begin, end = (_CLEAR, "") if self._terminal else ("", "\n")
            print(begin + self._text(), end=end, file=sys.stderr, flush=True)
