"""Object stores as one directory tree that never overwrites and knows what you read.

What programs may use is in `vstorefs.api`, and here under the same names: it is loaded when it is first asked for.
Type checkers read `__init__.pyi`.
"""

from __future__ import annotations

import importlib

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

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'vstorefs' has no attribute {name!r}")
    return getattr(importlib.import_module("vstorefs.api"), name)


def __dir__() -> list[str]:
    return __all__
