# What type checkers read in the place of __init__.py, which loads none of this before it is used.
from vstorefs.api import ChangeWarning, Run, Version, VstorefsError, history, open, run, warnings  # noqa: A004 — as there

__all__ = [
    "ChangeWarning",
    "Run",
    "Version",
    "VstorefsError",
    "__version__",
    "history",
    "open",
    "run",
    "warnings",
]

__version__: str
