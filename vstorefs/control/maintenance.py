"""What `vstorefs purge` and `vstorefs verify` ask of a mount, batch by batch. Paths are relative to the mount point."""

from __future__ import annotations

import msgspec

from vstorefs.control.protocol import Request
from vstorefs.versions.history.selection import Selection
from vstorefs.versions.history.texts import VersionItem


class FoundPaths(msgspec.Struct, frozen=True):
    """Files that have, or had, versions, and the identities of the stores that they are in."""

    paths: tuple[str, ...]
    stores: tuple[str, ...]


class FindPaths(Request[FoundPaths], frozen=True, tag="paths"):
    """Which files are, or were, at or below a path? Refused `to_purge` where nothing may go now."""

    path: str
    to_purge: bool


class ChosenVersion(VersionItem, frozen=True, kw_only=True):
    """A version that a purge or a verify is about; `purging` where its purge was stopped."""

    path: str
    store: str
    key: str
    purging: bool


class ChosenVersions(msgspec.Struct, frozen=True):
    """Path after path, oldest first."""

    versions: tuple[ChosenVersion, ...]


class ChooseVersions(Request[ChosenVersions], frozen=True, tag="chosen"):
    """Which versions of some files does a purge remove? Without a selection: all that have content."""

    paths: tuple[str, ...]
    selection: Selection | None = None


class Named(msgspec.Struct, frozen=True):
    """One version of one path."""

    path: str
    id: str


class PurgeOutcome(msgspec.Struct, frozen=True):
    """What became of one version: `error` is why it stays, `kept` what else has its bytes."""

    path: str
    id: str
    error: str
    kept: str


class PurgeOutcomes(msgspec.Struct, frozen=True):
    """One for each version."""

    outcomes: tuple[PurgeOutcome, ...]


class PurgeVersions(Request[PurgeOutcomes], frozen=True, tag="purge"):
    """Remove versions for good; `by` whom and `at` when (nanoseconds) stays in the history."""

    versions: tuple[Named, ...]
    by: str
    at: int


class VerifyResult(msgspec.Struct, frozen=True):
    """What was read of one version; `recorded`: it had no hashes, and has them now; `corrected`: it had wrong ones."""

    id: str
    size: int
    problem: str
    recorded: bool
    corrected: bool


class VerifyResults(msgspec.Struct, frozen=True):
    """One for each version that the store has."""

    results: tuple[VerifyResult, ...]


class VerifyVersions(Request[VerifyResults], frozen=True, tag="verify"):
    """Read versions of a path, and compare their hashes."""

    path: str
    ids: tuple[str, ...]


class VerifiedBytes(msgspec.Struct, frozen=True):
    """How much has been read, since the mount began."""

    bytes: int


class CountVerified(Request[VerifiedBytes], frozen=True, tag="verified"):
    """How far is what is being verified?"""
