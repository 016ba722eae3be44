"""Brings a project's ledger up to date from outside its mounts."""

from __future__ import annotations

from vstorefs import errors
from vstorefs.control import client, runs
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.opening import Chosen

EXCHANGE_S = 90.0


def exchange(chosen: Chosen, ledger: Ledger) -> str:
    """Send what waits and take in what others wrote; gives why that could not be. A mount has what it needs for it."""
    if chosen.mount is not None:
        try:
            return client.ask(chosen.mount, runs.Exchange(), timeout_s=EXCHANGE_S).why
        except errors.VstorefsError as error:
            return str(error)
    _, why = ledger.exchange()
    return why
