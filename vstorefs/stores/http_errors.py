"""What any provider's answer means in the family's words, where the provider has no word of its own for it."""

from __future__ import annotations

import email.utils
import ssl
import time

from vstorefs import errors, units

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

_LARGEST_SKEW_S = 14 * 60
"""Signed requests are taken for 15 minutes; an answer is a moment old when it is read."""
_NOT_TRUSTED = (
    "the server's certificate is not trusted ({}); if it is the right server, name the file with its authority's "
    "certificate in the project file (ca-bundle)"
)
_NO_ANSWER = "no answer from the server ({}); is it up, and is the {} right?"
_MOST_CAUSES = 20


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


def expired(says: str, renewal: str, alias: str, key: str, operation: str) -> errors.Denied:
    """Credentials that were good for a time: what says that it is over, and how to renew them."""
    text = f"credentials expired ({says}); {renewal}"
    return errors.Denied(text, store=alias, key=key, operation=operation)


def clock_text(date: str | None) -> str:
    """That this machine's clock is too wrong, by the time that a server gives its answers (`Date`); empty if not."""
    try:
        server_s = email.utils.parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return ""
    ahead_s = time.time() - server_s
    if abs(ahead_s) < _LARGEST_SKEW_S:
        return ""
    side = "ahead of" if ahead_s > 0 else "behind"
    difference = units.duration(round(abs(ahead_s) / 60) * 60)
    return (
        f"this machine's clock is {difference} {side} the server's, and requests are taken for 15 minutes only; "
        "set it right (timedatectl set-ntp true)"
    )


def no_answer(
    error: BaseException, alias: str, key: str, operation: str, *, address: str = "endpoint"
) -> errors.Unavailable:
    """A server that cannot be reached, or is not trusted. `address`: what people call the place where it was named."""
    distrust = _distrust(error)
    text = (
        _NOT_TRUSTED.format(distrust)
        if distrust
        else _NO_ANSWER.format(type(error).__name__, address)
    )
    origin = errors.Origin.STORE
    return errors.Unavailable(text, store=alias, key=key, operation=operation, origin=origin)


def _distrust(error: BaseException) -> str:
    """Why a certificate was refused, wherever the libraries have wrapped that in; empty if none was."""
    left: list[object] = [error]
    for _ in range(_MOST_CAUSES):
        if not left:
            break
        one = left.pop()
        if isinstance(one, ssl.SSLCertVerificationError):
            return str(one.verify_message)
        if isinstance(one, BaseException):
            left += [one.__cause__, one.__context__, *one.args]
            # urllib3's and Azure's
            left += [getattr(one, name, None) for name in ("reason", "inner_exception")]
    return ""
