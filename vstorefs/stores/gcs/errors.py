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
from vstorefs.stores.http_errors import CUSTOMER_KEY, expired, kind_of_status, no_answer, refusal

# The library reads bodies through urllib3, whose errors it lets through.
_NO_ANSWER = (
    auth.GoogleAuthError,
    google.RetryError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
_KNOWN: tuple[tuple[str, type[errors.StoreError], str], ...] = (
    ("customer-supplied encryption key", errors.NotSupported, CUSTOMER_KEY),
    (
        "requester pays",
        errors.Denied,
        "who asks pays for it: set requester-pays = true in the project file, if you agree to that",
    ),
)
"""What 400 and 403 may mean, by words of the message: the kind of error, and what to do."""
_RAN_OUT = ("expired", "revoked", "invalid_grant")
_SIGN_IN = "run: gcloud auth application-default login; the mount goes on by itself"
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
        raise _refused(error, alias, key, operation, absent=absent, bucket=bucket) from error
    except auth.RefreshError as error:
        if error.retryable:
            raise no_answer(error, alias, key, operation) from error
        raise _not_renewed(error, alias, key, operation) from error
    except (auth.DefaultCredentialsError, auth.MalformedError) as error:
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
        raise no_answer(error, alias, key, operation) from error


def _refused(
    error: google.GoogleAPICallError | InvalidResponse,
    alias: str,
    key: str,
    operation: str,
    *,
    absent: bool,
    bucket: bool,
) -> errors.StoreError:
    is_call = isinstance(error, google.GoogleAPICallError)
    status = int((error.code if is_call else error.response.status_code) or 0)
    for words, known, advice in _KNOWN:
        if words in str(error):
            return refusal(known, f"{status}; {advice}", alias, key, operation, credentials="")
    kind = kind_of_status(status)
    if absent and kind is errors.Changed:
        kind = errors.AlreadyExists
    if bucket and kind is errors.NotFound:
        kind = errors.Displaced
    return refusal(kind, str(status), alias, key, operation, credentials=_CREDENTIALS)


def _not_renewed(
    error: auth.RefreshError, alias: str, key: str, operation: str
) -> errors.StoreError:
    """Credentials that give no token any more: they ran out, were revoked, or this machine's clock is wrong."""
    said = str(error)
    if "reasonable timeframe" in said:
        advice = "this machine's clock is wrong; set it right (timedatectl set-ntp true)"
        return refusal(errors.Denied, "invalid_grant", alias, key, operation, credentials=advice)
    if any(word in said for word in _RAN_OUT):
        return expired(type(error).__name__, _SIGN_IN, alias, key, operation)
    text = f"{type(error).__name__}: there are no valid credentials; {_CREDENTIALS}"
    return errors.Denied(text, store=alias, key=key, operation=operation)
