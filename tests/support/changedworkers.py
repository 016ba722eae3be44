"""Workers that a test changes: by a module that Python imports as it starts, so that nothing of it is in the program."""

from __future__ import annotations

from pathlib import Path


def changed_workers(folder: Path, module: str) -> dict[str, str]:
    """The environment in which each worker calls `watch` of a module of `tests.support` before it begins."""
    begin = folder / "begin"
    begin.mkdir()
    (begin / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'vstorefs.workers.main' in sys.orig_argv:\n"
        f"    from tests.support import {module}\n"
        f"    {module}.watch()\n"
    )
    return {"PYTHONPATH": str(begin)}
