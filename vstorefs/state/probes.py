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


_SESSIONS = 8
"""Of how many mounts it is known at once which store they are of; more of one store are rare."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Probe).decode
_decode_ids = msgspec.msgpack.Decoder(dict[str, str]).decode


class Probes:
    """Findings by store; forgotten after a week, and by another version of vstorefs.

    And which store it is that a mount, the one of `session`, has written to: its workers must not take another for it.
    """

    def __init__(self, state: State, clock: Clock | None = None, *, session: str = "") -> None:
        self._state = state
        self._session = session
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

    def store_id(self, store: StoreId) -> str | None:
        """The id of the store that this mount has written to, None where it has not."""
        with self._state.reading() as txn:
            value = txn.get(_of_ids(store), db=self._state.probes)
        return _decode_ids(value).get(self._session) if value is not None else None

    def put_store_id(self, store: StoreId, found: str) -> None:
        """Note it, where this is a mount's. Raises: JournalError."""
        if not self._session:
            return
        with self._state.writing() as txn:
            value = txn.get(_of_ids(store), db=self._state.probes)
            known = _decode_ids(value) if value is not None else {}
            known.pop(self._session, None)
            kept = dict([*known.items(), (self._session, found)][-_SESSIONS:])
            txn.put(_of_ids(store), _encode(kept), db=self._state.probes)


def _of_ids(store: StoreId) -> bytes:
    return f"{store} id".encode()
