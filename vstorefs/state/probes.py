"""What probes of stores found, so that not every mount has to try again."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from vstorefs import __version__
from vstorefs.clock import Clock, SystemClock
from vstorefs.model import StoreId
from vstorefs.state.env import State

_WEEK_NS = 7 * 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Probe:
    software: str
    time_ns: int
    found: dict[str, bool]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Probe).decode


class Probes:
    """Findings by store; forgotten after a week, and by another version of vstorefs."""

    def __init__(self, state: State, clock: Clock | None = None) -> None:
        self._state = state
        self._clock = clock or SystemClock()

    def get(self, store: StoreId) -> dict[str, bool] | None:
        """What was found, None where that has to be found out."""
        with self._state.reading() as txn:
            value = txn.get(store.encode(), db=self._state.probes)
        known = _decode(value) if value is not None else None
        if known is None or known.software != __version__:
            return None
        age = self._clock.wall_ns() - known.time_ns
        return known.found if 0 <= age < _WEEK_NS else None

    def put(self, store: StoreId, found: dict[str, bool]) -> None:
        """Note what was found. Raises: JournalError."""
        probe = _Probe(__version__, self._clock.wall_ns(), found)
        with self._state.writing() as txn:
            txn.put(store.encode(), _encode(probe), db=self._state.probes)
