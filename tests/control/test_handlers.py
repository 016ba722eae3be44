"""Every request is answered, by one handler, with what it names."""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from typing import Any, get_type_hints

import msgspec

from vstorefs import control
from vstorefs.control.protocol import PROTOCOL, Paged, Request
from vstorefs.mount.control.journal import JournalCalls
from vstorefs.mount.control.ledger import LedgerCalls
from vstorefs.mount.control.maintenance import MaintenanceCalls
from vstorefs.mount.control.restores import RestoreCalls
from vstorefs.mount.control.status import StatusCalls
from vstorefs.mount.control.surveys import SurveyCalls

SHAPE = (2, "18e4bc9707410751")
"""The protocol's number, and a digest of all that is said in it."""

_HANDLE: tuple[type[Any], ...] = (StatusCalls, LedgerCalls, MaintenanceCalls, JournalCalls)
_PAGE: tuple[type[Any], ...] = (SurveyCalls, RestoreCalls)
HANDLERS = [
    (request, handler)
    for kind in _HANDLE
    for request, handler in object.__new__(kind).handlers().items()
]
PAGERS = [
    (request, pager) for kind in _PAGE for request, pager in object.__new__(kind).pagers().items()
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


def test_what_is_said_changes_with_the_protocol_s_number() -> None:
    said = {one for request in requests() for one in (request, request.answer_type())}
    said |= {one.row_type() for one in requests() if issubclass(one, Paged)}
    schemas = msgspec.json.schema_components(sorted(said, key=lambda one: one.__qualname__))
    text = json.dumps(without_prose(schemas), sort_keys=True)
    found = (PROTOCOL, hashlib.sha256(text.encode()).hexdigest()[:16])
    assert found == SHAPE, "add one to PROTOCOL, unless this one was in no release, and note both"


def without_prose(schema: Any) -> Any:
    """A schema as it matters to the other side; properties may be called as prose is elsewhere."""
    if isinstance(schema, list | tuple):
        return [without_prose(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    prose = set() if "title" not in schema else {"title", "description"}
    return {name: without_prose(one) for name, one in schema.items() if name not in prose}
