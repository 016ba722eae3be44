"""`.vstorefs/format`: which layout a store has, agreed upon once by all hosts that write to it."""

from __future__ import annotations

import errno
import logging
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from vstorefs import errors
from vstorefs.stores.bucket import Bucket, Versioning
from vstorefs.stores.ids import derived_id, new_id
from vstorefs.versions import metadata, records

log = logging.getLogger(__name__)

_AGREED_S = 10.0


class Layout(Enum):
    """Where the versions of a store lie; values stand in `.vstorefs/format`."""

    NATIVE = "native"
    PORTABLE = "portable"


MIGRATING = "migrating"
"""Stands in `.vstorefs/format` while a store moves to the native layout, and nobody else may write."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a store when it is opened: its id, None where it has none yet; `note` is told it once agreed."""

    id: str | None
    note: Callable[[str], None]


NOBODY_KNOWS = Known(None, lambda _: None)
"""Of a store that nobody has opened before."""


class Agreement:
    """What one host goes by in one store. `id` is the store's, None until it is known.

    `known`: its id, by `Known.id`. A store that has another one since was deleted and made anew, and is not written to.
    """

    def __init__(self, bucket: Bucket, layout: Layout, known: Known = NOBODY_KNOWS) -> None:
        self.id = self._noted = known.id
        self._note = known.note
        self._bucket = bucket
        self._layout = layout
        self._agreed_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def store_id(self) -> str:
        """The store's id, once `settle` has returned."""
        assert self.id is not None
        return self.id

    def agree(self) -> None:
        """See that the format is there and says this host's layout, before anything is published.

        Raises: Denied where it cannot be written, Changed where another layout was chosen meanwhile, Displaced where
        the bucket was deleted or made anew, NotSupported where it keeps no versions any more.
        """
        with self._lock:
            now = time.monotonic()
            if self.id is None or now - self._agreed_at > _AGREED_S:
                if not self._bucket.keeps(None):
                    self.see_that_versions_stay()
                self.id, self._agreed_at = self._agree(), now
                if self.id != self._noted:
                    # It is told once: to note it is a write to disk.
                    self._note(self.id)
                    self._noted = self.id

    def see_that_versions_stay(self) -> None:
        """In the native layout: see that the bucket keeps versions now. Raises: NotSupported; a StoreError."""
        if self._layout is not Layout.NATIVE:
            return
        try:
            said = self._bucket.versioning()
        except errors.NotFound as error:
            raise self._displaced(error.message) from error
        if said is not Versioning.ENABLED:
            raise errors.NotSupported(
                f"the bucket's versioning is {said.value}, so a write would overwrite; turn it on again with: "
                f"vstorefs doctor --enable-versioning {shlex.quote(self._bucket.spec.url)}",
                store=self._bucket.spec.alias,
                operation="publish",
                origin=errors.Origin.STORE,
                number=errno.EROFS,
            )

    def look(self) -> None:
        """Learn the store's id, where it has one yet. Raises: a StoreError."""
        if self.id is None:
            found = agreed_format(self._bucket)
            self.id = found.id if found is not None else None

    def _agree(self) -> str:
        """The store's id, once its format says the layout that this host goes by."""
        found = read_format(self._bucket)
        if found is None and self.id is None:
            self._propose()
            found = read_format(self._bucket)
        if found is not None and found.id != self.id:
            found = self._settled(found)
        if self.id is not None and (found is None or found.id != self.id):
            raise self._displaced("it is not the bucket that was mounted, but was made anew")
        if found is None or found.layout != self._layout.value:
            raise errors.Changed(
                "the store's layout was changed since it was mounted; mount it again",
                store=self._bucket.spec.alias,
                operation="publish",
            )
        return found.id

    def _propose(self) -> None:
        """Say this host's layout, where no host has said one."""
        self._say(records.encode_format(self._layout.value, self._new_id()), absent=True)

    def _settled(self, found: records.Format) -> records.Format:
        """What hosts agree upon. It is put on top where another host's came later and hides it."""
        first = first_format(self._bucket, found)
        if first.id != found.id:
            self._say(records.encode_format(first.layout, first.id), absent=False)
        return first

    def _say(self, data: bytes, *, absent: bool) -> None:
        try:
            self._bucket.put(
                records.FORMAT_KEY,
                data,
                metadata={},
                content_type=metadata.JSON,
                absent=absent,
            )
        except errors.AlreadyExists:
            log.info("%s: another host chose its layout at the same time", self._bucket.spec.alias)

    def _displaced(self, why: str) -> errors.Displaced:
        return errors.Displaced(
            f"{why}; mount it again", store=self._bucket.spec.alias, operation="publish"
        )

    def _new_id(self) -> str:
        """A store id; where two hosts could both believe that theirs was taken, the same one for both."""
        birth = self._bucket.birth()
        return derived_id(birth) if birth else new_id()


def read_format(bucket: Bucket) -> records.Format | None:
    """What `.vstorefs/format` says now; None where there is none. Whose id holds, `agreed_format` says.

    Raises: NotSupported for a newer one, Corrupt for a damaged one; a StoreError.
    """
    try:
        data = bucket.get(records.FORMAT_KEY)
    except errors.NotFound:
        return None
    return _decoded(bucket, data)


def agreed_format(bucket: Bucket) -> records.Format | None:
    """As `read_format`, with the id that all hosts go by."""
    found = read_format(bucket)
    return first_format(bucket, found) if found is not None else None


def first_format(bucket: Bucket, found: records.Format) -> records.Format:
    """Of what several hosts said at once, on a server that lets all of them: what came first, as all of them see it.

    `found`: what was said last; no more can be seen without versions, or by those who may not list them. Raises: as
    `read_format`.
    """
    if found.layout != Layout.NATIVE.value:
        return found
    try:
        pages = [*bucket.versions(records.FORMAT_KEY)]
    except errors.Denied:
        return found
    said = [one for page in pages for one in page if one.name == records.FORMAT_KEY]
    first = found
    # The newest is known; behind a deletion or another layout is an earlier store's.
    for one in said[1:]:
        if one.token is None:
            break
        content = b"".join(bucket.read(one.name, 0, one.size, version=one.version))
        earlier = _decoded(bucket, content)
        if earlier.layout != Layout.NATIVE.value:
            break
        first = earlier
    return first


def _decoded(bucket: Bucket, data: bytes) -> records.Format:
    found = records.decode_format(data)
    if found is None:
        raise errors.Corrupt(
            f"{records.FORMAT_KEY} is damaged; put it back from a copy, or see docs/reference/formats.md",
            store=bucket.spec.alias,
            operation="check",
        )
    if found.format > records.FORMAT:
        raise errors.NotSupported(
            f"the store has format {found.format}, and this vstorefs knows format {records.FORMAT}; "
            "install a newer vstorefs",
            store=bucket.spec.alias,
            operation="check",
        )
    return found
