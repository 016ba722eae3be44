"""Which job answers a request, and on which lane: adding a job is a line here.

A job is a function of the worker's context, the request and its `Call`; it gives the type of answer that the request
names, or raises an error of our family.
"""

from __future__ import annotations

from vstorefs.workers import messages
from vstorefs.workers.answering import Job
from vstorefs.workers.jobs import (
    fetch,
    hashing,
    ledger,
    listing,
    past,
    publish,
    purge,
    record,
    surveys,
    verify,
)
from vstorefs.workers.lanes import Lane

JOBS: dict[type[messages.AnyRequest], tuple[Job, Lane]] = {
    # read
    messages.Check: (listing.check, Lane.READS),
    messages.Look: (listing.look, Lane.READS),
    messages.ListDirectory: (listing.list_directory, Lane.READS),
    messages.Find: (listing.find, Lane.READS),
    messages.Fetch: (fetch.fetch, Lane.READS),
    messages.NoteRecency: (fetch.note_recency, Lane.OWN),
    # One that waits for its reader must not hold up another.
    messages.Hash: (hashing.hash_content, Lane.ALONE),
    messages.Known: (hashing.known, Lane.OWN),
    messages.Release: (hashing.release, Lane.OWN),
    # write
    messages.Record: (record.record, Lane.JOURNAL),
    messages.FindRecorded: (record.find_recorded, Lane.OWN),
    messages.CheckRoom: (publish.check_room, Lane.READS),
    messages.Publish: (publish.publish, Lane.WRITES),
    messages.Adopt: (publish.adopt, Lane.OWN),
    messages.SetAside: (publish.set_aside, Lane.WRITES),
    messages.TakeUp: (publish.take_up, Lane.OWN),
    messages.DropAside: (publish.drop_aside, Lane.OWN),
    # history
    # Others wait for the same snapshot.
    messages.Past: (past.list_past, Lane.ALONE),
    messages.Moment: (past.find_moment, Lane.OWN),
    messages.History: (publish.history, Lane.READS),
    messages.Histories: (publish.histories, Lane.READS),
    messages.HistoryNames: (publish.history_names, Lane.READS),
    messages.PathsBelow: (publish.paths_below, Lane.READS),
    messages.Log: (surveys.log, Lane.READS),
    messages.Compare: (surveys.compare, Lane.READS),
    messages.PlanRestore: (surveys.plan_restore, Lane.READS),
    messages.Cost: (surveys.cost, Lane.READS),
    messages.Purge: (purge.purge, Lane.WRITES),
    messages.Verify: (verify.verify, Lane.READS),
    # ledger
    messages.BeginRun: (ledger.begin, Lane.OWN),
    messages.NoteUses: (ledger.note, Lane.OWN),
    messages.EndRun: (ledger.end, Lane.OWN),
    messages.EndAbandoned: (ledger.end_abandoned, Lane.OWN),
    messages.FindWarnings: (ledger.find_warnings, Lane.OWN),
    # These wait for a store, and nobody must wait for them.
    messages.Checkpoint: (ledger.checkpoint, Lane.ALONE),
    messages.ExchangeLedger: (ledger.exchange, Lane.ALONE),
    messages.CheckInputs: (ledger.check, Lane.ALONE),
    messages.Accept: (ledger.accept, Lane.ALONE),
}
