"""Every request is answered, by one handler, with what it names."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, get_type_hints

import msgspec

from vstorefs import control
from vstorefs.control.protocol import Paged, Request
from vstorefs.mount.control.ledger import LedgerCalls
from vstorefs.mount.control.maintenance import Upkeep
from vstorefs.mount.control.restores import Restores
from vstorefs.mount.control.status import Report
from vstorefs.mount.control.surveys import Surveys

HANDLERS = [
    (request, handler)
    for kind in (Report, LedgerCalls, Upkeep)
    for request, handler in kind.__new__(kind).handlers().items()
]
PAGERS = [
    (request, pager)
    for kind in (Surveys, Restores)
    for request, pager in kind.__new__(kind).pagers().items()
]


def requests() -> set[type[Request[Any]]]:
    found: set[type[Request[Any]]] = set()
    for module in pkgutil.iter_modules(control.__path__):
        for value in vars(importlib.import_module(f"{control.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Request):
                found.add(value)
    return found - {Request, Paged}


def test_every_request_has_one_handler() -> None:
    answered = [request for request, _ in [*HANDLERS, *PAGERS]]
    assert len(answered) == len(set(answered))
    assert set(answered) == requests()


def test_each_handler_takes_its_request_and_gives_its_answer() -> None:
    for request, handler in [*HANDLERS, *PAGERS]:
        hints = get_type_hints(handler)
        assert hints["request"] is request
        assert hints["return"] is request.answer_type(), request


def test_pages_are_for_pagers() -> None:
    assert not any(issubclass(request, Paged) for request, _ in HANDLERS)
    for request, _ in PAGERS:
        assert issubclass(request, Paged)
        assert issubclass(request.row_type(), msgspec.Struct)
