"""The family of errors, and the one table that maps each to errno and to an exit status.

Everything below `stores/` raises these and nothing else on purpose. An SDK's own errors are
translated at the border, in the module of that kind of store.

    VstorefsError
    ├── StoreError                 carries store alias, key and operation
    │   ├── NotFound               no such key, version, bucket or folder
    │   ├── AlreadyExists          a create met something
    │   ├── Changed                the content that a token names is no longer there
    │   ├── Denied                 no permission, or no credentials
    │   ├── Archived               in cold storage; must be restored first
    │   ├── Throttled              the store asks to slow down        (retried)
    │   ├── Unavailable            no answer, or a server-side error  (retried)
    │   │   └── Displaced          what was mounted is not there, or something else in its place (told at once)
    │   ├── NotSupported           this store cannot do it
    │   ├── OutcomeUnknown         a change may have been promised, and carried out by the next mount
    │   └── Corrupt                what came does not match its length or checksum
    ├── CacheError                 the cache cannot serve; work goes on without it
    ├── JournalError               the journal cannot take a promise
    └── UsageError                 the user's input: exit status 2
        └── NotAgreed              a project file leads credentials where the user has not agreed to

A `StoreError` also says where the failure lies (`Origin`): only what is the store's own counts against a store.
"""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass
from typing import ClassVar


class VstorefsError(Exception):
    """Any failure that a user is told about: what, why, what to do."""


class Origin(enum.Enum):
    """Where a failure lies, and so what must wait for its end, and what goes on meanwhile."""

    KEY = "what was asked about; the store answers, for all that is known"
    STORE = "the store as a whole: it cannot be reached"
    WAIT = "nobody answered in time, which says nothing of who is to blame"
    DISK = "a disk of this host: its journal, its state, its staging files"
    US = "vstorefs itself"

    @property
    def blames_store(self) -> bool:
        """Whether such a failure is a reason to look if the store answers."""
        return self not in {Origin.DISK, Origin.US}


class StoreError(VstorefsError):
    """A store's refusal or failure, with where it happened.

    `message` has three parts where they are known: what, why, what to do. `number` is the errno that
    a program is to see where the table's is not the one.
    """

    usual_origin: ClassVar[Origin] = Origin.KEY
    """Where such a failure lies, unless it is said."""

    def __init__(
        self,
        message: str,
        *,
        store: str = "",
        key: str = "",
        operation: str = "",
        origin: Origin | None = None,
        number: int | None = None,
    ) -> None:
        super().__init__(message)
        self.number = number
        self.origin = origin or self.usual_origin
        self.message = message
        self.store = store
        self.key = key
        self.operation = operation

    def __str__(self) -> str:
        where = ":".join(part for part in (self.store, self.key) if part)
        head = " ".join(part for part in (self.operation, where) if part)
        return f"{head}: {self.message}" if head else self.message


class NotFound(StoreError):
    """No such key, version, bucket or folder."""


class AlreadyExists(StoreError):
    """A create-only-if-absent met something."""


class Changed(StoreError):
    """The content that a token names is no longer in the store."""


class Denied(StoreError):
    """No permission or no credentials."""


class Archived(StoreError):
    """The content lies in cold storage."""


class Throttled(StoreError):
    """The store asks to slow down."""


class Unavailable(StoreError):
    """No answer, or a failure on the store's side."""


class Displaced(Unavailable):
    """What the store was opened on is not there: a share not mounted, another disk, a bucket that was deleted.

    Somebody has to act, so nobody waits for it; what was promised is sent once it is back. Nobody but the store is
    to blame.
    """

    usual_origin = Origin.STORE


class NotSupported(StoreError):
    """This store cannot do what was asked."""


class OutcomeUnknown(StoreError):
    """Whether the journal has a change cannot be read, so it may be carried out by the next mount."""

    usual_origin = Origin.US


class Corrupt(StoreError):
    """Content does not match its length or its checksum."""


class CacheError(VstorefsError):
    """The cache cannot serve or take this; the work goes on uncached."""


class JournalError(VstorefsError):
    """The journal could not take an entry, so nothing was promised; `number` is the disk's errno, if it gave one."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class UsageError(VstorefsError):
    """Something the user typed or configured cannot work."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a project file leads what could be used again: `what` of which store, and the address that people see.

    `mark` stands for the address where that alone does not tell one from another. `is_plain`: unencrypted.
    """

    what: str
    alias: str
    scheme: str
    address: str
    is_plain: bool = False
    mark: str = ""


class NotAgreed(UsageError):
    """A project file leads credentials where the user has not agreed to; nothing has been sent."""

    def __init__(self, file: str, ways: tuple[Way, ...]) -> None:
        self.file = file
        self.ways = ways
        named = ", ".join(dict.fromkeys(f"{way.address} ({way.what})" for way in ways))
        plain = any(way.is_plain for way in ways)
        option = "--trust-http, as it goes there unencrypted" if plain else "--trust"
        super().__init__(
            f"{file} would send your credentials to {named}, and you have not agreed to that; nothing was sent. If you "
            f"know that address, agree once with {option}"
        )


RETRIED: tuple[type[StoreError], ...] = (Throttled, Unavailable)
"""What may pass by itself, but for `Displaced`."""


def may_pass(error: BaseException) -> bool:
    """Whether the same question, asked again soon, may get another answer without anybody doing something."""
    return isinstance(error, RETRIED) and not isinstance(error, Displaced)


ERRNO: dict[type[BaseException], int] = {
    NotFound: errno.ENOENT,
    AlreadyExists: errno.EEXIST,
    Changed: errno.ESTALE,
    Denied: errno.EACCES,
    Archived: errno.EIO,
    Throttled: errno.EIO,
    Unavailable: errno.EIO,
    NotSupported: errno.EOPNOTSUPP,
    Corrupt: errno.EIO,
}

EXIT_FAILURE = 1
EXIT_USAGE = 2


LASTING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.ENAMETOOLONG}
)
"""What a disk says that waiting does not cure: it is told at once, as it is."""


def of_disk(message: str, number: int | None, *, key: str = "", operation: str = "") -> StoreError:
    """What a disk of this host failed at: told at once where waiting does not help, else Unavailable."""
    kind = StoreError if number in LASTING else Unavailable
    return kind(message, key=key, operation=operation, origin=Origin.DISK, number=number)


def to_errno(error: BaseException) -> int:
    """The errno that a program on the mount sees for `error`; EIO where nothing says another."""
    if isinstance(error, StoreError | JournalError) and error.number is not None:
        return error.number
    for kind in type(error).__mro__:
        if kind in ERRNO:
            return ERRNO[kind]
    return errno.EIO


def to_exit_status(error: BaseException) -> int:
    """The exit status of the command line for `error`: 2 for the user's input, else 1."""
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILURE


def internal_text(error: BaseException) -> str:
    """What people are told of an error that is none of the family: a fault of vstorefs itself."""
    return f"internal error ({type(error).__name__}); the log has the traceback"


#: Errors that cross a process border travel by the name of their class.
BY_NAME: dict[str, type[StoreError]] = {
    kind.__name__: kind
    for kind in (
        NotFound,
        AlreadyExists,
        Changed,
        Denied,
        Archived,
        Throttled,
        Unavailable,
        Displaced,
        NotSupported,
        OutcomeUnknown,
        Corrupt,
    )
}
