"""The ledger of one project: runs begin, note what they use and make, end, and are asked for.

One object for all who work with it: a mount's workers, the command line, the web page, programs. What a run notes goes
into the state first, in one transaction with the warnings that follow from it; what other hosts are to see goes out
through `exchange`. An input is compared when a run uses a content of its path for the first time. Where only hashes can
tell whether it has changed, and they are not known yet, the question waits until they are, or the run ends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from vstorefs import errors
from vstorefs.clock import Clock, utc
from vstorefs.ledger import archive as names
from vstorefs.ledger import changes, manifest
from vstorefs.ledger.active_runs import ActiveRun, ActiveRuns, Question
from vstorefs.ledger.archive import Archive
from vstorefs.ledger.changes import Difference
from vstorefs.ledger.exchange import Exchange, Received
from vstorefs.ledger.index import Index, OfContent, OfPath
from vstorefs.ledger.knownhashes import KnownHashes
from vstorefs.ledger.manifest import (
    Acknowledgement,
    ChangeWarning,
    Earlier,
    Input,
    Kept,
    Manifest,
    Output,
    Place,
    Run,
    RunStatus,
    Seen,
    WarningKind,
    earlier,
    following,
)
from vstorefs.model import Content, Key, RunId, SessionId, StoreId
from vstorefs.state.env import State, Wanted, always
from vstorefs.state.fingerprints import Fingerprints
from vstorefs.stores.ids import new_id

_LARGE_BYTES = 256 << 20
"""Above this nobody waits for the hashes of an input that is known to differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a run did with an input: used it, found it `gone`, or saw it change while reading (`torn`).

    `was_there`: known to be what the run found, though it was renamed by it.
    """

    run: RunId
    use: Input
    gone: bool = False
    torn: bool = False
    was_there: bool = False


class Ledger:
    """The ledger of a project on this host; safe from many threads and processes."""

    def __init__(
        self, state: State, project: StoreId, archive: Callable[[], Archive], clock: Clock
    ) -> None:
        self.project = project
        self._state = state
        self._clock = clock
        fingerprints = Fingerprints(state)
        self._hashes = KnownHashes(fingerprints)
        self._index = Index(state, project)
        self._active = ActiveRuns(state)
        self._exchange = Exchange(state, self._index, fingerprints, archive, clock)

    # --- a run's life

    def begin(
        self, run: Run, session: SessionId, stores: dict[str, str], wanted: Wanted = always
    ) -> Run:
        """A run begins, above all that are known here; told again, above what has come in since.

        Raises: JournalError; Unavailable where it is not `wanted` any more.
        """
        with self._state.writing(wanted) as txn:
            highest = self._index.sequence(txn)
            known = self._active.get(txn, run.id)
            if known is not None and known.run.sequence == highest:
                return known.run
            begun = replace(run, sequence=following(highest))
            self._active.begin(txn, ActiveRun(run=begun, session=session, stores=stores))
            self._index.put_run(txn, begun)
        return begun

    def note(self, notes: Sequence[Note], wanted: Wanted = always) -> tuple[ChangeWarning, ...]:
        """Take in what runs did with inputs; gives the warnings that follow.

        Raises: JournalError; Unavailable where it is not `wanted` any more.
        """
        warnings: list[ChangeWarning] = []
        with self._state.writing(wanted) as txn:
            active = {run: self._active.get(txn, run) for run in {one.run for one in notes}}
            for one in notes:
                run = active[one.run]
                if run is not None:
                    warnings += self._note(txn, run.run, one)
        return tuple(warnings)

    def answer_questions(self, content: Content) -> tuple[ChangeWarning, ...]:
        """The hashing of a content has ended, with or without hashes: answer the questions about it."""
        warnings: list[ChangeWarning] = []
        place = Place(store=content.store, alias="", path=content.key)
        with self._state.reading() as txn:
            # Nearly always there is none, and a read costs no sync.
            asked = [
                one
                for one in self._active.all(txn)
                if one.run.project == self.project
                and self._active.is_asked(txn, one.run.id, place, content.token)
            ]
        if not asked:
            return ()
        with self._state.writing() as txn:
            for active in asked:
                question = self._active.answer(txn, active.run.id, place, content.token)
                if question is not None:
                    warnings += self._answer(txn, active.run, question)
        return tuple(warnings)

    def made(self, run: RunId, output: Output, *, anew: bool = True) -> None:
        """A run, which may have ended, has made a version; not `anew`: what was there, which keeps its maker's name."""
        with self._state.writing() as txn:
            if anew:
                self._index.note_maker(txn, output.place, output.content, run)
            active = self._active.get(txn, run)
            if active is not None:
                above = self._above(txn, active.run, output.place)
                output = replace(output, sequence=above)
                self._active.add_output(txn, run, output)
                made = earlier(active.run, output.content, output.made, above)
                self._index.put_made(txn, output.place, made)

    def removed(self, run: RunId, place: Place) -> None:
        """A run has removed, or renamed, what it may have made."""
        with self._state.writing() as txn:
            if self._active.get(txn, run) is not None:
                self._active.remove(txn, run, place)

    def outputs_below(self, run: RunId, store: StoreId, directory: Key) -> list[Output]:
        """What a run that goes on has made below a directory."""
        with self._state.reading() as txn:
            return self._active.outputs_below(txn, run, store, directory)

    def end(
        self,
        run: RunId,
        status: RunStatus,
        exit_status: int | None = None,
        wanted: Wanted = always,
    ) -> Manifest | None:
        """A run ends: its manifest is made, and is to be sent.

        None for one that has ended already, and for a mount in which nothing was used or made, unless others know
        of it.
        """
        with self._state.writing(wanted) as txn:
            active = self._active.get(txn, run)
            if active is None:
                return None
            for question in self._active.questions(txn, run):
                self._answer(txn, active.run, question)
            whole = self._hashes.manifest(txn, self._active.manifest(txn, active))
            ended = replace(whole.run, status=status, exit_status=exit_status, ended=self.now())
            whole = replace(whole, run=ended)
            self._active.end(txn, run)
            if not (whole.is_worth_telling or whole.warnings or self._exchange.is_shown(txn, run)):
                self._index.forget_run(txn, ended)
                return None
            data = manifest.encode(whole)
            self._index.put_manifest(txn, run, data)
            self._exchange.take(txn, whole)
            self._exchange.to_send(txn, names.RUNS, run, data)
        return whole

    def end_abandoned(self, is_alive: Callable[[SessionId], bool]) -> list[Run]:
        """Close the runs of this project whose mounts died; gives them."""
        with self._state.reading() as txn:
            left = [one for one in self._active.all(txn) if one.run.project == self.project]
        dead = [one.run for one in left if not is_alive(one.session)]
        for run in dead:
            self.end(run.id, RunStatus.INTERRUPTED)
        return dead

    def checkpoint(self, run: RunId, number: int) -> bool:
        """Let other hosts see how far a run is; False where it has nothing to show. Raises: a StoreError."""
        with self._state.reading() as txn:
            active = self._active.get(txn, run)
            if active is None:
                return False
            whole = self._hashes.manifest(txn, self._active.manifest(txn, active))
        if not whole.is_worth_telling:
            return False
        self._exchange.checkpoint(whole, number)
        return True

    # --- the exchange with other hosts

    def receive(self, *, whole: bool = False) -> Received:
        """Take in what other hosts have written. Raises: a StoreError."""
        return self._exchange.receive(whole=whole)

    def send(self) -> int:
        """Send what waits, and tidy up. Raises: a StoreError."""
        sent = self._exchange.send()
        if sent:
            self._exchange.bundle()
        return sent

    def exchange(self, *, whole: bool = False) -> tuple[Received, str]:
        """Send and receive; gives what came in, and why not all could be done.

        Where this host may write nothing, others have written all the same.
        """
        why = ""
        try:
            self.send()
        except (errors.Unavailable, errors.Throttled) as error:
            return Received(0), error.message
        except errors.StoreError as error:
            why = error.message
        try:
            return self.receive(whole=whole), why
        except errors.StoreError as error:
            return Received(0), why or error.message

    def waiting(self) -> int:
        """How much is kept on this host only, so far."""
        return self._exchange.waiting()

    def skewed(self) -> dict[str, int]:
        """Hosts with wrong clocks, and by how many seconds they are ahead of the store's."""
        return self._exchange.skewed()

    # --- questions

    def runs(self, *, before: datetime | None = None, search: str = "") -> Iterator[Run]:
        """Runs, the newest first; with `search` those in whose words it occurs."""
        wanted = search.casefold()
        with self._state.reading() as txn:
            for run in self._index.newest_first(txn, before):
                if not wanted or wanted in run.search_text:
                    yield self._so_far(txn, run)

    def _so_far(self, txn: Any, run: Run) -> Run:
        """A run that goes on here, with what it has done by now."""
        active = self._active.get(txn, run.id) if run.status is RunStatus.RUNNING else None
        return run if active is None else self._active.manifest(txn, active).run

    def find(self, text: str) -> Run:
        """A run by its id, its name (the newest of that name), or the beginning of its id.

        Raises: NotFound, which tells what is like it.
        """
        with self._state.reading() as txn:
            found = self._index.runs_like(txn, text) if text.isascii() and text else []
        if len(found) == 1 and found[0].id == text:
            return found[0]
        named = next((run for run in self.runs() if run.name == text), None) if text else None
        if named is not None:
            return named
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(run.label for run in found[:5])
            raise errors.NotFound(f"{len(found)} runs have ids that begin with {text!r}: {some}")
        raise errors.NotFound(
            f"there is no run {text!r} in this project; `vstorefs runs` lists those that there are"
        )

    def newest(self) -> Run:
        """The newest run that has ended and used something. Raises: NotFound."""
        for one in self.runs():
            if one.inputs and one.status is not RunStatus.RUNNING:
                return one
        raise errors.NotFound("no run of this project has used an input and ended")

    def manifest(self, run: Run) -> Manifest:
        """All that is known of a run. Raises: NotFound; a StoreError."""
        with self._state.reading() as txn:
            active = self._active.get(txn, run.id)
            if active is not None:
                return self._hashes.manifest(txn, self._active.manifest(txn, active))
        return self._exchange.manifest(run.id)

    def of_path(self, place: Place) -> OfPath:
        """The newest use of a path, and what was made of it last."""
        with self._state.reading() as txn:
            return self._index.of_path(txn, place)

    def of_contents(self, items: Iterable[tuple[Place, Seen]]) -> list[OfContent]:
        """How many runs used each content, the last one, and which one made it."""
        with self._state.reading() as txn:
            return [self._index.of_content(txn, place, content) for place, content in items]

    def warnings_of(self, place: Place) -> list[ChangeWarning]:
        """What holds of one path, oldest first."""
        with self._state.reading() as txn:
            return self._index.warnings_of(txn, place)

    def warnings_below(self, store: StoreId, directory: Key) -> list[ChangeWarning]:
        """What holds of paths below a directory."""
        with self._state.reading() as txn:
            return self._index.warnings_below(txn, store, directory)

    def warnings(self) -> list[ChangeWarning]:
        """Everything that holds in the project."""
        with self._state.reading() as txn:
            return self._index.all_warnings(txn)

    def compare(self, run: Run, use: Input, now: Seen | None) -> ChangeWarning | None:
        """What to say of an input of a run, given what its path has now; None where that is the same, or accepted."""
        with self._state.reading() as txn:
            acknowledged = self._index.acknowledged(txn, use.place)
            before = self._hashes.content(txn, use.place, use.content)
            seen = self._hashes.content(txn, use.place, now) if now is not None else None
        if changes.is_accepted(acknowledged, seen):
            return None
        kind = WarningKind.DISAPPEARED
        if seen is not None:
            difference = changes.compare(before, seen)
            if difference is Difference.NONE:
                return None
            sure = difference is Difference.SURE
            kind = WarningKind.CHANGED if sure else WarningKind.MAY_HAVE_CHANGED
        return ChangeWarning(
            kind=kind,
            place=use.place,
            time=self.now(),
            run=run.id,
            before=earlier(run, before, use.last_used, use.sequence),
            now=seen,
        )

    # --- what people decide

    def acknowledge(
        self,
        place: Place,
        content: Seen | None,
        why: str,
        user: str,
        wanted: Wanted = always,
    ) -> int:
        """A user accepts what a path has now; gives how many warnings that ends.

        Raises: JournalError; Unavailable where it is not `wanted` any more.
        """
        with self._state.writing(wanted) as txn:
            before = self._index.acknowledged(txn, place)
            known = self._index.warnings_of(txn, place)
            ends = tuple((one.run, one.time) for one in known)
            acknowledgement = Acknowledgement(
                id=new_id(),
                project=self.project,
                place=place,
                content=self._hashes.content(txn, place, content) if content is not None else None,
                time=self.now(),
                user=user,
                host=socket.gethostname(),
                why=why,
                sequence=following(before.sequence) if before is not None else 1,
                ends=(*before.ends, *ends) if before is not None else ends,
            )
            ended = self._index.acknowledge(txn, acknowledgement)
            data = msgspec.json.encode(acknowledgement)
            self._exchange.to_send(txn, names.ACKS, acknowledgement.id, data)
        return ended

    def acknowledged(self, place: Place) -> Acknowledgement | None:
        """The newest acknowledgement of a path."""
        with self._state.reading() as txn:
            return self._index.acknowledged(txn, place)

    def keep(self, run: RunId, user: str, *, kept: bool) -> None:
        """See that purges leave alone what a run used and made, or do not any more. Raises: JournalError."""
        with self._state.writing() as txn:
            before = self._exchange.decided(txn, run)
            decision = Kept(
                run=run,
                kept=kept,
                time=self.now(),
                user=user,
                host=socket.gethostname(),
                sequence=following(before.sequence) if before is not None else 1,
            )
            self._exchange.take_kept(txn, decision)
            self._exchange.to_send(txn, names.KEPT, new_id(), msgspec.json.encode(decision))

    def kept(self) -> list[RunId]:
        """The runs that somebody wants kept."""
        with self._state.reading() as txn:
            return self._exchange.kept(txn)

    # --- parts

    def now(self) -> datetime:
        """The time."""
        return utc(self._clock.wall_ns())

    def _note(self, txn: Any, run: Run, note: Note) -> Iterator[ChangeWarning]:
        use = note.use
        if note.gone:
            yield from self._note_gone(txn, run, use)
            return
        made_by = self._index.of_content(txn, use.place, use.content).made_by
        if made_by == run.id and not note.was_there:
            # What a run reads of what it has made itself is no input.
            return
        above = self._above(txn, run, use.place)
        use = replace(
            use, content=self._hashes.content(txn, use.place, use.content), sequence=above
        )
        is_new = self._active.add_input(txn, run.id, use)
        if note.torn:
            now = earlier(run, use.content, use.first_used, above)
            yield from self._warn(txn, run, WarningKind.CHANGED_WHILE_READ, use.place, now, None)
        elif is_new and not use.pinned:
            yield from self._compare(txn, run, use)
            self._index.put_use(txn, use.place, earlier(run, use.content, use.last_used, above))

    def _above(self, txn: Any, run: Run, place: Place) -> int:
        """The sequence of a use or an output that comes now: it knows of those before, whatever clocks say."""
        known = self._index.of_path(txn, place)
        before = [one.sequence for one in (known.used, known.made) if one is not None]
        return following(max([run.sequence - 1, *before]))

    def _note_gone(self, txn: Any, run: Run, use: Input) -> Iterator[ChangeWarning]:
        if self._active.has_removed(txn, run.id, use.place):
            return
        used = self._index.of_path(txn, use.place).used
        if used is None or changes.is_accepted(self._index.acknowledged(txn, use.place), None):
            return
        yield from self._warn(txn, run, WarningKind.DISAPPEARED, use.place, used, None)

    def _compare(self, txn: Any, run: Run, use: Input) -> Iterator[ChangeWarning]:
        known = self._index.of_path(txn, use.place)
        used = self._hashes.earlier(txn, use.place, known.used)
        made = self._hashes.earlier(txn, use.place, known.made)
        if made is not None and made.run == run.id:
            made = None
        found = changes.reference(used, made, use.content)
        if found is None:
            return
        before, kind, difference = found
        question = Question(
            place=use.place, kind=kind, before=before, now=use.content, difference=difference
        )
        large = difference is Difference.SURE and use.content.size > _LARGE_BYTES
        if use.content.hashes is None and not large:
            self._active.ask(txn, run.id, question)
        else:
            yield from self._answer(txn, run, question)

    def _answer(self, txn: Any, run: Run, question: Question) -> Iterator[ChangeWarning]:
        now = self._hashes.content(txn, question.place, question.now)
        before = self._hashes.earlier(txn, question.place, question.before)
        assert before is not None
        difference = changes.compare(before.content, now)
        if difference is Difference.NONE:
            return iter(())
        if changes.is_accepted(self._index.acknowledged(txn, question.place), now):
            return iter(())
        sure = difference is Difference.SURE
        kind = question.kind if sure else WarningKind.MAY_HAVE_CHANGED
        return self._warn(txn, run, kind, question.place, before, now)

    def _warn(
        self,
        txn: Any,
        run: Run,
        kind: WarningKind,
        place: Place,
        before: Earlier | None,
        now: Seen | None,
    ) -> Iterator[ChangeWarning]:
        warning = ChangeWarning(
            kind=kind, place=place, time=self.now(), run=run.id, before=before, now=now
        )
        acknowledged = self._index.acknowledged(txn, place)
        if self._active.add_warning(txn, run.id, warning, acknowledged):
            self._index.put_warning(txn, warning)
            return iter((warning,))
        return iter(())
