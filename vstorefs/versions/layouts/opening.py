"""From a store's description to the Store: which layout it has, and what it holds to.

`.vstorefs/format` says which layout; without one, what the bucket's versioning implies. A host that
cannot find out mounts read-only: "denied" is not "no".
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from vstorefs import errors
from vstorefs.files import mount_of
from vstorefs.model import Capabilities, StoreId, StoreSpec
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket, Versioning
from vstorefs.stores.registry import folder_of, is_local, is_object_store, open_bucket, open_plain
from vstorefs.stores.retry import Retrying, ask_again
from vstorefs.versions import records
from vstorefs.versions.layouts.format import MIGRATING, Known, Layout, agreed_format, read_format
from vstorefs.versions.layouts.native import NativeStore
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings, findings, probe

log = logging.getLogger(__name__)

_OPEN_S = 5.0
_NOTE = (
    "the bucket keeps no versions, so vstorefs keeps them; other tools see each file's first version. "
    "To let them see the newest: vstorefs doctor --enable-versioning {url}"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which layout a bucket has, why nothing can be written (empty if it can), and what people should know.

    `store_id`: the store's own, None where nothing was published yet.
    """

    layout: Layout
    why_read_only: str = ""
    note: str = ""
    versioning: Versioning | None = None
    store_id: str | None = None


def open_store(spec: StoreSpec, probes: Probes) -> Store:
    """The store, ready to be asked. Raises: a StoreError where it cannot be used."""
    if not is_object_store(spec.url):
        if is_local(spec):
            _see_that_it_is_mounted(spec, probes)
        return Retrying(open_plain(spec))
    bucket = open_bucket(spec)
    choice = ask_again(lambda: choose(bucket), _OPEN_S)
    return Retrying(with_layout(bucket, choice, probes))


def _see_that_it_is_mounted(spec: StoreSpec, probes: Probes) -> None:
    """An empty directory that was on a file system mounted elsewhere is that of a share that is not mounted.

    Raises: Displaced, rather than show nothing, and take it for the store.
    """
    root = folder_of(spec)
    if not root.is_dir():
        return
    point, kind = mount_of(root)
    known = probes.get(spec.id)
    here = f"on {kind} at {point}"
    before = next(iter(known)) if known is not None else here
    # Of a disk that was mounted deeper than the one before, an empty directory is a new beginning.
    is_deeper = len(point) > len(before.partition(" at ")[2])
    if here != before and not is_deeper and not any(root.iterdir()):
        raise errors.Displaced(
            f"{root} is empty and {here}, and was {before} when it was last used; is its share mounted?",
            store=spec.alias,
            operation="open",
        )
    if known is None or here != before:
        probes.put(spec.id, {here: True})


def with_layout(bucket: Bucket, choice: Choice, probes: Probes) -> NativeStore | PortableStore:
    """A bucket in its layout."""
    longest = records.KEY_BYTES - bucket.prefix_bytes
    if choice.layout is Layout.NATIVE:
        # The key of a directory ends with a slash.
        longest -= 1 + bucket.version_bytes
    capabilities = Capabilities(
        not choice.why_read_only,
        choice.why_read_only,
        choice.note,
        choice.layout.value,
        longest,
    )
    store = bucket.spec.id
    known = Known(probes.store_id(store) or choice.store_id, _noting(probes, store))
    if choice.layout is Layout.NATIVE:
        return NativeStore(bucket, capabilities, known)
    find = partial(_found, bucket, probes)
    return PortableStore(bucket, capabilities, find, known)


def _noting(probes: Probes, store: StoreId) -> Callable[[str], None]:
    """Notes a store's id once, for the other workers of a mount."""
    noted: set[str] = set()

    def note(found: str) -> None:
        if found not in noted:
            probes.put_store_id(store, found)
            noted.add(found)

    return note


def choose(bucket: Bucket) -> Choice:
    """Which layout a bucket has.

    Raises: NotFound (no such bucket), NotSupported (a newer format), Corrupt (a damaged one); a
    StoreError.
    """
    try:
        versioning = bucket.versioning()
    except errors.Denied as error:
        # Wrong credentials are denied this too, and then are told so.
        found = read_format(bucket)
        if found is not None and found.layout == Layout.PORTABLE.value:
            return Choice(Layout.PORTABLE, store_id=found.id)
        return Choice(Layout.NATIVE, why_read_only=error.message)
    found = agreed_format(bucket)
    known = found.id if found is not None else None
    if found is not None and found.layout == MIGRATING:
        why = "the store is being migrated; when that is done, or was stopped, run: vstorefs migrate {}"
        return Choice(
            Layout.PORTABLE,
            why.format(shlex.quote(bucket.spec.url)),
            versioning=versioning,
            store_id=known,
        )
    if found is not None and found.layout not in {one.value for one in Layout}:
        raise errors.NotSupported(
            f"{records.FORMAT_KEY} names a layout {found.layout!r} that this vstorefs does not know; "
            "install a newer vstorefs",
            store=bucket.spec.alias,
            operation="check",
        )
    if versioning is Versioning.SUSPENDED:
        why = (
            "the bucket's versioning is suspended, so a write would overwrite; "
            f"turn it on again with: vstorefs doctor --enable-versioning {shlex.quote(bucket.spec.url)}"
        )
        return Choice(Layout.NATIVE, why, versioning=versioning, store_id=known)
    if found is not None and found.layout == Layout.NATIVE.value:
        why = (
            ""
            if versioning is Versioning.ENABLED
            else "the bucket kept versions once and does not any more, so a write would overwrite; "
            f"turn versioning on with: vstorefs doctor --enable-versioning {shlex.quote(bucket.spec.url)}"
        )
        return Choice(Layout.NATIVE, why, versioning=versioning, store_id=known)
    if found is None and versioning is Versioning.ENABLED:
        return Choice(Layout.NATIVE, versioning=versioning, store_id=known)
    note = _NOTE.format(url=shlex.quote(bucket.spec.url)) if versioning is Versioning.OFF else ""
    return Choice(Layout.PORTABLE, note=note, versioning=versioning, store_id=known)


def _found(bucket: Bucket, probes: Probes) -> Findings:
    """What the bucket holds to, tried where nobody of this host knows it."""
    known = probes.get(bucket.spec.id)
    if known is not None and set(known) == set(asdict(Findings())):
        return Findings(**known)
    found = findings(ask_again(lambda: probe(bucket), _OPEN_S))
    probes.put(bucket.spec.id, asdict(found))
    log.info("%s: probed: %s", bucket.spec.alias, found)
    return found
