"""swiftclient's errors in the family's words.

The border of the `swift` kind. No request, header or token gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from keystoneauth1 import exceptions as keystone
from swiftclient.exceptions import ClientException

from vstorefs import errors
from vstorefs.stores.http_errors import kind_of_status, no_answer, refusal

_CREDENTIALS = "check the credentials (ST_USER and ST_KEY, or OS_*) and what they may do"


@contextmanager
def translated(
    alias: str, key: str, operation: str, *, absent: bool = False, bucket: bool = False
) -> Iterator[None]:
    """Raise the family's errors instead of swiftclient's.

    `absent`: the condition of the request was that nothing is there. `bucket`: what is not found is the bucket.
    """
    try:
        yield
    except ClientException as error:
        status = error.http_status or 0
        kind = kind_of_status(status)
        text = str(status)
        if status == 0 and "nauthorized" in str(error):
            kind, text = errors.Denied, "401"
        if status == 507:
            kind = errors.NotSupported
        if absent and kind is errors.Changed:
            kind = errors.AlreadyExists
        if bucket and kind is errors.NotFound:
            kind = errors.Displaced
        if status == 0 and kind is errors.Unavailable:
            text = (
                "nothing that could be understood; is it a Swift server, and is the address right?"
            )
        raise refusal(kind, text, alias, key, operation, credentials=_CREDENTIALS) from error
    except keystone.ClientException as error:
        kind = (
            errors.Denied
            if isinstance(error, keystone.Unauthorized | keystone.Forbidden)
            else errors.Unavailable
        )
        raise refusal(
            kind, type(error).__name__, alias, key, operation, credentials=_CREDENTIALS
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # The library reads bodies through urllib3, whose errors it lets through.
        raise no_answer(error, alias, key, operation) from error
