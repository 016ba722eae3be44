"""What servers refuse for a reason that a person can do something about: one line says which, and what to do."""

from __future__ import annotations

import datetime
import email.utils
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import StorageErrorCode
from botocore.compat import get_current_datetime
from google.api_core.exceptions import BadRequest
from google.auth import exceptions as google_auth

from tests.support.azureserver import ACCOUNT, KEY, AzureServer
from tests.support.radosgw import CountedServer
from tests.support.scripted import Asked, Said, scripted
from vstorefs import errors
from vstorefs.stores.azure.errors import translated as azure_translated
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.gcs.errors import translated as gcs_translated
from vstorefs.stores.http_errors import clock_text
from vstorefs.stores.registry import Settings, open_bucket, resolve

pytestmark = pytest.mark.stores

Ask = Callable[[Bucket], object]
ASKS: dict[str, Ask] = {
    "look": lambda bucket: bucket.versioning(),
    "list": lambda bucket: list(bucket.list("")),
    "stat": lambda bucket: bucket.stat("f"),
    "read": lambda bucket: list(bucket.read("f", 0, 1)),
    "put": lambda bucket: bucket.put("f", b"x", metadata={}, content_type="text/plain"),
}


@pytest.fixture(params=ASKS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return ASKS[request.param]


def named() -> str:
    return f"c{uuid.uuid4().hex[:12]}"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bucket]]:
    """Opens buckets by their URL and what is in the environment."""
    found: list[Bucket] = []

    def open_one(url: str, env: dict[str, str], **settings: Any) -> Bucket:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        spec = resolve("test", url, Settings(**settings), environ=os.environ)
        found.append(open_bucket(spec))
        return found[-1]

    yield open_one
    for one in found:
        one.close()


def refused(ask: Ask, bucket: Bucket) -> errors.StoreError:
    with pytest.raises(errors.StoreError) as caught:
        ask(bucket)
    assert "\n" not in str(caught.value)
    return caught.value


# --- credentials that ran out


