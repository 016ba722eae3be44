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
    try:
        return _with_new_credentials(job, context, request, call)
    except errors.StoreError as error:
        return Failure(type(error).__name__, error.message, error.store, error.key, error.operation)
    except errors.VstorefsError as error:
        return Failure("Unavailable", str(error))
    except Exception as error:
        log.exception("a job failed")
        return bug(error)


def bug(error: Exception) -> Failure:
    """How a job is answered whose failure nobody foresaw."""
    return Failure(
        "Bug", f"an error inside vstorefs: {type(error).__name__}; the log has the details"
    )


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
