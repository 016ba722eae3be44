"""Past and Moment: a directory as it was, and what a text calls a moment."""

from __future__ import annotations

from vstorefs import errors
from vstorefs.moments import moment_ns
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Listed, Moment, MomentFound, Past


def list_past(context: WorkerContext, request: Past, _call: Call) -> Listed:
    """What was directly in a directory at a moment. Raises: a StoreError."""
    store = context.stores.get(request.store)
    listed_at = context.clock.monotonic_s()
    return Listed(context.snapshots.list(store, request.directory, request.moment_ns), listed_at)


def find_moment(context: WorkerContext, request: Moment, _call: Call) -> MomentFound:
    """What a text calls a moment of the past, if it does."""
    try:
        return MomentFound(moment_ns(request.text, context.clock.wall_ns()))
    except errors.UsageError:
        return MomentFound(None)
