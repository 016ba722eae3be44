"""Between this host's index and the project's archive: what others have written comes in, what is ours goes out.

What goes out is remembered, with the name that it gets, before it is tried, and sent again until the archive has it;
so a default store that is away delays the ledger and loses nothing. What comes in is found by its name: manifests are
named by when they were written, so only the last days need to be listed; a new host takes bundles of many. An object
that cannot be read is named in the log once by each vstorefs that meets it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from vstorefs import __version__, errors
from vstorefs.clock import Clock, utc
from vstorefs.ledger import archive as names
from vstorefs.ledger import bundles, changes, manifest, naming
from vstorefs.ledger.archive import Archive, Named
from vstorefs.ledger.bundles import Bundle
from vstorefs.ledger.index import Index
from vstorefs.ledger.manifest import (
    Earlier,
    Kept,
    Manifest,
    Place,
    Run,
    RunStatus,
    Seen,
    earlier,
)
from vstorefs.model import RunId
from vstorefs.state.env import State
from vstorefs.state.fingerprints import Fingerprint, Fingerprints

log = logging.getLogger(__name__)
T = TypeVar("T")

BUNDLED = 100
_UNSENT, _NAMED, _LOOSE, _HAVE = "unsent", "named", "loose", "have"
_SHOWN, _BAD, _READ_TO, _SKEW, _KEPT = "shown", "bad", "read-to", "skew", "kept"
_AT_ONCE = 8
_BATCH = 100
_NAME_HOLDS = timedelta(minutes=1)
"""An older name may lie before what others list, and would tell of a wrong clock."""
_SKEWED_S = 90
_LONGEST_SKEW_S = 86_400
"""What seems written later than this was copied to where it is."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came in. `skewed`: hosts newly found to have wrong clocks, and by how many seconds they are ahead."""

    runs: int
    skewed: tuple[tuple[str, int], ...] = ()


