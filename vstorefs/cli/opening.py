"""A store named on the command line, asked without a mount."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors
from vstorefs.cli import folders
from vstorefs.model import StoreSpec
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.registry import is_local, is_object_store, open_bucket, resolve
from vstorefs.versions.layouts.opening import open_store


@dataclass(frozen=True, slots=True)
class Opened:
    """A store and this host's state."""

    spec: StoreSpec
    state: State
    state_dir: Path

    def store(self) -> Store:
        """The store in its layout. Raises: a StoreError."""
        return open_store(self.spec, Probes(self.state))

    def bucket(self, purpose: str) -> Bucket:
        """The bucket below. Raises: UsageError where the store is none."""
        if is_local(self.spec):
            raise errors.UsageError(
                f"{self.spec.url} is a directory, which always keeps versions; {purpose} works on buckets only"
            )
        if not is_object_store(self.spec.url):
            raise errors.UsageError(
                f"{self.spec.url} is read-only and keeps no versions; {purpose} works on buckets only"
            )
        return open_bucket(self.spec)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a store."""
    parser.add_argument(
        "url", metavar="URL", help="the store, such as s3://BUCKET/PREFIX or file:///DIRECTORY"
    )
    add_state_dir(parser)


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    """The option that moves the state."""
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="the state directory of this host (default: ~/.local/state/vstorefs)",
    )


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Opened]:
    """The store that the arguments name. Raises: UsageError."""
    spec = resolve("store", options.url, environ=os.environ)
    folder = folders.state_dir(options.state_dir)
    state = State.open(folder)
    try:
        yield Opened(spec, state, folder)
    finally:
        state.close()
