"""The composition root: the parts of one mount, each made here once and given what it needs.

Wing by wing, from the lowest up, so that every part is given only what stands before it in the list. Nothing begins
here: no task is started, nobody is asked, nothing is mounted. That is `front.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import trio

from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.clock import Clock
from vstorefs.model import HIDDEN_FOLDER, VERSIONS_FOLDER, StoreId
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.control.journal import JournalCalls
from vstorefs.mount.control.ledger import LedgerCalls
from vstorefs.mount.control.maintenance import MaintenanceCalls
from vstorefs.mount.control.paths import MountPaths
from vstorefs.mount.control.restores import RestoreCalls
from vstorefs.mount.control.server import Control
from vstorefs.mount.control.status import StatusCalls
from vstorefs.mount.control.surveys import SurveyCalls
from vstorefs.mount.dotversions.top import Top
from vstorefs.mount.dotversions.tree import DotVersions
from vstorefs.mount.ending import Ending
from vstorefs.mount.handles import Handles
from vstorefs.mount.kernel import Device
from vstorefs.mount.operations import Operations
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.locked import Locked
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.readings import Readings
from vstorefs.mount.shown import Shown
from vstorefs.mount.tree.absences import Absences
from vstorefs.mount.tree.inodes import ROOT, DirectoryNode, Inodes, TopNode
from vstorefs.mount.tree.invalidation import Forgetting
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.inherited import Inherited
from vstorefs.mount.writing.names import Names
from vstorefs.mount.writing.renames import Renames
from vstorefs.mount.writing.scratch import ScratchNames
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.project import Project
from vstorefs.state import mounts
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea
from vstorefs.versions.locked import Lock


@dataclass(frozen=True, slots=True)
class MountOptions:
    """Everything that a mount is made from. `workers` is how many worker processes.

    `lock`: show exactly what a lock file says. `moment_ns`: show the stores as they were then.
    """

    mount_point: Path
    project: Project
    cache_dir: Path
    state_dir: Path
    cache_bytes: int
    read_only: bool
    allow_other: bool
    log_file: str | None
    workers: int
    lock: Lock | None = None
    moment_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What is there before any part is: the options, what they opened, the running workers, and who owns tasks."""

    options: MountOptions
    session: Session
    area: StagingArea
    cache: Cache
    clock: Clock
    pool: Pool
    remotes: list[Remote]
    nursery: trio.Nursery
    ending: Ending = field(default_factory=Ending)

    @property
    def mount_point(self) -> str:
        """Where programs see it."""
        return str(self.options.mount_point)


@dataclass(frozen=True, slots=True)
class Tree:
    """Names and nodes. `roots`: the top directories of the stores."""

    inodes: Inodes
    namespace: Namespace
    roots: dict[StoreId, DirectoryNode]
    absences: Absences
    forgetting: Forgetting


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes. `locked`: where only chosen contents may be given."""

    transfers: Transfers
    hashing: Hashing
    locked: Locked | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who used what."""

    runs: Runs
    uses: Uses


