"""The work on the ledger: runs begin, note, end; what waits is sent, what others wrote is taken in."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vstorefs import errors
from vstorefs.ledger import accepting, changes
from vstorefs.ledger.input_check import InputCheck
from vstorefs.ledger.manifest import Output, Place, Seen
from vstorefs.model import JournalEntry, Key, Operation, RunId, StoreId, Version
from vstorefs.state.sessions import is_alive
from vstorefs.versions.publish import Outcome
from vstorefs.workers.jobs.setting import Setting
from vstorefs.workers.messages import (
    Accept,
    Accepted,
    BeginRun,
    CheckInputs,
    Checkpoint,
    Compared,
    EndRun,
    Exchanged,
    ExchangeLedger,
    FindWarnings,
    Noted,
    NoteUses,
    Report,
    RunBegun,
    RunEnded,
    RunsClosed,
    Warned,
)

log = logging.getLogger(__name__)


def begin(setting: Setting, request: BeginRun) -> RunBegun:
    """A run begins. Raises: JournalError."""
    stores = {spec.alias: spec.url for spec in setting.start.stores}
    return RunBegun(setting.ledger.begin(request.run, setting.session, stores))


def note(setting: Setting, request: NoteUses) -> Warned:
    """Take in what runs did with inputs. Raises: JournalError."""
    return Warned(setting.ledger.note(request.notes))


def end(setting: Setting, request: EndRun) -> RunEnded:
    """A run ends. Raises: JournalError."""
    whole = setting.ledger.end(request.run, request.status, request.exit_status)
    return RunEnded(None) if whole is None else RunEnded(whole.run, whole.warnings)


def end_abandoned(setting: Setting) -> RunsClosed:
    """Close the runs of mounts that died. Raises: JournalError."""
    runs = setting.ledger.end_abandoned(lambda session: is_alive(setting.state_dir, session))
    return RunsClosed(tuple(runs))


def checkpoint(setting: Setting, request: Checkpoint) -> Noted:
    """Let other hosts see how far a run is. Raises: a StoreError."""
    setting.ledger.checkpoint(request.run, request.number)
    return Noted()


def exchange(setting: Setting, request: ExchangeLedger) -> Exchanged:
    """Send and receive; a default store that is away, or only to be read, delays that and loses nothing."""
    received, why = setting.ledger.exchange(whole=request.whole)
    for one in received.skewed:
        log.warning("the ledger: %s", changes.skew(*one))
    skewed = tuple(sorted(setting.ledger.skewed().items()))
    return Exchanged(received.runs, setting.ledger.waiting(), why, skewed)


def find_warnings(setting: Setting, request: FindWarnings) -> Warned:
    """What holds of a path, or of what is below it."""
    if request.below:
        return Warned(tuple(setting.ledger.warnings_below(request.store, request.path)))
    place = Place(store=request.store, alias="", path=request.path)
    return Warned(tuple(setting.ledger.warnings_of(place)))


def accept(setting: Setting, request: Accept) -> Accepted:
    """Accept what a path has now. Raises: NotFound; a StoreError."""
    store = setting.stores.get(request.store)
    alias = setting.start.project.alias_of(store.spec)
    return Accepted(
        *accepting.accept(setting.ledger, store, alias, request.path, request.why, request.user)
    )


def check(setting: Setting, request: CheckInputs, report: Callable[[Report], None]) -> Warned:
    """Compare a run's inputs with what the stores have now. Raises: a StoreError."""
    run = setting.ledger.find(request.run)
    whole = setting.ledger.manifest(run)
    inputs = InputCheck(setting.ledger, setting.fingerprints, setting.stores.get)
    found = []
    for done, warning in enumerate(inputs.changed(whole, request.paths), 1):
        report(Compared(done, len(whole.inputs)))
        if warning is not None:
            found.append(warning)
    return Warned(tuple(found))


def note_outputs(setting: Setting, entry: JournalEntry, outcome: Outcome) -> None:
    """What a published change means for the run that made it. Raises: JournalError."""
    run = entry.write.run
    if run is None:
        return
    if entry.operation in {Operation.PUT, Operation.COPY} and outcome.version is not None:
        _made(setting, run, entry.store, entry.target or entry.path, outcome.version)
    elif entry.operation is Operation.REMOVE:
        setting.ledger.removed(run, _place(setting, entry.store, entry.path))
    elif entry.operation is Operation.RENAME and entry.target is not None and entry.link is None:
        if outcome.version is not None:
            setting.ledger.removed(run, _place(setting, entry.store, entry.path))
            _made(setting, run, entry.store, entry.target, outcome.version)
        else:
            _moved(setting, run, entry.store, entry.path, entry.target)


def _moved(setting: Setting, run: RunId, store: StoreId, source: Key, target: Key) -> None:
    """A folder has moved, and what the run had made in it."""
    for output in setting.ledger.outputs_below(run, store, source):
        setting.ledger.removed(run, output.place)
        path = Key(target + output.place.path[len(source) :])
        try:
            found = setting.stores.get(store).stat(path)
        except errors.NotFound:
            continue
        _made(setting, run, store, path, found)


def _made(setting: Setting, run: RunId, store: StoreId, path: Key, version: Version) -> None:
    content = Seen(
        token=version.token,
        size=version.size,
        version=version.id,
        hashes=version.hashes,
        strong=version.strong,
    )
    output = Output(place=_place(setting, store, path), content=content, made=setting.ledger.now())
    setting.ledger.made(run, output)


def _place(setting: Setting, store: StoreId, path: Key) -> Place:
    project = setting.start.project
    spec = next(one for one in project.stores if one.id == store)
    return Place(store=store, alias=project.alias_of(spec), path=path)
