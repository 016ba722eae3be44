"""azure-core's errors in the family's words.

The border of the `az` kind. No request, header or signed URL gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core import exceptions as azure

from vstorefs import errors
from vstorefs.stores.http_errors import CUSTOMER_KEY, kind_of_status, refusal

_BY_CUSTOMER = "BlobUsesCustomerSpecifiedEncryption"
_BY_CODE: dict[str, type[errors.StoreError]] = {
    "BlobAlreadyExists": errors.AlreadyExists,
    "ConditionNotMet": errors.Changed,
    "TargetConditionNotMet": errors.Changed,
    "SourceConditionNotMet": errors.Changed,
    "InvalidRange": errors.Changed,
    "BlobArchived": errors.Archived,
    "BlobBeingRehydrated": errors.Archived,
    "BlobImmutableDueToPolicy": errors.Denied,
    _BY_CUSTOMER: errors.NotSupported,
    "Md5Mismatch": errors.Corrupt,
    "ContainerBeingDeleted": errors.Displaced,
    "ContainerNotFound": errors.Displaced,
    "ServerBusy": errors.Throttled,
    "OperationTimedOut": errors.Unavailable,
    "InvalidResourceName": errors.NotSupported,
    "PendingCopyOperation": errors.Throttled,
}
_CREDENTIALS = (
    "check the credentials (AZURE_STORAGE_CONNECTION_STRING, az login) and what they may do"
)


@contextmanager
def translated(alias: str, key: str, operation: str, *, absent: bool = False) -> Iterator[None]:
    """Raise the family's errors instead of azure-core's.

    `absent`: the condition of the request was that nothing is there.
    """
    try:
        yield
    except azure.ClientAuthenticationError as error:
        code = str(getattr(error, "error_code", None) or "no valid credentials")
        raise refusal(
            errors.Denied, code, alias, key, operation, credentials=_CREDENTIALS
        ) from error
    except azure.HttpResponseError as error:
        code = str(getattr(error, "error_code", None) or "")
        status = error.status_code or 0
        kind = _BY_CODE.get(code) or kind_of_status(status)
        if absent and kind is errors.Changed:
            kind = errors.AlreadyExists
        says = f"{code}; {CUSTOMER_KEY}" if code == _BY_CUSTOMER else code or str(status)
        raise refusal(kind, says, alias, key, operation, credentials=_CREDENTIALS) from error
    except (azure.AzureError, OSError) as error:
        raise errors.Unavailable(
            f"no answer from the server ({type(error).__name__}); is it up, and is the endpoint right?",
            store=alias,
            key=key,
            operation=operation,
            origin=errors.Origin.STORE,
        ) from error
    except ValueError as error:
        # What the SDK refuses before it asks: a connection string or a key that is none.
        raise errors.Denied(
            f"the credentials cannot be used ({type(error).__name__}); {_CREDENTIALS}",
            store=alias,
            key=key,
            operation=operation,
        ) from error