@dataclass(frozen=True, slots=True)
class Writing:
    """What programs write."""

    uploads: Uploads
    commits: Commits
    changes: Changes
    renames: Renames
    inherited: Inherited


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts of a mount."""

    tree: Tree
    provenance: Provenance
    reading: Reading
    writing: Writing
    readings: Readings
    device: Device
    operations: Operations
    control: Control


def assemble(given: Given) -> Parts:
    """Make the parts of a mount."""
    tree = _tree(given)
    provenance = _provenance(given)
    reading = _reading(given, provenance)
    writing = _writing(given, tree, provenance)
    handles = Handles()
    readings = Readings(
        handles,
        tree.inodes,
        tree.namespace,
        reading.transfers,
        reading.hashing,
        reading.locked,
        provenance.uses,
        given.clock,
    )
    device = Device(given.mount_point)
    return Parts(
        tree,
        provenance,
        reading,
        writing,
        readings,
        device,
        _operations(given, tree, provenance, writing, handles, readings, device),
        _control(given, tree, provenance, reading, writing, readings),
    )


def _tree(given: Given) -> Tree:
    inodes = Inodes()
    namespace = Namespace(inodes, given.clock)
    return Tree(
        inodes,
        namespace,
        _roots(given, inodes, namespace),
        Absences(given.clock, inodes),
        Forgetting(),
    )


def _roots(given: Given, inodes: Inodes, namespace: Namespace) -> dict[StoreId, DirectoryNode]:
    """The root of the mount is that of its only store, or a folder of all of them."""
    if given.options.project.single:
        root = namespace.new_root(given.remotes[0])
        assert root.number == ROOT
        return {root.remote.spec.id: root}
    top = TopNode(inodes.number(), "")
    inodes.add(top)
    for remote in given.remotes:
        top.stores[remote.spec.alias] = namespace.new_root(remote, remote.spec.alias)
    return {root.remote.spec.id: root for root in top.stores.values()}


def _provenance(given: Given) -> Provenance:
    options = given.options
    runs = Runs(given.pool, options.project, given.clock, given.mount_point)
    uses = Uses(given.pool, options.project, runs, given.clock, pinned=options.lock is not None)
    return Provenance(runs, uses)


def _reading(given: Given, provenance: Provenance) -> Reading:
    options = given.options
    transfers = Transfers(
        ChunkReader(given.cache), given.cache.limit_bytes, given.pool, given.nursery
    )
    hashing = Hashing(
        given.pool,
        transfers,
        given.nursery,
        provenance.runs.warn,
        whole_below=options.project.hash_whole_below,
        whole_part=options.project.hash_whole_above_part,
    )
    locked = Locked(options.lock, hashing) if options.lock is not None else None
    return Reading(transfers, hashing, locked)


def _writing(given: Given, tree: Tree, provenance: Provenance) -> Writing:
    project = given.options.project
    uploads = Uploads(
        given.pool,
        {remote.spec.id: remote for remote in given.remotes},
        given.clock,
        given.nursery,
    )
    commits = Commits(
        given.session.id,
        given.area,
        uploads,
        tree.namespace,
        tree.inodes,
        given.clock,
        ScratchNames(project.scratch),
        provenance.uses.published,
        through=project.write == "through",
    )
    names = Names(
        given.session.id,
        tree.namespace,
        tree.inodes,
        uploads,
        hidden=(VERSIONS_FOLDER, HIDDEN_FOLDER),
    )
    changes = Changes(names, tree.namespace, commits, uploads, given.clock)
    renames = Renames(names, tree.namespace, changes, commits, uploads)
    inherited = Inherited(given.pool, uploads, given.area, tree.namespace, tree.roots)
    return Writing(uploads, commits, changes, renames, inherited)


def _operations(
    given: Given,
    tree: Tree,
    provenance: Provenance,
    writing: Writing,
    handles: Handles,
    readings: Readings,
    device: Device,
) -> Operations:
    runs, uses = provenance.runs, provenance.uses
    versions = DotVersions(tree.inodes, writing.uploads, given.clock, given.pool, uses.send_notes)
    shown = Shown(
        given.mount_point,
        tree.inodes,
        tree.namespace,
        versions,
        Top(tree.inodes, versions),
        tree.absences,
        uses,
        runs,
    )
    return Operations(
        tree.inodes,
        tree.namespace,
        shown,
        handles,
        readings,
        writing.commits,
        writing.changes,
        writing.renames,
        versions,
        uses,
        runs,
        given.pool,
        given.mount_point,
        device,
    )


def _control(
    given: Given,
    tree: Tree,
    provenance: Provenance,
    reading: Reading,
    writing: Writing,
    readings: Readings,
) -> Control:
    """The control socket, and a part for each kind of question."""
    options, pool, clock, uploads = given.options, given.pool, given.clock, writing.uploads
    runs, uses, forgetting = provenance.runs, provenance.uses, tree.forgetting
    read_only = options.read_only
    paths = MountPaths(given.remotes, uploads, options.project)
    status = StatusCalls(
        given.mount_point,
        given.remotes,
        uploads,
        writing.commits,
        reading.transfers,
        tree.namespace,
        given.cache,
        clock,
        runs,
        paths,
        given.ending,
        read_only=read_only,
        moment_ns=options.moment_ns,
    )
    calls = LedgerCalls(
        pool, options.project, runs, uses, readings, tree.absences, writing.commits, forgetting
    )
    maintenance = MaintenanceCalls(
        paths, uploads, tree.inodes, clock, forgetting, read_only=read_only
    )
    journal = JournalCalls(pool, uploads, writing.inherited)
    restores = RestoreCalls(
        paths,
        tree.roots,
        tree.namespace,
        writing.changes,
        uploads,
        runs,
        forgetting,
        read_only=read_only,
    )
    return Control(
        mounts.socket_path(given.mount_point),
        status.handlers() | calls.handlers() | maintenance.handlers() | journal.handlers(),
        SurveyCalls(paths).pagers() | restores.pagers(),
    )
