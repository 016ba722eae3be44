"""On PYTHONPATH, this sets the wall clock of a Python process wrong by VSTOREFS_TEST_SKEW_S seconds."""

import os
import time

_skew_s = int(os.environ.get("VSTOREFS_TEST_SKEW_S", "0"))
_right_ns, _right_s = time.time_ns, time.time

time.time_ns = lambda: _right_ns() + _skew_s * 1_000_000_000
time.time = lambda: _right_s() + _skew_s
