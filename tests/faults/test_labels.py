"""Every change of a disk has its label, and every label its line in the documentation."""

from __future__ import annotations

import re

from tests.support.disklabels import labels, unlabelled
from tests.support.processes import ROOT

_NO_DISKS_OF_OURS = {
    "mount/kernel.py file.write_text": "a setting of the kernel",
    "cli/mount.py os.write": "the pipe to the command that waits for the mount",
    "cli/main.py os.open": "/dev/null",
    "cli/purge.py path.unlink": "in the mount, as any program would",
    "cli/restore.py target.parent.mkdir": "in the mount, as any program would",
    "cli/restore.py shutil.copyfile": "in the mount, as any program would",
    "cli/restore.py os.utime": "in the mount, as any program would",
}


def test_nobody_changes_a_disk_past_files() -> None:
    found = unlabelled()
    others = [one for one in found if one.rpartition(" (")[0] not in _NO_DISKS_OF_OURS]
    assert others == [], "give it a label: files.change(LABEL, CALL, …)"
    assert {one.rpartition(" (")[0] for one in found} == set(_NO_DISKS_OF_OURS)


def test_labels_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs/explanation/guarantees.md").read_text()
    section = text.partition("## Writes to disks of this host")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z-]+\.[a-z-]+)`", section))
    assert told == labels()
