"""Has an input changed since it was last used? Pure: what is compared with what, and the words for it.

"Differs" means content. Equal tokens, or equal sha256 sums, are no change, whatever else differs; different sizes or
sums are one; where neither is known of one side, it may have changed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from vstorefs import units
from vstorefs.ledger.manifest import (
    SHORT_ID,
    Acknowledgement,
    ChangeWarning,
    Earlier,
    Seen,
    WarningKind,
)
from vstorefs.logs import visible
from vstorefs.model import Token


class Difference(Enum):
    """What is known of two contents."""

    NONE = "none"
    SURE = "sure"
    OPEN = "open"


def compare(before: Seen, now: Seen) -> Difference:
    """Whether two contents of one path differ."""
    if before.token == now.token and before.strong and now.strong:
        return Difference.NONE
    if before.hashes is not None and now.hashes is not None:
        same = before.hashes.sha256 == now.hashes.sha256
        return Difference.NONE if same else Difference.SURE
    if before.size != now.size:
        return Difference.SURE
    # A weak token comes from size and times: the same one is as good as it gets.
    return Difference.NONE if before.token == now.token else Difference.OPEN


def is_accepted(acknowledged: Acknowledgement | None, now: Seen | None) -> bool:
    """Whether somebody has accepted exactly this state of a path."""
    if acknowledged is None:
        return False
    if now is None or acknowledged.content is None:
        return now is None and acknowledged.content is None
    return compare(acknowledged.content, now) is Difference.NONE


def is_ended(acknowledged: Acknowledgement | None, warning: ChangeWarning) -> bool:
    """Whether somebody's acknowledgement is an answer to a warning.

    Clocks have no say: it is one where it names the warning, or accepts what the warning is about.
    """
    if acknowledged is None:
        return False
    if (warning.run, warning.time) in acknowledged.ends:
        return True
    torn = warning.kind is WarningKind.CHANGED_WHILE_READ
    return not torn and is_accepted(acknowledged, warning.now)


def merged(one: Acknowledgement | None, other: Acknowledgement) -> Acknowledgement:
    """The newer of two acknowledgements of a path, with all that both end."""
    if one is None:
        return other
    ends = tuple(dict.fromkeys((*one.ends, *other.ends)))
    newer = max(one, other, key=lambda ack: (ack.sequence, ack.time, ack.id))
    return replace(newer, ends=ends)


def reference(
    used: Earlier | None, made: Earlier | None, now: Seen
) -> tuple[Earlier, WarningKind, Difference] | None:
    """What an input differs from, and what kind of warning that makes; None where nothing differs.

    It is compared with the newest use of its path; and where a run has made a content of it since, with that.
    """
    if used is not None:
        difference = compare(used.content, now)
        if difference is not Difference.NONE:
            return used, WarningKind.CHANGED, difference
    if made is not None and (used is None or order(made) > order(used)):
        difference = compare(made.content, now)
        if difference is not Difference.NONE:
            return made, WarningKind.REPLACED, difference
    return None


def order(earlier: Earlier) -> tuple[int, datetime]:
    """Uses stand by their sequences; clocks decide between those that knew nothing of each other."""
    return earlier.sequence, earlier.time


def text(warning: ChangeWarning) -> str:
    """A warning in words, without its path."""
    before = warning.before
    now = f"; now {content(warning.now)}" if warning.now is not None else ""
    if before is None:
        return warning.kind.value + now
    short = before.run[:SHORT_ID]
    run = f"{short} ({visible(before.run_name)})" if before.run_name else short
    when = f"{units.moment(before.time)} UTC"
    if warning.kind is WarningKind.REPLACED:
        head = f"{warning.kind.value} since run {run} made it on {when} on {before.host}"
    else:
        head = f"{warning.kind.value} since run {run} on {when} on {before.host}"
    if warning.kind is WarningKind.CHANGED_WHILE_READ:
        head = f"{warning.kind.value} by run {run}, which began with it on {when}"
    lost = ", which is kept nowhere any more" if warning.lost else ""
    return f"{head}: then {content(before.content)}{lost}{now}"


def is_same(one: ChangeWarning, other: ChangeWarning) -> bool:
    """Whether two runs were warned of the same change."""
    return one.kind is other.kind and _tokens(one) == _tokens(other)


def _tokens(warning: ChangeWarning) -> tuple[Token | None, Token | None]:
    before, now = warning.before, warning.now
    return (
        before.content.token if before is not None else None,
        now.token if now is not None else None,
    )


def content(seen: Seen) -> str:
    """A content in words."""
    hashes = f"sha256 {seen.hashes.sha256}" if seen.hashes is not None else "hashes not known"
    return f"version {seen.version or seen.token}, {units.count(seen.size, 'byte')}, {hashes}"


def skew(host: str, seconds: int) -> str:
    """A wrong clock in words."""
    way = "ahead of" if seconds > 0 else "behind"
    return f"the clock of host {host} is {units.duration(abs(seconds))} {way} the default store's"


def line(warning: ChangeWarning) -> str:
    """A warning with its path, for lists."""
    return f"{visible(warning.place.shown)}: warning: {text(warning)}"


def as_dict(warning: ChangeWarning) -> dict[str, Any]:
    """A warning as programs get it in JSON, with its words and its path in the mount."""
    about: dict[str, Any] = msgspec.to_builtins(warning)
    return about | {"text": text(warning), "path": warning.place.shown}
