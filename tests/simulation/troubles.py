"""What goes wrong, and when: stretches of time in which a store, the journal, the staging disk or the workers fail."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What fails."""

    AWAY = "no request reaches the store"
    FLAKY = "requests to the store are dropped, come late, or lose their replies"
    LOST = "changes happen, and their replies are lost"
    KEY = "the server says 503 for the names of one family"
    JOURNAL = "the state's disk takes nothing"
    STAGING = "the disk of the staging files fails, or is full"
    DEATHS = "workers die"
    LATE = "workers answer late"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of failure from `start_s` to `end_s`; `share` is how likely each single call fails.

    `family`: whose names the server cannot serve, where it is of that kind; nobody else may notice.
    """

    kind: Kind
    start_s: float
    end_s: float
    share: float = 1.0
    family: str = ""

    def at(self, now_s: float) -> bool:
        """Whether it goes on."""
        return self.start_s <= now_s < self.end_s

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether it went on at any time between."""
        return self.start_s <= end_s and start_s < self.end_s
