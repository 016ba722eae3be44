"""A project: the stores of one mount and how it works with them. Where one comes from: `projectsources.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors
from vstorefs.model import Key, StoreSpec

WHOLE_BELOW = 256 << 20
WHOLE_PART = 0.5


@dataclass(frozen=True, slots=True)
class Project:
    """What a mount shows.

    `single`: one store, at the root; otherwise each is a directory at the top.
    """

    name: str
    stores: tuple[StoreSpec, ...]
    default: str
    single: bool
    write: str = "through"
    scratch: tuple[str, ...] = ()
    cache_bytes: int | None = None
    hash_whole_below: int = WHOLE_BELOW
    hash_whole_above_part: float = WHOLE_PART

    @property
    def default_store(self) -> StoreSpec:
        """The store that the project's own records go to; it stands for the project."""
        return next(spec for spec in self.stores if spec.alias == self.default)

    def alias_of(self, spec: StoreSpec) -> str:
        """What a store's directory is called in the mount; empty where it is the whole mount."""
        return "" if self.single else spec.alias

    def locate(self, path: str) -> tuple[StoreSpec, Key]:
        """The store and the key of a path in the mount. Raises: UsageError where no store has that name."""
        if self.single:
            return self.stores[0], Key(path)
        alias, _, key = path.partition("/")
        for spec in self.stores:
            if spec.alias == alias:
                return spec, Key(key)
        known = ", ".join(spec.alias for spec in self.stores)
        what = (
            f"{path!r} is in no store of the project" if path else "the top is in no store itself"
        )
        raise errors.UsageError(f"{what}; name a path in one of its stores: {known}")


def data_home(environ: Mapping[str, str]) -> Path:
    """The user's data directory for vstorefs."""
    base = environ.get("XDG_DATA_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".local/share"
    )
    return Path(base) / "vstorefs"


def state_home(environ: Mapping[str, str]) -> Path:
    """Where this user's state lies, if nobody says otherwise."""
    base = environ.get("XDG_STATE_HOME") or str(
        Path(environ.get("HOME", "~")).expanduser() / ".local/state"
    )
    return (Path(base) / "vstorefs").absolute()
