"""How a job becomes an answer: errors are told, and what was denied is tried again with new credentials."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from vstorefs import errors
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Answer, AnyRequest, Failure

log = logging.getLogger(__name__)

Job = Callable[[WorkerContext, Any, Call], Answer]


def answer(job: Job, context: WorkerContext, request: AnyRequest, call: Call) -> Answer:
    """What a job answers, or how it failed."""
    return told(lambda: _with_new_credentials(job, context, request, call))


def told(do: Callable[[], Answer]) -> Answer:
    """What some work gives, or how it failed."""
    try:
        return do()
    except errors.StoreError as error:
        return _failure(error)
    except errors.VstorefsError as error:
        # The journal, the cache, the state: whatever of ours it was, no store failed.
        number = error.number if isinstance(error, errors.JournalError) else None
        return _failure(errors.of_disk(str(error), number))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in errors.LASTING:
            # The disk of the cache or the state; a store's own is told in the family's words.
            return _failure(errors.of_disk(str(error), error.errno))
        log.exception("internal error, in a worker")
        return bug(error)


def bug(error: Exception) -> Failure:
    """How a job is answered whose failure nobody foresaw."""
    return Failure("Bug", errors.internal_text(error), origin=errors.Origin.US)


def _failure(error: errors.StoreError) -> Failure:
    where = (error.store, error.key, error.operation)
    return Failure(type(error).__name__, error.message, *where, error.origin, error.number)


def _with_new_credentials(
    job: Job, context: WorkerContext, request: AnyRequest, call: Call
) -> Answer:
    try:
        return job(context, request, call)
    except errors.Denied as error:
        # The store's credentials may be new by now; what was denied midway may have been done.
        if not context.stores.doubt(error.store):
            raise
        return job(context, request.again(), call)
