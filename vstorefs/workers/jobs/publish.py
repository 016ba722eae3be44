"""Publish, Adopt, History: the work on versions, each a thin call."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vstorefs.ledger.manifest import Place, Seen
from vstorefs.model import Hashes, Key, StoreId, Version, name_of
from vstorefs.workers.call import Call
from vstorefs.workers.jobs import ledger
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.record import answering_for_journal
from vstorefs.workers.messages import (
    Adopt,
    Adopted,
    CheckRoom,
    DropAside,
    Histories,
    History,
    HistoryNames,
    Names,
    Noted,
    Paths,
    PathsBelow,
    Publish,
    Published,
    Recorded,
    SetAside,
    TakeUp,
    Versions,
)

_AT_ONCE = 8


def publish(context: WorkerContext, request: Publish, _call: Call) -> Published:
    """Carry out an entry. Raises: a StoreError."""
    outcome = context.publisher.publish(request.entry, look=request.look, overdue=request.overdue)
    ledger.note_outputs(context, request.entry, outcome)
    context.tidier.later(request.entry)
    return Published(outcome.version, outcome.unchanged, outcome.removed, outcome.late)


def check_room(context: WorkerContext, request: CheckRoom, _call: Call) -> Noted:
    """See that a directory may have another path. Raises: NotSupported; a StoreError."""
    context.publisher.check_room(request.store, request.path, request.target)
    return Noted()


def adopt(context: WorkerContext, request: Adopt, _call: Call) -> Adopted:
    """Take over what dead sessions left."""
    adoption = context.journal.adopt(context.session, request.stores, context.state_dir)
    return Adopted(adoption.entries, adoption.held, adoption.aside)


def set_aside(context: WorkerContext, request: SetAside, _call: Call) -> Noted:
    """Keep an entry, as complete as it can be made, and try it no more. Raises: StoreError of the journal."""
    with answering_for_journal():
        context.publisher.set_aside(request.seq, request.reason, request.at_ns)
    return Noted()


def take_up(context: WorkerContext, request: TakeUp, call: Call) -> Adopted:
    """Try again what was set aside. Raises: StoreError of the journal."""
    with answering_for_journal():
        return Adopted(context.journal.take_up(request.seqs, context.owner, call.begin))


def drop_aside(context: WorkerContext, request: DropAside, call: Call) -> Recorded:
    """End what was set aside. Raises: StoreError of the journal."""
    with answering_for_journal():
        dropped = context.journal.drop_aside(request.seqs, context.owner, call.begin)
    return Recorded(tuple(entry.seq for entry in dropped))


def history(context: WorkerContext, request: History, _call: Call) -> Versions:
    """All versions of a path. Raises: a StoreError."""
    return Versions(history_of(context, request.store, request.key))


def histories(context: WorkerContext, request: Histories, _call: Call) -> Versions:
    """All versions of several paths, several at a time. Raises: a StoreError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda key: history_of(context, request.store, key), request.keys)
        return Versions(tuple(itertools.chain.from_iterable(found)))


def history_of(context: WorkerContext, store: StoreId, key: Key) -> tuple[Version, ...]:
    """All versions of a path, with the hashes that this host knows. Raises: a StoreError."""
    versions = with_known_hashes(context, store, context.stores.get(store).history(key))
    places = [Place(store=store, alias="", path=one.key) for one in versions]
    contents = [Seen(token=one.token, size=one.size) for one in versions]
    known = context.ledger.of_contents(zip(places, contents, strict=True))
    return tuple(
        replace(version, run=version.run or about.made_by, uses=about.runs)
        for version, about in zip(versions, known, strict=True)
    )


def with_known_hashes(
    context: WorkerContext, store: StoreId, versions: tuple[Version, ...]
) -> tuple[Version, ...]:
    """Versions, with the hashes that this host knows of them."""
    prints = context.fingerprints.get_many(store, [(one.key, one.token) for one in versions])
    return tuple(
        _with_hashes(version, found.hashes if found is not None else None)
        for version, found in zip(versions, prints, strict=True)
    )


def paths_below(context: WorkerContext, request: PathsBelow, _call: Call) -> Paths:
    """Files at or below a path that have, or had, versions. Raises: a StoreError."""
    store = context.stores.get(request.store)
    found = set(store.paths(request.path))
    if request.path and store.history(request.path):
        found.add(request.path)
    return Paths(tuple(sorted(found)))


def history_names(context: WorkerContext, request: HistoryNames, _call: Call) -> Names:
    """Names with a history in a directory. Raises: a StoreError."""
    keys = context.stores.get(request.store).versions(request.directory)
    return Names(tuple(sorted(name_of(key) for key in keys)))


def _with_hashes(version: Version, hashes: Hashes | None) -> Version:
    if version.hashes is not None or hashes is None:
        return version
    return replace(version, hashes=hashes)
