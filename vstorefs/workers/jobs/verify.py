"""Verify: versions are read from the store, past the cache, and compared with the hashes that are recorded."""

from __future__ import annotations

import stat

from vstorefs import errors
from vstorefs.digests import Digests
from vstorefs.model import Hashes, Mark, StoreId, Version
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.versions import records
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import history_of
from vstorefs.workers.messages import Read, Verified, Verify, VerifyOutcome

_TOLD = 8 << 20
_YOUNG_NS = 2_000_000_000
_LOST = {
    Mark.REPLACED_OUTSIDE: "another program replaced it, and its bytes are gone",
    Mark.CHANGED_AFTER: "it was changed after it was superseded",
    Mark.DAMAGED: "its record is damaged",
}


def verify(context: WorkerContext, request: Verify, call: Call) -> Verified:
    """Read some versions of a path. Raises: a StoreError where its history cannot be had."""
    wanted = set(request.ids)
    versions = history_of(context, request.store, request.key)
    return Verified(
        tuple(_verify(context, request.store, one, call) for one in versions if one.id in wanted)
    )


def _verify(context: WorkerContext, store: StoreId, version: Version, call: Call) -> VerifyOutcome:
    for mark, why in _LOST.items():
        if mark in version.marks:
            return VerifyOutcome(version.id, 0, why)
    if _is_link(version):
        return VerifyOutcome(version.id, version.size)
    try:
        hashes = _read(context, store, version, call)
    except errors.StoreError as error:
        return VerifyOutcome(version.id, 0, f"cannot be read: {error.message}")
    known = context.fingerprints.get(store, version.key, version.token)
    of_host = known.hashes if known is not None else None
    for recorded in (version.hashes, of_host):
        if recorded is not None and recorded != hashes:
            why = f"its sha256 is {hashes.sha256} and not {recorded.sha256}, as recorded"
            return VerifyOutcome(version.id, version.size, why)
    if version.hashes is not None:
        return VerifyOutcome(version.id, version.size)
    # What a weak token names may change within the same moment.
    lasts = version.strong or context.clock.wall_ns() - version.mtime_ns > _YOUNG_NS
    if lasts:
        found = Fingerprint(hashes, read=True)
        context.fingerprints.put(store, version.key, version.token, found)
    return VerifyOutcome(version.id, version.size, recorded=lasts)


def _is_link(version: Version) -> bool:
    summary = records.decode_summary(version.token)
    return summary is not None and stat.S_ISLNK(summary.mode)


def _read(context: WorkerContext, store: StoreId, version: Version, call: Call) -> Hashes:
    """The hashes of what the store has. Raises: a StoreError."""
    digests = Digests()
    came = told = 0
    try:
        for block in context.stores.get(store).read(
            version.key, version.token, 0, version.size, version=version.id
        ):
            digests.update(bytes(block))
            came += len(block)
            if came - told >= _TOLD:
                call.report(Read(came - told))
                told = came
    finally:
        hashes = digests.finish()
    call.report(Read(came - told))
    if came != version.size:
        raise errors.Corrupt(f"{came} bytes came of {version.size}", key=version.key)
    return hashes
