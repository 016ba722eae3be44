"""Between this host's index and the project's archive: what others have written comes in, what is ours goes out.

What goes out is remembered, with the name that it gets, before it is tried, and sent again until the archive has it;
so a default store that is away delays the ledger and loses nothing. What comes in is found by its name: manifests are
named by when they were written, so only the last days need to be listed; a new host takes bundles of many.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.ledger import archive as names
from vstorefs.ledger import bundles, manifest
from vstorefs.ledger.archive import Archive, Named
from vstorefs.ledger.bundles import Bundle
from vstorefs.ledger.index import Index
from vstorefs.ledger.manifest import (
    Acknowledgement,
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

BUNDLED = 100
_UNSENT, _NAMED, _LOOSE, _HAVE = "unsent", "named", "loose", "have"
_READ_TO, _SKEW, _KEPT = "read-to", "skew", "kept"
_AT_ONCE = 8
_BATCH = 100
_TIME = "%Y-%m-%dT%H%M%S.%fZ"
_SKEWED = timedelta(seconds=90)
_DAY = timedelta(days=1)
_decide = msgspec.json.Decoder(Kept).decode
_ack = msgspec.json.Decoder(Acknowledgement).decode


@dataclass(frozen=True, slots=True)
class News:
    """What came in. `skewed`: hosts whose clocks are not the store's, and by how many seconds they are ahead of it."""

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
            waiting = self._index.marked(txn, _UNSENT)
        if not waiting:
            return 0
        archive = self._archive()
        for what, data in waiting:
            name = self._named(what)
            archive.add(name, data)
            with self._state.writing() as txn:
                self._index.unmark(txn, _UNSENT, what)
                self._index.unmark(txn, _NAMED, what)
                if name.startswith(names.RUNS):
                    self._index.mark(txn, _LOOSE, run_of(name), name.encode())
                else:
                    self._index.mark(txn, _HAVE, name)
        return len(waiting)

    def _named(self, what: str) -> str:
        """The name that an object gets: with the time of its first try, and the same at every other."""
        with self._state.writing() as txn:
            known = dict(self._index.marked(txn, _NAMED)).get(what)
            if known is not None:
                return known.decode()
            kind, _, name = what.rpartition("/")
            full = f"{kind}/{self._now().strftime(_TIME)}-{name}.json"
            self._index.mark(txn, _NAMED, what, full.encode())
            return full

    def waiting(self) -> int:
        """How much has not been sent."""
        with self._state.reading() as txn:
            return len(self._index.marked(txn, _UNSENT))

    def bundle(self) -> None:
        """Put the oldest manifests that are in no bundle into one, when there are many. Raises: a StoreError."""
        with self._state.reading() as txn:
            loose = sorted(self._index.marked(txn, _LOOSE), key=lambda one: one[1])
        if len(loose) < 2 * BUNDLED:
            return
        chosen = [(RunId(run), name.decode()) for run, name in loose[:BUNDLED]]
        archive = self._archive()
        found = self._fetched(archive, [name for _, name in chosen])
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
        stem = f"{names.CHECKPOINTS}{whole.run.started.strftime(_TIME)}-{whole.run.id}@"
        archive.add(f"{stem}{number:08d}.json", manifest.encode(whole))
        if number > 0:
            archive.remove(f"{stem}{number - 1:08d}.json")

    def end_checkpoints(self, run: Run) -> None:
        """A run has ended, and its manifest says all. Raises: a StoreError."""
        archive = self._archive()
        for one in archive.names(f"{names.CHECKPOINTS}{run.started.strftime(_TIME)}-{run.id}@"):
            archive.remove(one.name)

    # --- in

    def receive(self, *, whole: bool) -> News:
        """Take in what other hosts have written since; `whole`: whatever its age. Raises: a StoreError."""
        archive = self._archive()
        for name in self._missing(one.name for one in archive.names(names.BUNDLES)):
            self._take_bundle(name, archive.get(name))
        began = self._now()
        found = self._new_manifests(archive, whole=whole)
        skewed: dict[str, int] = {}
        taken = 0
        for named, one in self._manifests(archive, found):
            taken += 1
            behind = named.written - (_time_of(named.name) or named.written)
            if abs(behind) > _SKEWED:
                skewed[one.run.host] = -int(behind.total_seconds())
        self._take_checkpoints(archive)
        self._take_decisions(archive)
        with self._state.writing() as txn:
            self._index.mark(txn, _READ_TO, "", began.strftime(_TIME).encode())
            for host, seconds in skewed.items():
                self._index.mark(txn, _SKEW, host, str(seconds).encode())
        return News(taken, tuple(sorted(skewed.items())))

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
            name = dict(self._index.marked(txn, _LOOSE)).get(run)
        if data is not None:
            return manifest.decode(data, f"the manifest of run {run}")
        archive = self._archive()
        found = name.decode() if name is not None else self._name_of(archive, run)
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
                self._index.put_use(txn, use.place, earlier(run, use.content, use.last_used))
                self._index.count_use(txn, use.place, use.content, run.id)
        for output in whole.outputs:
            self._learn(txn, output.place, output.content)
            self._index.put_made(txn, output.place, earlier(run, output.content, output.made))
            self._index.note_maker(txn, output.place, output.content, run.id)
        for warning in whole.warnings:
            self._index.put_warning(txn, warning)

    # --- parts

    def _new_manifests(self, archive: Archive, *, whole: bool) -> list[Named]:
        with self._state.reading() as txn:
            known = dict(self._index.marked(txn, _READ_TO)).get("")
        since = None if known is None or whole else _parsed(known.decode())
        prefixes = [names.RUNS] if since is None else list(_days(since, self._now()))
        listed = [one for prefix in prefixes for one in archive.names(prefix)]
        with self._state.reading() as txn:
            return [one for one in listed if not self._is_known(txn, RunId(run_of(one.name)))]

    def _is_known(self, txn: Any, run: RunId) -> bool:
        known = self._index.run(txn, run)
        return known is not None and known.status is not RunStatus.RUNNING

    def _manifests(self, archive: Archive, found: list[Named]) -> Iterator[tuple[Named, Manifest]]:
        by_name = {one.name: one for one in found}
        batch: list[tuple[str, Manifest]] = []

        def flush() -> None:
            with self._state.writing() as txn:
                for name, whole in batch:
                    self.take(txn, whole)
                    self._index.mark(txn, _LOOSE, whole.run.id, name.encode())
            batch.clear()

        for name, whole in self._fetched(archive, list(by_name)):
            batch.append((name, whole))
            if len(batch) >= _BATCH:
                flush()
            yield by_name[name], whole
        flush()

    def _fetched(self, archive: Archive, wanted: list[str]) -> Iterator[tuple[str, Manifest]]:
        """Manifests, many at a time; one that cannot be read is said so, and left out."""

        def fetch(name: str) -> Manifest | None:
            try:
                return manifest.decode(archive.get(name), name)
            except (errors.Corrupt, errors.NotSupported, errors.NotFound) as error:
                log.warning("the ledger: %s", error.message)
                return None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for name, whole in zip(wanted, pool.map(fetch, wanted), strict=True):
                if whole is not None:
                    yield name, whole

    def _take_bundle(self, name: str, data: bytes) -> None:
        try:
            whole = bundles.decode(data, name)
        except (errors.Corrupt, errors.NotSupported) as error:
            log.warning("the ledger: %s", error.message)
            return
        with self._state.writing() as txn:
            self._take_runs(txn, whole)
            self._index.mark(txn, _HAVE, name)

    def _take_runs(self, txn: Any, whole: Bundle) -> None:
        """Each path and content is written once, however many of the runs used it."""
        used: dict[int, tuple[Earlier, int]] = {}
        made: dict[int, Earlier] = {}
        for one in whole.runs:
            self._index.unmark(txn, _LOOSE, one.run.id)
            if self._is_known(txn, one.run.id):
                continue
            self._index.put_run(txn, one.run)
            for number, time in one.used:
                use = earlier(one.run, whole.items[number].content, time)
                before = used.get(number)
                count = 1 if before is None else before[1] + 1
                newer = before is None or (use.sequence, use.time) > (
                    before[0].sequence,
                    before[0].time,
                )
                used[number] = (use if newer or before is None else before[0], count)
            for number, time in one.made:
                made[number] = earlier(one.run, whole.items[number].content, time)
            for warning in one.warnings:
                self._index.put_warning(txn, warning)
        for number, (use, count) in used.items():
            item = whole.items[number]
            self._learn(txn, item.place, item.content)
            self._index.put_use(txn, item.place, use)
            self._index.count_use(txn, item.place, item.content, use.run, count)
        for number, maker in made.items():
            item = whole.items[number]
            self._learn(txn, item.place, item.content)
            self._index.put_made(txn, item.place, maker)
            self._index.note_maker(txn, item.place, item.content, maker.run)

    def _take_checkpoints(self, archive: Archive) -> None:
        """Runs of other hosts that go on, by their newest checkpoints."""
        newest = {run_of(one.name): one.name for one in archive.names(names.CHECKPOINTS)}
        with self._state.reading() as txn:
            wanted = [
                name
                for run, name in newest.items()
                if not self._is_known(txn, RunId(run))
                and not self._index.is_marked(txn, _HAVE, name)
            ]
        for name, whole in self._fetched(archive, wanted):
            with self._state.writing() as txn:
                if self._is_known(txn, whole.run.id):
                    continue
                self._index.put_run(txn, whole.run)
                for use in whole.inputs:
                    self._learn(txn, use.place, use.content)
                    self._index.put_use(
                        txn, use.place, earlier(whole.run, use.content, use.last_used)
                    )
                self._index.mark(txn, _HAVE, name)

    def _take_decisions(self, archive: Archive) -> None:
        """What people have accepted, and want kept."""
        listed = [one.name for prefix in (names.ACKS, names.KEPT) for one in archive.names(prefix)]
        for name in self._missing(listed):
            data = archive.get(name)
            with self._state.writing() as txn:
                try:
                    if name.startswith(names.ACKS):
                        self._index.acknowledge(txn, _ack(data))
                    else:
                        self.take_kept(txn, _decide(data))
                except msgspec.DecodeError as error:
                    log.warning("the ledger: %s cannot be read: %s", name, error)
                    continue
                self._index.mark(txn, _HAVE, name)

    def take_kept(self, txn: Any, decision: Kept) -> None:
        """Take in that a run is to be kept, or not any more; the newest decision counts."""
        known = dict(self._index.marked(txn, _KEPT)).get(decision.run)
        if known is None or _decide(known).time <= decision.time:
            self._index.mark(txn, _KEPT, decision.run, msgspec.json.encode(decision))

    def kept(self, txn: Any) -> list[RunId]:
        """The runs that somebody wants kept."""
        return [RunId(run) for run, value in self._index.marked(txn, _KEPT) if _decide(value).kept]

    def _missing(self, found: Iterable[str]) -> list[str]:
        with self._state.reading() as txn:
            return [name for name in found if not self._index.is_marked(txn, _HAVE, name)]

    def _name_of(self, archive: Archive, run: RunId) -> str:
        for one in archive.names(names.RUNS):
            if run_of(one.name) == run:
                return one.name
        raise errors.NotFound(
            "its manifest is not in the default store; the host that it ran on has not sent it",
            key=run,
            operation="show",
        )

    def _learn(self, txn: Any, place: Place, content: Seen) -> None:
        """Hashes that another host has taken hold here too, and the file is not read again for them."""
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
            txn, place.store, place.path, content.token, Fingerprint(content.hashes, read=True)
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC)


def run_of(name: str) -> str:
    """The run that a manifest's or a checkpoint's name is about."""
    return name.rpartition("-")[2].partition(".")[0].partition("@")[0]


def _time_of(name: str) -> datetime | None:
    """When a manifest's writer says that it was written."""
    stamp = name.rpartition("/")[2].rpartition("-")[0]
    try:
        return _parsed(stamp)
    except ValueError:
        return None


def _parsed(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def _days(since: datetime, until: datetime) -> Iterator[str]:
    """Prefixes of manifests written between two times, with a day more on both sides for wrong clocks."""
    day = since - _DAY
    while day.date() <= (until + _DAY).date():
        yield f"{names.RUNS}{day:%Y-%m-%d}"
        day += _DAY
