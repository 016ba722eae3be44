"""botocore's errors in the family's words.

The border of the `s3` kind. No request, header or signed URL gets into a message.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from vstorefs import errors
from vstorefs.stores.http_errors import CUSTOMER_KEY, RESTORE

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
    "ExpiredToken": errors.Denied,
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
_KMS = "KMS."
_KEY = "see that its key exists, is enabled, and may be used (kms:Decrypt, kms:GenerateDataKey)"
_BY_CUSTOMER = "stored using a form of Server Side Encryption"
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
        raise errors.Denied(
            f"{type(error).__name__}: the sign-in has run out or was never made; run: aws sso login",
            store=alias,
            key=key,
            operation=operation,
        ) from error
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
        raise errors.Unavailable(
            f"no answer from the server ({type(error).__name__}); is it up, and is the endpoint right?",
            store=alias,
            key=key,
            operation=operation,
            origin=errors.Origin.STORE,
        ) from error


def _client_error(
    error: boto.ClientError, alias: str, key: str, operation: str
) -> errors.StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = _BY_CODE.get(code) or _BY_CODE.get(str(status))
    if kind is None:
        kind = errors.Unavailable if status >= 500 or status == 0 else errors.StoreError
    if status == 503 and kind is errors.Unavailable:
        kind = errors.Throttled
    text = f"the server says {code or status}"
    if code.startswith(_KMS):
        kind = errors.Denied
        text = f"{text}; {_KEY}"
    elif _BY_CUSTOMER in str(error.response.get("Error", {}).get("Message")):
        kind = errors.NotSupported
        text = f"{text}; {CUSTOMER_KEY}"
    elif code == "NoSuchBucket":
        text = (
            "there is no such bucket (any more); correct its name or the endpoint, or make it first"
        )
    elif kind in _ADVICE:
        text = f"{text}; {_ADVICE[kind]}"
    number = errno.ENAMETOOLONG if code == "KeyTooLongError" else None
    return kind(text, store=alias, key=key, operation=operation, number=number)
