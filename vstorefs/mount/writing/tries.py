"""How often an entry is tried before it is set aside: where the store or a disk is at fault, it waits for that.

    what failed                                              tries
    the entry itself: a name too long, damaged content, a    3, a moment apart
      record that cannot be made, a fault of vstorefs
    the store refuses it, and answers a look                 3, a moment apart
    the same, for want of permission                         10, a minute apart: that may be given back
    the server answers this key with 5xx or 429, while       12, within some three minutes
      others get through
    a disk is full or read-only, a store that is away        without end: nothing is wrong with the entry

Pure.
"""

from __future__ import annotations

import enum
import errno

from vstorefs import errors

_OF_THE_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EFBIG})
_WITHOUT_END = (errors.Origin.STORE, errors.Origin.WAIT, errors.Origin.DISK)


class Fault(enum.Enum):
    """What a failed try says of its entry, with how often such an entry is tried; None: until it succeeds."""

    OWN = 3, "it lies in the entry, whatever state its store is in"
    REFUSED = 3, "the store will not have it"
    DENIED = 10, "the store will not have it from this user"
    UNANSWERED = 12, "the server fails at it"
    NONE = None, "nothing is wrong with it"

    def __init__(self, tries: int | None, meaning: str) -> None:
        self.tries = tries
        self.meaning = meaning


def fault_of(error: errors.VstorefsError) -> Fault:
    """What a failure says of the entry that met it."""
    if not isinstance(error, errors.StoreError) or error.number in _OF_THE_NAME:
        return Fault.OWN
    if error.origin in _WITHOUT_END or error.number in errors.LASTING:
        return Fault.NONE
    if error.origin is errors.Origin.US or isinstance(error, errors.Corrupt):
        return Fault.OWN
    if isinstance(error, errors.RETRIED):
        return Fault.UNANSWERED
    return Fault.DENIED if isinstance(error, errors.Denied) else Fault.REFUSED
