"""A worker's loop: `python -m vstorefs.workers.main FD`.

The main thread reads the socket; pools of threads do the jobs, each store with its own, so that
uploads, reads and hashing do not wait for each other, and nobody for a store that hangs. When the
socket closes the front is gone: the worker ends at once, whatever hangs in a call.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from vstorefs import errors
from vstorefs.workers.channel import Channel
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
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.tidying import Tidier
from vstorefs.workers.messages import (
    Abandon,
    Accept,
    Adopt,
    Answer,
    AnyRequest,
    Ask,
    Available,
    BeginRun,
    Check,
    CheckInputs,
    Checkpoint,
    Compare,
    Cost,
    EndAbandoned,
    EndRun,
    ExchangeLedger,
    Failure,
    Fetch,
    Find,
    FindWarnings,
    Hash,
    Histories,
    History,
    HistoryNames,
    Known,
    ListDirectory,
    Listed,
    Log,
    LogLine,
    Moment,
    Noted,
    NoteRecency,
    NoteUses,
    Past,
    PathsBelow,
    PlanRestore,
    Progress,
    Publish,
    Purge,
    Record,
    Release,
    Reply,
    Report,
    Start,
    Survey,
    Tell,
    ToWorker,
    Verify,
)

log = logging.getLogger(__name__)

_WRITES = 8
_OWN = 8
_IDLE_S = 5.0
# What SDKs say at every step is of no use to a user, and may hold more than it should.
_TALKATIVE = (
    *("azure", "boto3", "botocore", "google", "keystoneauth", "keystoneclient", "msal"),
    *("requests", "s3transfer", "swiftclient", "urllib3"),
)
_LONGEST_DIRTY_S = 60.0


class Worker:
    """One worker process."""

    def __init__(self, channel: Channel[ToWorker], start: Start) -> None:
        self._channel = channel
        self._context = WorkerContext(start)
        self._publisher = publish.publisher(self._context)
        self._tidier = Tidier(self._context)
        self._snapshots = past.Snapshots(self._context.clock)
        # Threads are started as they are needed.
        self._reads = {
            spec.id: ThreadPoolExecutor(spec.concurrency, "read") for spec in start.stores
        }
        self._writes = {spec.id: ThreadPoolExecutor(_WRITES, "write") for spec in start.stores}
        self._own = ThreadPoolExecutor(_OWN, "own")
        self._records: queue.Queue[record.Waiting] = queue.Queue()
        self._hashing: dict[int, hashing.Progress] = {}
        self._abandoned: dict[int, threading.Event] = {}
        self._busy_at = time.monotonic()

    def run(self, messages: list[ToWorker]) -> None:
        """Work on these messages and on what comes after them, until the front is gone."""
        threading.Thread(
            target=record.run, args=(self._context, self._records), daemon=True
        ).start()
        threading.Thread(target=self._keep_clean, daemon=True).start()
        threading.Thread(target=self._tidier.run, daemon=True).start()
        while True:
            for message in messages:
                match message:
                    case Ask(number, request):
                        self._take(number, request)
                    case Tell(number, remark):
                        self._tell(number, remark)
                    case Start():
                        log.error("a second start was sent to a worker")
            messages = self._channel.receive()
            if not messages:
                return

    def close(self) -> None:
        """Leave the cache in order."""
        self._context.cache.mark_clean()

    def _take(self, number: int, request: AnyRequest) -> None:
        context = self._context
        match request:
            case Record():
                self._records.put((request, lambda answer: self._reply(number, answer)))
            case Publish() | Purge():
                self._write(number, request)
            case Hash():
                progress = self._hashing[number] = hashing.Progress(request.available)
                # Each in a thread of its own: one that waits for its reader must not hold up another.
                self._do(
                    _in_a_thread,
                    number,
                    lambda: hashing.hash_content(context, request, self._report(number), progress),
                )
            case Fetch() | Verify() | Log() | Compare() | PlanRestore() | Cost():
                self._read_on(number, request)
            case CheckInputs():
                self._do(
                    _in_a_thread,
                    number,
                    lambda: ledger.check(context, request, self._report(number)),
                )
            case Checkpoint() | ExchangeLedger() | Accept():
                # These wait for a store, and nobody must wait for them.
                self._do(_in_a_thread, number, lambda: self._answer(request))
            case Past():
                # It may take long, and others wait for it: no thread of a pool may.
                self._do(_in_a_thread, number, lambda: self._list_past(request))
            case Moment():
                self._do(self._own.submit, number, lambda: past.find_moment(request, context.clock))
            case (
                Check()
                | ListDirectory()
                | Find()
                | History()
                | HistoryNames()
                | PathsBelow()
                | Histories()
            ):
                # A store that this mount does not have is said by the job.
                reads = self._reads.get(request.store, self._own)
                self._do(reads.submit, number, lambda: _look(context, request))
            case _:
                self._do(self._own.submit, number, lambda: self._answer(request))

    def _write(self, number: int, request: Publish | Purge) -> None:
        """Begin what changes a store."""
        if isinstance(request, Publish):
            writes = self._writes.get(request.entry.store, self._own)
            again = msgspec.structs.replace(request, look=True)
            self._do(
                writes.submit,
                number,
                lambda: self._publish(request),
                lambda: self._publish(again),
            )
        else:
            writes = self._writes.get(request.store, self._own)
            self._do(writes.submit, number, lambda: purge.purge(self._context, request))

    def _read_on(self, number: int, request: Fetch | Verify | Survey) -> None:
        """Begin what reads from a store for long, and ends early when nobody needs it any more."""
        abandoned = self._abandoned[number] = threading.Event()
        context, report = self._context, self._report(number)
        if isinstance(request, Fetch):
            reads = self._reads.get(request.content.store, self._own)
            self._do(reads.submit, number, lambda: fetch.fetch(context, request, report, abandoned))
        elif isinstance(request, Verify):
            reads = self._reads.get(request.store, self._own)
            self._do(reads.submit, number, lambda: verify.verify(context, request, report))
        else:
            reads = self._reads.get(request.store, self._own)
            self._do(
                reads.submit, number, lambda: surveys.survey(context, request, report, abandoned)
            )

    def _publish(self, request: Publish) -> Answer:
        published = publish.publish(self._context, self._publisher, request)
        self._tidier.later(request.entry)
        return published

    def _answer(self, request: AnyRequest) -> Answer:
        context = self._context
        match request:
            case Adopt():
                return publish.adopt(context, request)
            case Known():
                return hashing.known(context, request)
            case NoteRecency():
                context.chunks.note(request.chunks)
                return Noted()
            case Release():
                return hashing.release(context, request)
            case _:
                return self._answer_on_runs(request)

    def _answer_on_runs(self, request: AnyRequest) -> Answer:
        context = self._context
        match request:
            case BeginRun():
                return ledger.begin(context, request)
            case NoteUses():
                return ledger.note(context, request)
            case EndRun():
                return ledger.end(context, request)
            case EndAbandoned():
                return ledger.end_abandoned(context)
            case Checkpoint():
                return ledger.checkpoint(context, request)
            case ExchangeLedger():
                return ledger.exchange(context, request)
            case Accept():
                return ledger.accept(context, request)
            case FindWarnings():
                return ledger.find_warnings(context, request)
            case _:
                raise TypeError(f"no job for {request!r}")

    def _list_past(self, request: Past) -> Listed:
        store = self._context.stores.get(request.store)
        listed_at = self._context.clock.monotonic_s()
        entries = self._snapshots.list(store, request.directory, request.moment_ns)
        return Listed(entries, listed_at)

    def _tell(self, number: int, remark: Available | Abandon) -> None:
        progress, event = self._hashing.get(number), self._abandoned.get(number)
        if isinstance(remark, Available):
            if progress is not None:
                progress.available(remark.until)
            return
        if progress is not None:
            progress.abandon()
        if event is not None:
            event.set()

    def _report(self, number: int) -> Callable[[Report], None]:
        return lambda report: self._send(Progress(number, report))

    def _do(
        self,
        start: Callable[[Callable[[], None]], object],
        number: int,
        job: Callable[[], Answer],
        again: Callable[[], Answer] | None = None,
    ) -> None:
        """Start a job. What is denied is tried `again` where its store's credentials may be new by now."""

        def run() -> None:
            try:
                answer = self._with_new_credentials(job, again or job)
            except errors.StoreError as error:
                answer = Failure(
                    type(error).__name__, error.message, error.store, error.key, error.operation
                )
            except errors.VstorefsError as error:
                answer = Failure("Unavailable", str(error))
            except Exception as error:
                log.exception("a job failed")
                answer = Failure(
                    "Bug",
                    f"an error inside vstorefs: {type(error).__name__}; the log has the details",
                )
            self._reply(number, answer)

        start(run)

    def _with_new_credentials(
        self, job: Callable[[], Answer], again: Callable[[], Answer]
    ) -> Answer:
        try:
            return job()
        except errors.Denied as error:
            if not self._context.stores.doubt(error.store):
                raise
            return again()

    def _reply(self, number: int, answer: Answer) -> None:
        self._hashing.pop(number, None)
        self._abandoned.pop(number, None)
        self._send(Reply(number, answer))

    def _send(self, message: Reply | Progress) -> None:
        self._busy_at = time.monotonic()
        try:
            self._channel.send(message)
        except OSError:
            # The front is gone; the main thread sees it too and ends the process.
            return

    def _keep_clean(self) -> None:
        """See that a machine that goes down finds a good cache again.

        A sync holds up all writers, so it waits for a quiet moment, but not for ever.
        """
        marked_at = time.monotonic()
        while True:
            time.sleep(_IDLE_S)
            now = time.monotonic()
            if now - self._busy_at < _IDLE_S and now - marked_at < _LONGEST_DIRTY_S:
                continue
            marked_at = now
            try:
                self._context.cache.mark_clean()
                self._context.cache.reader_check()
            except Exception:
                log.exception("the cache cannot be brought to disk")


