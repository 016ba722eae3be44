"""Errors of Google's libraries in the family's words.

The border of the `gs` kind. No request, header or signed URL gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from google.api_core import exceptions as google
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from vstorefs import errors
from vstorefs.stores.http_errors import CUSTOMER_KEY, kind_of_status, refusal

# The library reads bodies through urllib3, whose errors it lets through.
_NO_ANSWER = (
    auth.GoogleAuthError,
    google.RetryError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
_BY_CUSTOMER = "customer-supplied encryption key"
_CREDENTIALS = (
    "check the credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login) "
    "and what they may do"
)


@contextmanager
def translated(
    alias: str, key: str, operation: str, *, absent: bool = False, bucket: bool = False
) -> Iterator[None]:
    """Raise the family's errors instead of Google's.

    `absent`: the condition of the request was that nothing is there. `bucket`: what is not found is the bucket.
    """
    try:
        yield
    except (google.GoogleAPICallError, InvalidResponse) as error:
        code = (
            error.code
            if isinstance(error, google.GoogleAPICallError)
            else error.response.status_code
        )
        status = int(code or 0)
        kind = kind_of_status(status)
        if absent and kind is errors.Changed:
            kind = errors.AlreadyExists
        if bucket and kind is errors.NotFound:
            kind = errors.Displaced
        says = f"{status}; {CUSTOMER_KEY}" if _BY_CUSTOMER in str(error) else str(status)
        raise refusal(kind, says, alias, key, operation, credentials=_CREDENTIALS) from error
    except (auth.DefaultCredentialsError, auth.RefreshError, auth.MalformedError) as error:
        raise errors.Denied(
            f"{type(error).__name__}: there are no valid credentials; {_CREDENTIALS}",
            store=alias,
            key=key,
            operation=operation,
        ) from error
    except DataCorruption as error:
        raise errors.Corrupt(
            "what came does not match its checksum", store=alias, key=key, operation=operation
        ) from error
    except _NO_ANSWER as error:
        raise errors.Unavailable(
            f"no answer from the server ({type(error).__name__}); is it up, and is the endpoint right?",
            store=alias,
            key=key,
            operation=operation,
            origin=errors.Origin.STORE,
        ) from error
