"""Which tests coverage looks at.

Measuring doubles the time of a process, and most of the time of all tests goes into commands, fronts and workers. So
`make test` measures the tests without mounts and servers only, and `make coverage` all of them, in every process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from coverage import Coverage

#: Coverage's own name: what a process finds there, it is measured by.
_CONFIG = "COVERAGE_PROCESS_CONFIG"
_COSTLY = ("mount", "stores", "faults")


def is_measured(item: pytest.Item) -> bool:
    """Whether a test counts for coverage, where that is measured."""
    everything = os.environ.get("VSTOREFS_TEST_MEASURE") == "all"
    return everything or not any(item.get_closest_marker(name) for name in _COSTLY)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Measure nothing, neither here nor in processes that are started."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    config = os.environ.pop(_CONFIG, None)
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()
        if config is not None:
            os.environ[_CONFIG] = config


def environment() -> dict[str, str]:
    """What a process with an environment of its own needs to be measured too, where that is done."""
    return {_CONFIG: os.environ[_CONFIG]} if _CONFIG in os.environ else {}
