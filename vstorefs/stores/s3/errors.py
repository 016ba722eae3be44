"""botocore's errors in the family's words.

The border of the `s3` kind. No request, header or signed URL gets into a message.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto

from vstorefs import errors
from vstorefs.stores.http_errors import CUSTOMER_KEY, RESTORE, clock_text, expired, no_answer

_BY_CODE: dict[str, type[errors.StoreError]] = {
    "NoSuchKey": errors.NotFound,
    "NoSuchBucket": errors.Displaced,
    "NoSuchVersion": errors.NotFound,
    "NoSuchLifecycleConfiguration": errors.NotFound,
    "NotFound": errors.NotFound,
    "404": errors.NotFound,
    "PreconditionFailed": errors.Changed,
    "412": errors.Changed,
    "ConditionalRequestConflict": errors.Throttled,
    "InvalidRange": errors.Changed,
    "AccessDenied": errors.Denied,
    "AllAccessDisabled": errors.Denied,
    "Forbidden": errors.Denied,
    "403": errors.Denied,
    "InvalidAccessKeyId": errors.Denied,
    "SignatureDoesNotMatch": errors.Denied,
    "RequestTimeTooSkewed": errors.Denied,
    "MethodNotAllowed": errors.NotFound,
    "405": errors.NotFound,
    "InvalidObjectState": errors.Archived,
    "SlowDown": errors.Throttled,
    "Throttling": errors.Throttled,
    "TooManyRequests": errors.Throttled,
    "RequestLimitExceeded": errors.Throttled,
    "429": errors.Throttled,
    "BadDigest": errors.Corrupt,
    "KeyTooLongError": errors.NotSupported,
    "NotImplemented": errors.NotSupported,
    "EntityTooLarge": errors.NotSupported,
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_RENEW = (
    "renew them where they come from (aws sso login, or what writes ~/.aws/credentials); the mount takes the new ones "
    "by itself"
)
_RENEW_ENVIRONMENT = (
    "they were set in the environment (AWS_SESSION_TOKEN), which no mount can see change: unmount, set new ones, and "
    "mount again, or keep them in ~/.aws/credentials, which is read again"
)
_SKEWED = "RequestTimeTooSkewed"
_LATE = "this machine's clock was wrong, or the request took over 15 minutes to arrive"
_ELSEWHERE = {"PermanentRedirect", "IllegalLocationConstraintException", "301"}
_REGION = "the bucket is in {}; set its region in the project file, or AWS_DEFAULT_REGION"
_NO_BUCKET = (
    "there is no such bucket (any more); correct its name or the endpoint, or make it first"
)
_KMS = "KMS."
_KEY = "see that its key exists, is enabled, and may be used (kms:Decrypt, kms:GenerateDataKey)"
_BY_CUSTOMER = (
    "stored using a form of Server Side Encryption",
    # Ceph
    "Server Side Encryption with Customer provided keys",
)
_ADVICE: dict[type[errors.StoreError], str] = {
    errors.Denied: "check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID) and what they may do",
    errors.Archived: RESTORE,
}


@contextmanager
def translated(alias: str, key: str, operation: str, *, absent: bool = False) -> Iterator[None]:
    """Raise the family's errors instead of botocore's.

    `absent`: the condition of the request was that nothing is there.
    """
    try:
        yield
    except boto.ClientError as error:
        found = _client_error(error, alias, key, operation)
        if absent and isinstance(found, errors.Changed):
            found = errors.AlreadyExists(
                "the object exists already", store=alias, key=key, operation=operation
            )
        raise found from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound) as error:
        raise errors.Denied(
            f"no credentials found ({type(error).__name__}; tried the environment, ~/.aws, and the roles of container "
            "and instance); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run: aws configure",
            store=alias,
            key=key,
            operation=operation,
        ) from error
    except (boto.SSOError, boto.TokenRetrievalError) as error:
        says = f"{type(error).__name__}: the sign-in has run out or was never made"
        raise expired(says, "run: aws sso login", alias, key, operation) from error
    except (boto.ConfigParseError, boto.InvalidConfigError, boto.ConfigNotFound) as error:
        raise errors.Denied(
            f"{type(error).__name__}: the files below ~/.aws cannot be used; run: aws configure list",
            store=alias,
            key=key,
            operation=operation,
        ) from error
    except (boto.CredentialRetrievalError, boto.MetadataRetrievalError) as error:
        raise errors.Unavailable(
            f"{type(error).__name__}: cannot obtain credentials; does what gives them out work "
            "(credential_process, the role of this machine or container)?",
            store=alias,
            key=key,
            operation=operation,
        ) from error
    except boto.ParamValidationError as error:
        raise errors.NotSupported(
            "S3 has no such name", store=alias, key=key, operation=operation
        ) from error
    except (boto.HTTPClientError, boto.BotoCoreError, OSError) as error:
        raise no_answer(error, alias, key, operation) from error


def _client_error(
    error: boto.ClientError, alias: str, key: str, operation: str
) -> errors.StoreError:
    told: Mapping[str, Any] = error.response.get("Error", {})
    about: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    code, status = str(told.get("Code", "")), int(about.get("HTTPStatusCode", 0))
    if code in _EXPIRED:
        renewal = _RENEW_ENVIRONMENT if os.environ.get("AWS_SESSION_TOKEN") else _RENEW
        return expired(code, renewal, alias, key, operation)
    kind = _kind(code, status, str(told.get("Message")))
    text = _NO_BUCKET
    if code != "NoSuchBucket":
        advice = _advice(kind, code, told, about.get("HTTPHeaders", {}))
        text = f"the server says {code or status}" + (f"; {advice}" if advice else "")
    number = errno.ENAMETOOLONG if code == "KeyTooLongError" else None
    return kind(text, store=alias, key=key, operation=operation, number=number)


def _kind(code: str, status: int, message: str) -> type[errors.StoreError]:
    if any(one in message for one in _BY_CUSTOMER):
        return errors.NotSupported
    if code.startswith(_KMS):
        return errors.Denied
    kind = _BY_CODE.get(code) or _BY_CODE.get(str(status))
    if kind is None:
        kind = errors.Unavailable if status >= 500 or status == 0 else errors.StoreError
    if status == 503 and kind is errors.Unavailable:
        kind = errors.Throttled
    return kind


def _advice(
    kind: type[errors.StoreError], code: str, told: Mapping[str, Any], headers: Mapping[str, str]
) -> str:
    """What to do about a refusal; empty where nothing is known."""
    region = told.get("Region") or headers.get("x-amz-bucket-region")
    if any(one in str(told.get("Message")) for one in _BY_CUSTOMER):
        return CUSTOMER_KEY
    if code.startswith(_KMS):
        return _KEY
    if code in _ELSEWHERE or (code == "AuthorizationHeaderMalformed" and region):
        return _REGION.format(f"region {region}" if region else "another region")
    if kind is errors.Denied:
        # A HEAD is answered without a code, and says the time all the same.
        other = _LATE if code == _SKEWED else _ADVICE[kind]
        return clock_text(headers.get("date")) or other
    return _ADVICE.get(kind, "")
