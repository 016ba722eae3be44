"""What a `file` store's disk says, in the family's words, and as a program sees it."""

from __future__ import annotations

import errno

import pytest

from vstorefs import errors
from vstorefs.stores.local.disk import translated


@pytest.mark.parametrize(
    ("number", "kind", "seen"),
    [
        (errno.ENOENT, errors.NotFound, errno.ENOENT),
        (errno.EPERM, errors.Denied, errno.EACCES),
        (errno.EROFS, errors.Denied, errno.EROFS),
        (errno.ENAMETOOLONG, errors.NotSupported, errno.ENAMETOOLONG),
        (errno.ENOSPC, errors.StoreError, errno.ENOSPC),
        (errno.EDQUOT, errors.StoreError, errno.EDQUOT),
        (errno.EFBIG, errors.StoreError, errno.EFBIG),
        (errno.EIO, errors.Unavailable, errno.EIO),
        (errno.ESTALE, errors.Unavailable, errno.EIO),
    ],
)
def test_errors_of_the_disk(number: int, kind: type[errors.StoreError], seen: int) -> None:
    with pytest.raises(errors.StoreError) as caught, translated("share", "f", "put"):
        raise OSError(number, "no")
    assert type(caught.value) is kind
    assert errors.to_errno(caught.value) == seen
    is_asked_again = isinstance(caught.value, errors.RETRIED)
    assert is_asked_again == (kind is errors.Unavailable), "a full disk is not asked again"
