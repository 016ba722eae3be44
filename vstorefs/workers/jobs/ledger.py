"""The work on the ledger: runs begin, note, end; what waits is sent, what others wrote is taken in."""

from __future__ import annotations

import logging

from vstorefs import errors
from vstorefs.ledger import accepting, changes
from vstorefs.ledger.input_check import InputCheck
from vstorefs.ledger.manifest import Output, Place, Seen
from vstorefs.model import JournalEntry, Key, Operation, RunId, StoreId, Version
from vstorefs.state.sessions import is_alive
from vstorefs.versions.publish import Outcome
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import (
    Accept,
    Accepted,
    BeginRun,
    CheckInputs,
    Checkpoint,
    Compared,
    EndAbandoned,
    EndRun,
    Exchanged,
    ExchangeLedger,
    FindWarnings,
    Noted,
    NoteUses,
    RunBegun,
    RunEnded,
    RunsClosed,
    Warned,
)

log = logging.getLogger(__name__)


def begin(context: WorkerContext, request: BeginRun, call: Call) -> RunBegun:
    """A run begins. Raises: JournalError."""
    stores = {spec.alias: spec.url for spec in context.start.stores}
    return RunBegun(context.ledger.begin(request.run, context.session, stores, call.begin))


def note(context: WorkerContext, request: NoteUses, call: Call) -> Warned:
    """Take in what runs did with inputs. Raises: JournalError."""
    return Warned(context.ledger.note(request.notes, call.begin))


def end(context: WorkerContext, request: EndRun, call: Call) -> RunEnded:
    """A run ends. Raises: JournalError."""
    whole = context.ledger.end(request.run, request.status, request.exit_status, call.begin)
    return RunEnded(None) if whole is None else RunEnded(whole.run, whole.warnings)


def end_abandoned(context: WorkerContext, _request: EndAbandoned, _call: Call) -> RunsClosed:
    """Close the runs of mounts that died. Raises: JournalError."""
    runs = context.ledger.end_abandoned(lambda session: is_alive(context.state_dir, session))
    return RunsClosed(tuple(runs))


def checkpoint(context: WorkerContext, request: Checkpoint, _call: Call) -> Noted:
    """Let other hosts see how far a run is. Raises: a StoreError."""
    context.ledger.checkpoint(request.run, request.number)
    return Noted()


def exchange(context: WorkerContext, request: ExchangeLedger, _call: Call) -> Exchanged:
    """Send and receive; a default store that is away, or only to be read, delays that and loses nothing."""
    received, why = context.ledger.exchange(whole=request.whole)
    for one in received.skewed:
        log.warning("ledger: %s", changes.skew(*one))
    skewed = tuple(sorted(context.ledger.skewed().items()))
    return Exchanged(received.runs, context.ledger.waiting(), why, skewed)


def find_warnings(context: WorkerContext, request: FindWarnings, _call: Call) -> Warned:
    """What holds of a path, or of what is below it."""
    if request.below:
        return Warned(tuple(context.ledger.warnings_below(request.store, request.path)))
    place = Place(store=request.store, alias="", path=request.path)
    return Warned(tuple(context.ledger.warnings_of(place)))


def accept(context: WorkerContext, request: Accept, call: Call) -> Accepted:
    """Accept what a path has now. Raises: NotFound; a StoreError."""
    store = context.stores.get(request.store)
    alias = context.start.project.alias_of(store.spec)
    decision = accepting.Decision(request.why, request.user, call.begin)
    return Accepted(*accepting.accept(context.ledger, store, alias, request.path, decision))


def check(context: WorkerContext, request: CheckInputs, call: Call) -> Warned:
    """Compare a run's inputs with what the stores have now. Raises: a StoreError."""
    run = context.ledger.find(request.run)
    whole = context.ledger.manifest(run)
    inputs = InputCheck(context.ledger, context.fingerprints, context.stores.get)
    found = []
    for done, warning in enumerate(inputs.changed(whole, request.paths), 1):
        call.report(Compared(done, len(whole.inputs)))
        if warning is not None:
            found.append(warning)
    return Warned(tuple(found))


def note_outputs(context: WorkerContext, entry: JournalEntry, outcome: Outcome) -> None:
    """What a published change means for the run that made it. Raises: JournalError."""
    run = entry.write.run
    if run is None:
        return
    if entry.operation in {Operation.PUT, Operation.COPY} and outcome.version is not None:
        path = entry.target or entry.path
        _made(context, run, entry.store, path, outcome.version, anew=not outcome.unchanged)
    elif entry.operation is Operation.REMOVE:
        context.ledger.removed(run, _place(context, entry.store, entry.path))
    elif entry.operation is Operation.RENAME and entry.target is not None and entry.link is None:
        if outcome.version is not None:
            context.ledger.removed(run, _place(context, entry.store, entry.path))
            _made(context, run, entry.store, entry.target, outcome.version)
        else:
            _moved(context, run, entry.store, entry.path, entry.target)


def _moved(context: WorkerContext, run: RunId, store: StoreId, source: Key, target: Key) -> None:
    """A folder has moved, and what the run had made in it."""
    for output in context.ledger.outputs_below(run, store, source):
        context.ledger.removed(run, output.place)
        path = Key(target + output.place.path[len(source) :])
        try:
            found = context.stores.get(store).stat(path)
        except errors.NotFound:
            continue
        _made(context, run, store, path, found)


def _made(
    context: WorkerContext,
    run: RunId,
    store: StoreId,
    path: Key,
    version: Version,
    *,
    anew: bool = True,
) -> None:
    content = Seen(
        token=version.token,
        size=version.size,
        version=version.id,
        hashes=version.hashes,
        strong=version.strong,
    )
    output = Output(place=_place(context, store, path), content=content, made=context.ledger.now())
    context.ledger.made(run, output, anew=anew)


def _place(context: WorkerContext, store: StoreId, path: Key) -> Place:
    project = context.start.project
    spec = next(one for one in project.stores if one.id == store)
    return Place(store=store, alias=project.alias_of(spec), path=path)
