"""azure-core's errors in the family's words.

The border of the `az` kind. No request, header or signed URL gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from azure.core import exceptions as azure

from vstorefs import errors, units
from vstorefs.stores.azure.account import signature_ended
from vstorefs.stores.http_errors import (
    CUSTOMER_KEY,
    clock_text,
    expired,
    kind_of_status,
    no_answer,
    refusal,
)

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
_UNSIGNED = {"AuthenticationFailed", "AuthorizationFailure"}
_RENEW = (
    "make a new one (az storage container generate-sas) and store it (az config set storage.sas_token=…), where the "
    "mount finds it by itself; one in the environment (AZURE_STORAGE_SAS_TOKEN) needs a new mount"
)
_SIGN_IN = "run: az login; the mount goes on by itself"
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
        raise _denied(error, alias, key, operation) from error
    except azure.HttpResponseError as error:
        code = _code(error)
        status = error.status_code or 0
        kind = _BY_CODE.get(code) or kind_of_status(status)
        if code in _UNSIGNED:
            raise _denied(error, alias, key, operation) from error
        if absent and kind is errors.Changed:
            kind = errors.AlreadyExists
        says = f"{code}; {CUSTOMER_KEY}" if code == _BY_CUSTOMER else code or str(status)
        raise refusal(kind, says, alias, key, operation, credentials=_CREDENTIALS) from error
    except (azure.AzureError, OSError) as error:
        raise no_answer(error, alias, key, operation) from error
    except ValueError as error:
        # What the SDK refuses before it asks: a connection string or a key that is none.
        raise errors.Denied(
            f"the credentials cannot be used ({type(error).__name__}); {_CREDENTIALS}",
            store=alias,
            key=key,
            operation=operation,
        ) from error


def _denied(
    error: azure.HttpResponseError, alias: str, key: str, operation: str
) -> errors.StoreError:
    """Who asked is not known to be who they say: a signature or sign-in that ran out, a wrong clock, a wrong key."""
    ended = signature_ended()
    if ended is not None:
        says = f"the signature ran out at {units.moment(ended)} UTC"
        return expired(says, _RENEW, alias, key, operation)
    if "AADSTS" in str(error) and "expired" in str(error):
        return expired("the sign-in to Azure has run out", _SIGN_IN, alias, key, operation)
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    advice = clock_text(headers.get("Date")) or _CREDENTIALS
    code = _code(error) or "no valid credentials"
    return refusal(errors.Denied, code, alias, key, operation, credentials=advice)


def _code(error: azure.HttpResponseError) -> str:
    """The server's word for it; the SDK gives that as it came, or as a name in a list of its own."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")
