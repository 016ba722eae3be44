"""On PYTHONPATH, this lets a disk refuse the change that the file VSTOREFS_TEST_REFUSED names, once, in any process.

The file holds a label and an errno; who comes first to that label removes it.
"""

import os
from pathlib import Path

from vstorefs import files

_order = Path(os.environ["VSTOREFS_TEST_REFUSED"])


def _refuse(label: str) -> int | None:
    try:
        wanted, number = _order.read_text().split()
        if wanted != label:
            return None
        _order.unlink()
    except (FileNotFoundError, ValueError):
        return None
    raise OSError(int(number), os.strerror(int(number)))


files.before_change = _refuse