class Exchange:
    """The exchange of one project; safe from many threads and processes of a host."""

    def __init__(
        self,
        state: State,
        index: Index,
        fingerprints: Fingerprints,
        archive: Callable[[], Archive],
        clock: Clock,
    ) -> None:
        self._state = state
        self._index = index
        self._fingerprints = fingerprints
        self._archive = archive
        self._clock = clock

    # --- out

    def to_send(self, txn: Any, kind: str, name: str, data: bytes) -> None:
        """Remember that an object is to be sent; `kind` is the prefix of its name."""
        self._index.mark(txn, _UNSENT, kind + name, data)

    def send(self) -> int:
        """Send what waits; gives how much that was. Raises: a StoreError; then the rest goes on waiting."""
        with self._state.reading() as txn:
            waiting = self._index.names_marked(txn, _UNSENT)
        if not waiting:
            return 0
        archive = self._archive()
        return sum(self._send(archive, what) for what in waiting)

    def _send(self, archive: Archive, what: str) -> bool:
        with self._state.reading() as txn:
            data = self._index.value_of(txn, _UNSENT, what)
            tried = self._index.value_of(txn, _NAMED, what)
        if data is None:
            return False
        name = tried.decode() if tried is not None else None
        if name is None or not self._is_there(archive, name):
            name = self._named(what, name)
            archive.add(name, data)
        run = naming.run_of(name) if name.startswith(names.RUNS) else None
        if run is not None:
            self._remove_checkpoint(archive, run)
        with self._state.writing() as txn:
            self._index.unmark(txn, _UNSENT, what)
            self._index.unmark(txn, _NAMED, what)
            if run is not None:
                self._index.mark(txn, _LOOSE, run, name.encode())
            else:
                self._index.mark(txn, _HAVE, name)
        return True

    def _is_there(self, archive: Archive, name: str) -> bool:
        """Whether a try whose answer was lost has happened."""
        return any(one.name == name for one in archive.names(name))

    def _named(self, what: str, before: str | None) -> str:
        """The name that an object gets: that of its last try, unless that was long ago."""
        with self._state.writing() as txn:
            known = self._index.value_of(txn, _NAMED, what)
            current = known.decode() if known is not None else None
            if current is not None and (current != before or self._holds(current)):
                return current
            kind, _, name = what.rpartition("/")
            full = naming.dated(f"{kind}/", self._now(), name)
            self._index.mark(txn, _NAMED, what, full.encode())
            return full

    def _holds(self, name: str) -> bool:
        tried = naming.time_of(name)
        return tried is not None and abs(self._now() - tried) < _NAME_HOLDS

    def waiting(self) -> int:
        """How much has not been sent."""
        with self._state.reading() as txn:
            return len(self._index.names_marked(txn, _UNSENT))

    def bundle(self) -> None:
        """Put the oldest manifests that are in no bundle into one, when there are many. Raises: a StoreError."""
        with self._state.reading() as txn:
            loose = sorted(self._index.marked(txn, _LOOSE), key=lambda one: one[1])
        if len(loose) < 2 * BUNDLED:
            return
        chosen = [(RunId(run), name.decode()) for run, name in loose[:BUNDLED]]
        archive = self._archive()
        found = self._fetched(archive, [name for _, name in chosen], manifest.decode)
        whole = bundles.bundle(one for _, one in found)
        name = f"{names.BUNDLES}{bundles.name_of([run for run, _ in chosen])}.json.gz"
        archive.add(name, bundles.encode(whole))
        with self._state.writing() as txn:
            self._index.mark(txn, _HAVE, name)
            for run, _ in chosen:
                self._index.unmark(txn, _LOOSE, run)

    def checkpoint(self, whole: Manifest, number: int) -> None:
        """Let other hosts see a run that goes on, in place of its checkpoint before. Raises: a StoreError."""
        archive = self._archive()
        stem = naming.checkpoints_of(whole.run)
        name = f"{stem}{number:08d}.json"
        with self._state.writing() as txn:
            self._index.mark(txn, _SHOWN, whole.run.id, name.encode())
        archive.add(name, manifest.encode(whole))
        if number > 0:
            _remove_if_allowed(archive, f"{stem}{number - 1:08d}.json")

    def is_shown(self, txn: Any, run: RunId) -> bool:
        """Whether other hosts may have seen a run before its end."""
        return self._index.is_marked(txn, _SHOWN, run)

    def _remove_checkpoint(self, archive: Archive, run: RunId) -> None:
        """The archive has the manifest of a run, which says all. Raises: a StoreError."""
        with self._state.reading() as txn:
            shown = self._index.value_of(txn, _SHOWN, run)
        if shown is not None:
            _remove_if_allowed(archive, shown.decode())
            with self._state.writing() as txn:
                self._index.unmark(txn, _SHOWN, run)

    # --- in

    def receive(self, *, whole: bool) -> Received:
        """Take in what other hosts have written since; `whole`: whatever its age. Raises: a StoreError."""
        archive = self._archive()
        if whole:
            self._try_bad_ones_again()
        taken = self._take_bundles(archive)
        began = self._now()
        listed = self._listed(archive, whole=whole)
        taken += self._take_manifests(archive, listed)
        self._take_checkpoints(archive)
        self._take_decisions(archive)
        skewed = self._note_clocks(listed)
        with self._state.writing() as txn:
            self._index.mark(txn, _READ_TO, "", naming.moment_text(began).encode())
        return Received(taken, skewed)

    def skewed(self) -> dict[str, int]:
        """Hosts whose clocks were found to be wrong, and by how many seconds they are ahead."""
        with self._state.reading() as txn:
            return {host: int(value) for host, value in self._index.marked(txn, _SKEW)}

    def manifest(self, run: RunId) -> Manifest:
        """The manifest of a run that has ended.

        From this host, or the archive. Raises: NotFound, Corrupt, NotSupported; a StoreError.
        """
        with self._state.reading() as txn:
            data = self._index.manifest(txn, run)
            name = self._index.value_of(txn, _LOOSE, run)
            known = self._index.run(txn, run)
        if data is not None:
            return manifest.decode(data, f"the manifest of run {run}")
        archive = self._archive()
        found = name.decode() if name is not None else _name_of(archive, run, known)
        data = archive.get(found)
        whole = manifest.decode(data, found)
        with self._state.writing() as txn:
            self._index.put_manifest(txn, run, data)
        return whole

    def take(self, txn: Any, whole: Manifest) -> None:
        """Take a manifest into the index."""
        run = whole.run
        self._index.put_run(txn, run)
        for use in whole.inputs:
            self._learn(txn, use.place, use.content)
            if not use.pinned:
                used = earlier(run, use.content, use.last_used, use.sequence)
                self._index.put_use(txn, use.place, used)
                self._index.count_use(txn, use.place, used)
        for output in whole.outputs:
            self._learn(txn, output.place, output.content)
            made = earlier(run, output.content, output.made, output.sequence)
            self._index.put_made(txn, output.place, made)
            self._index.note_maker(txn, output.place, output.content, run.id)
        for warning in whole.warnings:
            self._index.put_warning(txn, warning)

    # --- parts

    def _listed(self, archive: Archive, *, whole: bool) -> list[Named]:
        with self._state.reading() as txn:
            known = self._index.value_of(txn, _READ_TO, "")
        since = None if known is None or whole else naming.parsed(known.decode())
        prefixes = [names.RUNS] if since is None else naming.days(since, self._now())
        return [one for prefix in prefixes for one in archive.names(prefix)]

    def _is_known(self, txn: Any, run: RunId) -> bool:
        known = self._index.run(txn, run)
        return known is not None and known.status is not RunStatus.RUNNING

    def _take_manifests(self, archive: Archive, listed: Iterable[Named]) -> int:
        runs = ((one.name, naming.run_of(one.name)) for one in listed)
        with self._state.reading() as txn:
            wanted = [
                name for name, run in runs if run is not None and not self._is_known(txn, run)
            ]
        taken = 0
        for batch in _batches(wanted):
            found = list(self._fetched(archive, batch, manifest.decode))
            with self._state.writing() as txn:
                for name, whole in found:
                    self.take(txn, whole)
                    self._index.unmark(txn, _SHOWN, whole.run.id)
                    self._index.mark(txn, _LOOSE, whole.run.id, name.encode())
            taken += len(found)
        return taken

    def _fetched(
        self, archive: Archive, wanted: Sequence[str], decode: Callable[[bytes, str], T]
    ) -> Iterator[tuple[str, T]]:
        """Objects, many at a time; one that cannot be read is said so, and left out."""
        with self._state.reading() as txn:
            wanted = [name for name in wanted if not self._is_bad(txn, name)]

        def fetch(name: str) -> T | None:
            try:
                return _of_its_run(decode(archive.get(name), name), name)
            except errors.NotFound:
                return None
            except (errors.Corrupt, errors.NotSupported) as error:
                log.warning("ledger: %s", error.message)
                with self._state.writing() as txn:
                    self._index.mark(txn, _BAD, name, __version__.encode())
                return None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for name, found in zip(wanted, pool.map(fetch, wanted), strict=True):
                if found is not None:
                    yield name, found

    def _is_bad(self, txn: Any, name: str) -> bool:
        """Whether this vstorefs has found an object unreadable; a newer one may know it."""
        return self._index.value_of(txn, _BAD, name) == __version__.encode()

    def _try_bad_ones_again(self) -> None:
        with self._state.reading() as txn:
            bad = self._index.names_marked(txn, _BAD)
        if bad:
            with self._state.writing() as txn:
                for name in bad:
                    self._index.unmark(txn, _BAD, name)

    def _take_bundles(self, archive: Archive) -> int:
        taken = 0
        for batch in _batches(self._missing(one.name for one in archive.names(names.BUNDLES))):
            for name, whole in self._fetched(archive, batch, bundles.decode):
                with self._state.writing() as txn:
                    taken += self._take_runs(txn, whole)
                    self._index.mark(txn, _HAVE, name)
        return taken

    def _take_runs(self, txn: Any, whole: Bundle) -> int:
        """Each path and content is written once, however many of the runs used it; gives how many runs are new."""
        used: dict[int, tuple[Earlier, int]] = {}
        made: dict[int, Earlier] = {}
        new = [one for one in whole.runs if not self._is_known(txn, one.run.id)]
        for one in whole.runs:
            self._index.unmark(txn, _LOOSE, one.run.id)
        for one in new:
            self._index.put_run(txn, one.run)
            self._index.unmark(txn, _SHOWN, one.run.id)
            for number, time, sequence in one.used:
                use = earlier(one.run, whole.items[number].content, time, sequence)
                newest, count = used.get(number, (use, 0))
                used[number] = max(newest, use, key=changes.order), count + 1
            for number, time, sequence in one.made:
                maker = earlier(one.run, whole.items[number].content, time, sequence)
                made[number] = max(made.get(number, maker), maker, key=changes.order)
            for warning in one.warnings:
                self._index.put_warning(txn, warning)
        for number, (use, count) in used.items():
            item = whole.items[number]
            self._learn(txn, item.place, item.content)
            self._index.put_use(txn, item.place, use)
            self._index.count_use(txn, item.place, use, count)
        for number, maker in made.items():
            item = whole.items[number]
            self._learn(txn, item.place, item.content)
            self._index.put_made(txn, item.place, maker)
            self._index.note_maker(txn, item.place, item.content, maker.run)
        return len(new)

    def _take_checkpoints(self, archive: Archive) -> None:
        """Runs of other hosts that go on, by their newest checkpoints."""
        newest = {naming.run_of(one.name): one.name for one in archive.names(names.CHECKPOINTS)}
        with self._state.reading() as txn:
            wanted = [
                name
                for run, name in newest.items()
                if run is not None
                and not self._is_known(txn, run)
                and self._index.value_of(txn, _SHOWN, run) != name.encode()
            ]
        for name, whole in self._fetched(archive, wanted, manifest.decode):
            with self._state.writing() as txn:
                if not self._is_known(txn, whole.run.id):
                    self._take_checkpoint(txn, name, whole)

    def _take_checkpoint(self, txn: Any, name: str, whole: Manifest) -> None:
        self._index.put_run(txn, whole.run)
        for use in whole.inputs:
            self._learn(txn, use.place, use.content)
            if not use.pinned:
                used = earlier(whole.run, use.content, use.last_used, use.sequence)
                self._index.put_use(txn, use.place, used)
        self._index.mark(txn, _SHOWN, whole.run.id, name.encode())

    def _take_decisions(self, archive: Archive) -> None:
        """What people have accepted, and want kept."""
        missing = self._missing(one.name for one in archive.names(names.ACKS))
        for name, accepted in self._fetched(archive, missing, manifest.decode_ack):
            with self._state.writing() as txn:
                self._index.acknowledge(txn, accepted)
                self._index.mark(txn, _HAVE, name)
        missing = self._missing(one.name for one in archive.names(names.KEPT))
        for name, decision in self._fetched(archive, missing, manifest.decode_kept):
            with self._state.writing() as txn:
                self.take_kept(txn, decision)
                self._index.mark(txn, _HAVE, name)

    def take_kept(self, txn: Any, decision: Kept) -> None:
        """Take in that a run is to be kept, or not any more; the newest decision counts, whatever clocks say."""
        known = self.decided(txn, decision.run)
        if known is None or _standing(known) <= _standing(decision):
            self._index.mark(txn, _KEPT, decision.run, msgspec.json.encode(decision))

    def decided(self, txn: Any, run: RunId) -> Kept | None:
        """What was decided last about keeping a run."""
        value = self._index.value_of(txn, _KEPT, run)
        return manifest.decode_kept(value, run) if value is not None else None

    def kept(self, txn: Any) -> list[RunId]:
        """The runs that somebody wants kept."""
        found = (manifest.decode_kept(value, run) for run, value in self._index.marked(txn, _KEPT))
        return [one.run for one in found if one.kept]

    def _missing(self, found: Iterable[str]) -> list[str]:
        with self._state.reading() as txn:
            return [name for name in found if not self._index.is_marked(txn, _HAVE, name)]

    def _note_clocks(self, listed: Iterable[Named]) -> tuple[tuple[str, int], ...]:
        """Which hosts' clocks are wrong by their newest manifests; gives those that were not known to be."""
        ahead: dict[str, int] = {}
        with self._state.reading() as txn:
            for named in listed:
                run = naming.run_of(named.name)
                known = self._index.run(txn, run) if run is not None else None
                if known is not None and naming.ahead_s(named) > -_LONGEST_SKEW_S:
                    ahead[known.host] = naming.ahead_s(named)
            before = {host for host, _ in self._index.marked(txn, _SKEW)}
        wrong = {host: seconds for host, seconds in ahead.items() if abs(seconds) > _SKEWED_S}
        mended = before & (ahead.keys() - wrong.keys())
        if wrong or mended:
            with self._state.writing() as txn:
                for host in mended:
                    self._index.unmark(txn, _SKEW, host)
                for host, seconds in wrong.items():
                    self._index.mark(txn, _SKEW, host, str(seconds).encode())
        return tuple(sorted((host, wrong[host]) for host in wrong.keys() - before))

    def _learn(self, txn: Any, place: Place, content: Seen) -> None:
        """Hashes that another host has taken are known here without reading the file.

        A first read here hashes what passes by all the same, and compares.
        """
        if content.hashes is None:
            return
        known = self._fingerprints.within(txn, place.store, place.path, content.token)
        if known is not None and known.read:
            if known.hashes is not None and known.hashes != content.hashes:
                log.error(
                    "%s: version %s has sha256 %s here, and %s in the ledger; one host read damaged content",
                    place.shown,
                    content.version or content.token,
                    known.hashes.sha256,
                    content.hashes.sha256,
                )
            return
        self._fingerprints.add(
            txn, place.store, place.path, content.token, Fingerprint(content.hashes)
        )

    def _now(self) -> datetime:
        return utc(self._clock.wall_ns())


