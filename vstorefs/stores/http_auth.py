"""What `requests` may add to a request by itself: nothing."""

from __future__ import annotations

import requests


def unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As a session's `auth`: without one, `requests` sends what netrc has for a host, beside or over all else."""
    return request
