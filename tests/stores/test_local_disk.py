"""What a `file` store's disk says, in the family's words, and as a program sees it."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vstorefs import errors
from vstorefs.model import StoreId, StoreSpec
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.store import LocalStore


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


def test_many_who_open_an_empty_store_at_once_can_all_write(tmp_path: Path) -> None:
    """Each tries its disk in the hidden directory, and takes that away again where it was the first."""
    with ThreadPoolExecutor(8) as threads:
        for number in range(100):
            root = tmp_path / str(number)
            root.mkdir()
            spec = StoreSpec(StoreId("s"), "s", root.as_uri())
            stores = [LocalStore(spec) for _ in range(8)]
            for able in threads.map(lambda store: store.capabilities(), stores):
                assert able.why_read_only == ""