def _remove_if_allowed(archive: Archive, name: str) -> None:
    """Remove a checkpoint; one that these credentials may not remove is only in the way. Raises: a StoreError."""
    with contextlib.suppress(errors.Denied):
        archive.remove(name)


def _batches(wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    return (wanted[at : at + _BATCH] for at in range(0, len(wanted), _BATCH))


def _standing(decision: Kept) -> tuple[int, datetime]:
    return decision.sequence, decision.time


def _of_its_run(found: T, name: str) -> T:
    """What was found, if it is about the run that its name is about. Raises: Corrupt."""
    if isinstance(found, Manifest) and found.run.id != naming.run_of(name):
        raise errors.Corrupt(f"{name} is the manifest of another run, {found.run.id}")
    return found


def _name_of(archive: Archive, run: RunId, known: Run | None) -> str:
    """The name of a run's manifest: most were written in the hour in which their runs ended."""
    ended = known.ended if known is not None else None
    prefixes = [names.RUNS] if ended is None else [naming.hour_of(ended), names.RUNS]
    for prefix in prefixes:
        for one in archive.names(prefix):
            if naming.run_of(one.name) == run:
                return one.name
    raise errors.NotFound(
        "its manifest is not in the default store; the host that it ran on has not uploaded it",
        key=run,
        operation="show",
    )
