"""Verify: versions are read from the store, past the cache, and compared with what is known of them.

Where the store confirms bytes that a record contradicts, the record is what is wrong: that of this host is corrected,
the store's own is told.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator, Mapping

from vstorefs import errors
from vstorefs.checksums import (
    Claimant,
    Claims,
    best_of,
    claims_of_hashes,
    digests_of_hashes,
    judge,
)
from vstorefs.digests import Digests
from vstorefs.model import Content, Hashes, Mark, StoreId, Version
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.versions import records
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Read, Verified, Verify, VerifyOutcome

log = logging.getLogger(__name__)

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
    versions = context.stores.get(request.store).history(request.key)
    return Verified(
        tuple(_verify(context, request.store, one, call) for one in versions if one.id in wanted)
    )


def _verify(context: WorkerContext, store: StoreId, version: Version, call: Call) -> VerifyOutcome:
    for mark, why in _LOST.items():
        if mark in version.marks:
            return VerifyOutcome(version.id, 0, why)
    if _is_link(version):
        return VerifyOutcome(version.id, version.size)
    content = version.content(store)
    known = context.contents.noted(content)
    by_record = claims_of_hashes(Claimant.RECORD, version.hashes)
    try:
        hashes, said = _read(context, content, (*known, *by_record), call)
    except errors.StoreError as error:
        return VerifyOutcome(version.id, 0, f"cannot be read: {error.message}")
    found = digests_of_hashes(hashes)
    if wrong := judge(by_record, found).against:
        return VerifyOutcome(version.id, version.size, _wrong_record(wrong, found))
    corrected = bool(judge(known, found).against)
    if corrected:
        log.warning(
            "%s: what this host had recorded came from a damaged read: its sha256 is %s, by %s",
            version.key,
            hashes.sha256,
            " and ".join(one.claimant.value for one in best_of((*said, *by_record))),
        )
    if (by_record or known) and not corrected:
        return VerifyOutcome(version.id, version.size)
    # What a weak token names may change within the same moment.
    lasts = version.strong or context.clock.wall_ns() - version.mtime_ns > _YOUNG_NS
    if lasts:
        fingerprint = Fingerprint(hashes, read=True)
        context.fingerprints.put(store, version.key, version.token, fingerprint)
    recorded = lasts and not corrected
    return VerifyOutcome(version.id, version.size, recorded=recorded, corrected=corrected)


def _wrong_record(wrong: Claims, found: Mapping[str, str]) -> str:
    """Its bytes are confirmed by its store, else they could not have been read."""
    (one,) = wrong
    return (
        f"its record is wrong, its content is not, by {Claimant.STORE.value}: its {one.algorithm} is "
        f"{found[one.algorithm]} and not {one.digest}, as recorded"
    )


def _is_link(version: Version) -> bool:
    summary = records.decode_summary(version.token)
    return summary is not None and stat.S_ISLNK(summary.mode)


def _read(
    context: WorkerContext, content: Content, known: Claims, call: Call
) -> tuple[Hashes, Claims]:
    """The hashes of what the store has, and what it says. Raises: Corrupt where it is something else; a StoreError."""
    said: Claims = ()

    def told(claims: Claims) -> None:
        nonlocal said
        said = claims

    def take(blocks: Iterator[bytes]) -> Hashes:
        digests = Digests()
        came = 0
        try:
            for block in blocks:
                digests.update(bytes(block))
                came += len(block)
                if came >= _TOLD:
                    call.report(Read(came))
                    came = 0
        finally:
            hashes = digests.finish()
        call.report(Read(came))
        return hashes

    return context.contents.reading(content, told, known).twice(take), said
