"""What any provider's answer means in the family's words, where the provider has no word of its own for it."""

from __future__ import annotations

from vstorefs import errors

_BY_STATUS: dict[int, type[errors.StoreError]] = {
    400: errors.NotSupported,
    401: errors.Denied,
    403: errors.Denied,
    404: errors.NotFound,
    409: errors.Throttled,
    410: errors.NotFound,
    412: errors.Changed,
    416: errors.Changed,
    422: errors.Corrupt,
    429: errors.Throttled,
    503: errors.Throttled,
}
CUSTOMER_KEY = (
    "it is encrypted with a key that has to be sent with each request, which vstorefs does not do"
)
RESTORE = (
    "restore the object from its archive class first; docs/how-to/archived-objects.md says how"
)


def kind_of_status(status: int) -> type[errors.StoreError]:
    """The error that an HTTP status stands for; Unavailable for the server's own failures and for none."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.Unavailable if status >= 500 or status == 0 else errors.StoreError


def refusal(
    kind: type[errors.StoreError],
    says: str,
    alias: str,
    key: str,
    operation: str,
    *,
    credentials: str,
) -> errors.StoreError:
    """An error with what the server says and what to do. `credentials`: where this kind's are looked for."""
    advice = {errors.Denied: credentials, errors.Archived: RESTORE}.get(kind)
    text = f"the server says {says}" + (f"; {advice}" if advice else "")
    return kind(text, store=alias, key=key, operation=operation)
