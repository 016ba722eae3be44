"""Names that programs give to files on their way, and rename to a real name soon: such files are held back for a while.

pattern            whose
`*.tmp`            many programs' "write, then rename"
`.#*`              Emacs' locks, CVS
`*.swp`, `*.swx`   Vim
`4913`             Vim's test whether it can write here
`.~lock*`          LibreOffice
`.*.??????`        rsync: a dot, the name, a dot, six characters
`sed??????`        sed -i
`tmp_obj_*`        git's objects before they have their name

Not here: backups (`name~`), which people want back, and the journals of SQLite, without which its
file is damaged.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

BUILT_IN = (
    "*.tmp",
    ".#*",
    "*.swp",
    "*.swx",
    "4913",
    ".~lock*",
    ".*.[A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9]",
    "sed[A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9]",
    "tmp_obj_*",
)


class ScratchNames:
    """The built-in patterns and a project's own."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._pattern = re.compile(
            "|".join(fnmatch.translate(one) for one in (*BUILT_IN, *patterns))
        )

    def matches(self, name: str) -> bool:
        """Whether a file of this name is held back."""
        return self._pattern.match(name) is not None
