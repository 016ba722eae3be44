"""Enters empty objects into what a container lists, by Swift's own broker; over HTTP, 100,000 take half an hour.

`python -m tests.support.swiftrows FOLDER CONTAINER`, with the names on lines of standard input. A process of its own,
since Swift's library changes how the process that loads it logs.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from swift.common.utils import Timestamp
from swift.container.backend import ContainerBroker

_AT_ONCE = 5000


def main() -> None:
    folder, container = Path(sys.argv[1]), sys.argv[2]
    names = sys.stdin.read().splitlines()
    entered = Timestamp.now().internal
    for file in folder.glob("devices/d1/containers/**/*.db"):
        about = ContainerBroker(str(file)).get_info()
        if about["container"] != container:
            continue
        broker = ContainerBroker(str(file), account=about["account"], container=container)
        for first in range(0, len(names), _AT_ONCE):
            broker.merge_items(
                [
                    {
                        "name": name,
                        "created_at": entered,
                        "size": 0,
                        "content_type": "text/plain",
                        "etag": hashlib.md5(b"").hexdigest(),
                        "deleted": 0,
                        "storage_policy_index": about["storage_policy_index"],
                        "ctype_timestamp": None,
                        "meta_timestamp": None,
                    }
                    for name in names[first : first + _AT_ONCE]
                ]
            )
        return
    sys.exit(f"there is no container {container} in {folder}")


if __name__ == "__main__":
    main()