def _look(context: WorkerContext, request: AnyRequest) -> Answer:
    """What a store, or the cache, says of names and histories. Raises: a StoreError."""
    match request:
        case Check():
            return listing.check(context, request)
        case ListDirectory():
            return listing.list_directory(context, request)
        case Find():
            return listing.find(context, request)
        case History():
            return publish.history(context, request)
        case HistoryNames():
            return publish.history_names(context, request)
        case PathsBelow():
            return publish.paths_below(context, request)
        case Histories():
            return publish.histories(context, request)
        case _:
            raise TypeError(f"no job for {request!r}")


def _in_a_thread(job: Callable[[], None]) -> None:
    threading.Thread(target=job, daemon=True).start()


class _ToFront(logging.Handler):
    """Log lines of a worker belong in the mount's log."""

    def __init__(self, channel: Channel[ToWorker]) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, entry: logging.LogRecord) -> None:
        """Send a line; nobody is left to read it when the front is gone."""
        try:
            self._channel.send(LogLine(entry.levelno, self.format(entry)))
        except OSError:
            return


def main() -> None:
    """Work for the front at the other end of the socket."""
    # The terminal's ^C is for the front, which ends its workers when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    channel: Channel[ToWorker] = Channel(sock, ToWorker)
    first = channel.receive()
    if not first or not isinstance(first[0], Start):
        os._exit(1)
    logging.basicConfig(
        level=first[0].log_level, handlers=[_ToFront(channel)], format="%(message)s"
    )
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    status = 0
    try:
        worker = Worker(channel, first[0])
        worker.run(first[1:])
        # Whatever hangs in a call, and whatever the disk does, the process ends.
        threading.Timer(2.0, os._exit, (0,)).start()
        worker.close()
    except Exception:
        log.exception("a worker cannot go on")
        status = 1
    os._exit(status)


if __name__ == "__main__":
    main()