def of_s3(code: str, **told: str) -> Callable[[Asked], Said]:
    """A server that says so; to a HEAD nothing but the status, as S3 does."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())

    def script(asked: Asked) -> Said:
        body = f"<Error><Code>{code}</Code><Message>no</Message>{fields}</Error>".encode()
        return Said(400, b"" if asked.method == "HEAD" else body)

    return script


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])
@pytest.mark.parametrize(
    ("session", "told"), [("", "what writes ~/.aws/credentials"), ("given", "mount again")]
)
def test_a_session_of_aws_that_has_run_out(
    ask: Ask, code: str, session: str, told: str, opened: Callable[..., Bucket]
) -> None:
    env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": session}
    with scripted(of_s3(code)) as url:
        error = refused(ask, opened("s3://box", env, endpoint=url))
    assert isinstance(error, errors.Denied)
    assert f"credentials expired ({code})" in error.message
    assert told in error.message


def test_a_refusal_without_a_reason_stays_one(opened: Callable[..., Bucket]) -> None:
    """A server that says 400 to a HEAD, and gives the content."""

    def script(asked: Asked) -> Said:
        about = {"Last-Modified": "Sun, 01 Nov 2026 10:00:00 GMT", "ETag": '"e"'}
        return Said(400) if asked.method == "HEAD" else Said(200, b"content", about)

    with scripted(script) as url:
        bucket = opened("s3://box", {}, endpoint=url, anonymous=True)
        assert "the server says 400" in refused(ASKS["stat"], bucket).message


def test_a_signature_of_azure_that_has_run_out(
    azure_server: AzureServer, opened: Callable[..., Bucket]
) -> None:
    name = named()
    azure_server.container(name)
    azure_server.client().get_blob_client(name, "f").upload_blob(b"x")
    signature = azure_server.signature(name, "racwdl", -3600)
    env = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_SAS_TOKEN": signature}
    bucket = opened(f"az://{name}", env, endpoint=azure_server.endpoint)
    for one in ("list", "stat", "read", "put"):
        error = refused(ASKS[one], bucket)
        assert isinstance(error, errors.Denied)
        assert re.search(
            r"credentials expired \(the signature ran out at [\d-]+ [\d:]+ UTC\); make",
            error.message,
        )
        assert "az storage container generate-sas" in error.message
        assert signature not in error.message


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("invalid_grant: Token has been expired or revoked.", "credentials expired (RefreshError)"),
        ("invalid_grant: Account has been deleted", "credentials expired (RefreshError)"),
        ("Invalid JWT: Token must be in a reasonable timeframe", "this machine's clock is wrong"),
        ("unauthorized_client", "check the credentials"),
    ],
)
def test_a_token_of_google_that_is_not_renewed(said: str, told: str) -> None:
    error = google_auth.RefreshError(said)
    with pytest.raises(errors.Denied) as caught, gcs_translated("a", "k", "read"):
        raise error
    assert told in caught.value.message


def test_a_giver_of_googles_tokens_that_is_busy_is_asked_again() -> None:
    error = google_auth.RefreshError("503", retryable=True)
    with pytest.raises(errors.RETRIED), gcs_translated("a", "k", "read"):
        raise error


def test_a_sign_in_to_azure_that_has_run_out() -> None:
    error = ClientAuthenticationError("AADSTS700082: The refresh token has expired.")
    with pytest.raises(errors.Denied, match="run: az login"), azure_translated("a", "k", "read"):
        raise error


# --- a wrong clock


@pytest.mark.parametrize("one", ["list", "stat", "read", "put"])
@pytest.mark.parametrize(
    ("hours", "told"), [(2, "clock is 2 h ahead of"), (-26, "clock is 1 d 2 h behind")]
)
def test_a_clock_that_is_wrong(
    one: str,
    hours: int,
    told: str,
    radosgw_server: CountedServer,
    opened: Callable[..., Bucket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = named()
    radosgw_server.bucket(name).put_object(Bucket=name, Key="f", Body=b"x")
    bucket = opened(f"s3://{name}", radosgw_server.env)
    ASKS[one](bucket)
    off = datetime.timedelta(hours=hours)
    right = get_current_datetime
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: right() + off)
    wrong = SimpleNamespace(time=lambda: time.time() + off.total_seconds())
    monkeypatch.setattr("vstorefs.stores.http_errors.time", wrong)
    error = refused(ASKS[one], bucket)
    assert isinstance(error, errors.Denied)
    assert told in error.message


@pytest.mark.parametrize(("minutes", "is_wrong"), [(0, False), (5, False), (20, True), (-20, True)])
def test_a_clock_is_only_blamed_where_it_can_be_the_reason(minutes: int, *, is_wrong: bool) -> None:
    date = email.utils.formatdate(time.time() - minutes * 60, usegmt=True)
    assert bool(clock_text(date)) == is_wrong


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Nov 2026 10:00:00 GMT"])
def test_a_server_that_tells_no_time(date: str | None) -> None:
    assert clock_text(date) == ""


def test_azure_names_the_clock_too(
    opened: Callable[..., Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(asked: Asked) -> Said:
        del asked
        return Said(403, b"", {"x-ms-error-code": "AuthenticationFailed"})

    with scripted(script) as url:
        env = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}
        bucket = opened("az://box", env, endpoint=f"{url}/{ACCOUNT}")
        assert "check the credentials" in refused(ASKS["read"], bucket).message
        wrong = SimpleNamespace(time=lambda: time.time() + 7200)
        monkeypatch.setattr("vstorefs.stores.http_errors.time", wrong)
        assert "clock is 2 h ahead" in refused(ASKS["read"], bucket).message


# --- another region


@pytest.mark.parametrize(
    ("code", "told", "wanted"),
    [
        ("PermanentRedirect", {}, "the bucket is in another region; set its region"),
        ("IllegalLocationConstraintException", {}, "the bucket is in another region"),
        ("PermanentRedirect", {"Region": "eu-north-1"}, "the bucket is in region eu-north-1"),
        ("AuthorizationHeaderMalformed", {"Region": "eu-north-1"}, "in region eu-north-1; set its"),
        ("AuthorizationHeaderMalformed", {}, "the server says AuthorizationHeaderMalformed"),
    ],
)
def test_a_bucket_elsewhere_that_cannot_be_followed(
    code: str, told: dict[str, str], wanted: str, opened: Callable[..., Bucket]
) -> None:
    env = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with scripted(of_s3(code, **told)) as url:
        assert wanted in refused(ASKS["list"], opened("s3://box", env, endpoint=url)).message


# --- keys, payers, codes


def test_a_customers_key_on_ceph(
    radosgw_server: CountedServer, opened: Callable[..., Bucket]
) -> None:
    name = named()
    radosgw_server.bucket(name).put_object(
        Bucket=name,
        Key="f",
        Body=b"x" * 100,
        SSECustomerAlgorithm="AES256",
        SSECustomerKey=b"k" * 32,
    )
    bucket = opened(f"s3://{name}", radosgw_server.env)
    assert [one.name for page in bucket.list("") for one in page.objects] == ["f"]
    for one in ("stat", "read"):
        error = refused(ASKS[one], bucket)
        assert isinstance(error, errors.NotSupported)
        assert "a key that has to be sent with each request" in error.message


def test_a_bucket_of_google_whose_owner_does_not_pay() -> None:
    error = BadRequest("Bucket is a requester pays bucket but no user project provided.")
    with (
        pytest.raises(errors.Denied, match="requester-pays = true"),
        gcs_translated("a", "k", "read"),
    ):
        raise error


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (StorageErrorCode.MD5_MISMATCH, 400, errors.Corrupt),
        ("Md5Mismatch", 400, errors.Corrupt),
        (StorageErrorCode.CONTAINER_NOT_FOUND, 404, errors.Displaced),
        (StorageErrorCode.SERVER_BUSY, 503, errors.Throttled),
    ],
)
def test_azures_codes_count_in_whichever_form_they_come(
    code: Any, status: int, kind: type[errors.StoreError]
) -> None:
    error: Any = HttpResponseError("no")
    error.status_code, error.error_code = status, code
    with pytest.raises(kind) as caught, azure_translated("a", "k", "read"):
        raise error
    assert "StorageErrorCode" not in str(caught.value)
