"""What a bucket holds to: found out by trying, as look-alikes accept conditions and ignore them.

Every trial is made on `.vstorefs/format`, which is there and never changes: a condition that holds
refuses the request, and one that is ignored writes the same bytes once more. So nothing is left
behind, and credentials that may only create are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vstorefs import errors
from vstorefs.model import Token
from vstorefs.stores.bucket import Bucket
from vstorefs.versions.metadata import JSON
from vstorefs.versions.records import FORMAT_KEY

_NOBODY = Token("0" * 32)


@dataclass(frozen=True, slots=True)
class Findings:
    """What holds. `put`, `parts`, `copy`: "only if absent" for an object in one request, in parts, and copied.

    `pinned`: a read of other content than its token names is refused.
    """

    put: bool = False
    parts: bool = False
    copy: bool = False
    pinned: bool = False


class Conditions:
    """What one bucket holds to: found out once, before the first publication; nothing, until then."""

    def __init__(self, bucket: Bucket, find: Callable[[], Findings]) -> None:
        self.found = Findings()
        self._bucket = bucket
        self._find = find
        self._is_found = False

    def find_out(self) -> None:
        """See that it is known. Raises: as `find`."""
        if not self._is_found:
            self.found = self._find()
            self._is_found = True

    def hold_for(self, size_bytes: int) -> bool:
        """Whether "only if absent" holds for content of a size."""
        whole = size_bytes <= self._bucket.whole_bytes
        return self.found.put if whole else self.found.parts


@dataclass(frozen=True, slots=True)
class Trial:
    """One capability that was probed: its name, the result in words, whether it holds, and what follows."""

    field: str
    tried: str
    answer: str
    holds: bool
    follows: str


def probe(bucket: Bucket, name: str = FORMAT_KEY) -> tuple[Trial, ...]:
    """Try everything on an object that is there.

    Raises: Unavailable, Throttled, where nothing could be found out.
    """
    data = bucket.get(name)
    trials = (
        _refused(
            "put",
            "conditional writes",
            lambda: bucket.put(name, data, metadata={}, content_type=JSON, absent=True),
            "first versions are stored under their plain keys, where other tools see them",
            "first versions are stored in .vstorefs/content/, as concurrent writers could overwrite each other",
        ),
        _refused(
            "parts",
            "conditional multipart uploads",
            lambda: bucket.put(
                name, data, metadata={}, content_type=JSON, absent=True, in_parts=True
            ),
            "the same for large files",
            "large files are stored in .vstorefs/content/ from their first version on",
        ),
        _refused(
            "copy",
            "conditional copies",
            lambda: bucket.copy(
                name,
                name,
                # One of the trials before may have put it there anew.
                source=replace(bucket.stat(name), version=None),
                metadata={},
                content_type=JSON,
                absent=True,
            ),
            "renamed files are stored under their new plain keys",
            "small renamed files are uploaded again; large ones are stored in .vstorefs/content/",
        ),
        _refused(
            "pinned",
            "conditional reads",
            lambda: list(bucket.read(name, 0, 1, token=_NOBODY)),
            "a read never mixes two contents",
            "the ETag of each response is compared, so that a read never mixes two contents",
            refusal=errors.Changed,
        ),
    )
    return trials if bucket.atomic else tuple(_not_relied_on(trial) for trial in trials)


def _not_relied_on(trial: Trial) -> Trial:
    """Where conditions are looked at before a request and not when it takes effect."""
    if trial.field == "pinned" or not trial.holds:
        return trial
    return replace(
        trial,
        answer="not supported: not atomic, concurrent writers could all succeed",
        holds=False,
        follows="first versions are stored in .vstorefs/content/, as concurrent writers could overwrite each other",
    )


def findings(trials: tuple[Trial, ...]) -> Findings:
    """What follows from all trials."""
    return Findings(**{trial.field: trial.holds for trial in trials})


def _refused(
    field: str,
    tried: str,
    request: Callable[[], object],
    yes: str,
    no: str,
    *,
    refusal: type[errors.StoreError] = errors.AlreadyExists,
) -> Trial:
    try:
        request()
    except refusal:
        return Trial(field, tried, "supported", True, yes)
    except (errors.Unavailable, errors.Throttled):
        raise
    except errors.StoreError as error:
        return Trial(field, tried, f"not supported: {error.message}", False, no)
    return Trial(field, tried, "not supported: the condition was ignored", False, no)
