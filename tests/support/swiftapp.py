"""One of Swift's servers: `python -m tests.support.swiftapp KIND CONF SWIFT_CONF`.

Swift reads its limits from a fixed place at import, so that place is changed first.
"""

from __future__ import annotations

import importlib
import sys

from swift.common import utils


def main() -> None:
    """Serve for ever."""
    kind, conf, swift_conf = sys.argv[1:]
    utils.SWIFT_CONF_FILE = swift_conf
    sys.argv = [f"swift-{kind}-server", conf]
    package = "obj" if kind == "object" else kind
    importlib.import_module(f"swift.{package}.server").main()


if __name__ == "__main__":
    main()
