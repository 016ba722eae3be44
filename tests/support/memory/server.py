"""A server of buckets in memory, and its row for the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from tests.support.memory.errors import Refused, translated
from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket, Step, at_once
from vstorefs.model import StoreSpec
from vstorefs.stores import addresses, registry
from vstorefs.stores.bucket import Versioning


@dataclass
class MemoryServer:
    """Shelves by the names of their buckets; `step` decides about every request to any of them."""

    step: Step = at_once
    shelves: dict[str, Shelf] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def bucket(self, name: str, *, versioned: bool = True) -> Shelf:
        """A new bucket."""
        made = Shelf(Versioning.ENABLED if versioned else Versioning.OFF)
        self.shelves[name] = made
        return made

    def open(self, spec: StoreSpec) -> MemoryBucket:
        """What the registry opens. Raises: NotFound."""
        name, _ = addresses.bucket_and_prefix(spec.url)
        with translated(spec.alias, "", "open"):
            if name not in self.shelves:
                raise Refused(404, f"there is no bucket {name}")
        return MemoryBucket(self.shelves[name], self.step, spec)

    @contextmanager
    def known(self) -> Iterator[None]:
        """While this lasts, `memory://` names this server's buckets in this process."""
        row = registry.Kind(("memory",), registry.Form.BUCKET, self.open, addresses.bucket_url)
        with mock.patch.dict(registry.KINDS, dict.fromkeys(row.schemes, row)):
            yield
