"""What a project file may lead credentials to without a question, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vstorefs import agreements, errors, projectsources

BUCKETS = {"s3": "s3://b", "gs": "gs://b", "az": "az://c", "swift": "swift://c"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "clone").mkdir()
    return tmp_path / "clone" / "vstorefs.toml"


def refusal(file: Path, environ: dict[str, str], *lines: str) -> errors.NotAgreed | None:
    """What loading a file with one store says."""
    file.write_text("\n".join(["[stores.x]", *lines]))
    try:
        projectsources.load(file, environ)
    except errors.NotAgreed as error:
        return error
    return None


@pytest.mark.parametrize("kind", BUCKETS)
@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example",
        "https://127.0.0.1.evil.example/",
        "https://localhost.evil.example",
        "https://s3.amazonaws.com.evil.example",
        "https://evil.execute-api.us-east-1.amazonaws.com",
        "https://0.0.0.0",
        "https://127.0.0.1?.evil.example",
    ],
)
def test_another_server_needs_an_agreement(
    kind: str, endpoint: str, file: Path, environ: dict[str, str]
) -> None:
    found = refusal(file, environ, f'url = "{BUCKETS[kind]}"', f'endpoint = "{endpoint}"')
    assert found is not None
    assert found.ways[0].what == "endpoint"
    assert "--trust" in str(found)


@pytest.mark.parametrize("key", ["endpoint", "proxy"])
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example\\\\@127.0.0.1/",
        "https://user@127.0.0.1/",
        "https://127.0.0.1\\u0000.evil.example/",
        "https://127.0.0.1\\u001b[2J",
        "https://127.0.0.1\\n.evil.example/",
        "https://[127.0.0.1",
        "evil.example",
        "//evil.example",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_none_for_anybody(
    key: str, address: str, file: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(errors.UsageError, match=f"stores.x.{key} (is|holds) ") as caught:
        refusal(file, environ, 'url = "s3://b"', f'{key} = "{address}"')
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("kind", BUCKETS)
@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "http://localhost:9000", "https://[::1]:1/x"]
)
def test_this_machine_needs_none(
    kind: str, endpoint: str, file: Path, environ: dict[str, str]
) -> None:
    assert refusal(file, environ, f'url = "{BUCKETS[kind]}"', f'endpoint = "{endpoint}"') is None


@pytest.mark.parametrize(
    ("kind", "endpoint"),
    [
        ("s3", "https://s3.amazonaws.com"),
        ("s3", "https://s3.eu-central-1.amazonaws.com"),
        ("s3", "https://s3.dualstack.eu-west-1.amazonaws.com/"),
        ("gs", "https://storage.googleapis.com"),
        ("az", "https://account.blob.core.windows.net"),
    ],
)
def test_a_provider_s_own_server_needs_none_unless_unencrypted(
    kind: str, endpoint: str, file: Path, environ: dict[str, str]
) -> None:
    url = f'url = "{BUCKETS[kind]}"'
    assert refusal(file, environ, url, f'endpoint = "{endpoint}"') is None
    plain = endpoint.replace("https:", "http:")
    found = refusal(file, environ, url, f'endpoint = "{plain}"')
    assert found is not None
    assert found.ways[0].is_plain
    assert "--trust-http" in str(found)


def test_what_the_environment_names_needs_none(file: Path, environ: dict[str, str]) -> None:
    lines = ('url = "s3://b"', 'endpoint = "https://minio.lab"')
    assert refusal(file, environ, *lines) is not None
    assert refusal(file, environ | {"AWS_ENDPOINT_URL": "https://minio.lab"}, *lines) is None
    assert refusal(file, environ | {"AWS_ENDPOINT_URL": "https://other.lab"}, *lines) is not None


@pytest.mark.parametrize("kind", BUCKETS)
def test_where_no_credentials_go_nobody_is_asked(
    kind: str, file: Path, environ: dict[str, str]
) -> None:
    lines = (
        f'url = "{BUCKETS[kind]}"',
        'endpoint = "http://evil.example"',
        'proxy = "http://p.example:1"',
    )
    assert refusal(file, environ, *lines, "anonymous = true") is None
    assert refusal(file, environ, f'url = "{BUCKETS[kind]}"') is None
    assert refusal(file, environ, 'url = "file:///srv/x"', 'proxy = "http://p.example:1"') is None


@pytest.mark.parametrize("kind", BUCKETS)
def test_a_proxy_and_certificates_need_one(
    kind: str, file: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    url = f'url = "{BUCKETS[kind]}"'
    found = refusal(file, environ, url, 'proxy = "http://p.example:1"')
    assert found is not None
    assert [way.what for way in found.ways] == ["proxy"]
    assert refusal(file, environ, url, 'proxy = "http://127.0.0.1:1"') is None
    certificates = tmp_path / "ca.pem"
    certificates.write_text("one")
    found = refusal(file, environ, url, f'ca-bundle = "{certificates}"')
    assert found is not None
    assert [way.what for way in found.ways] == ["ca-bundle"]


def test_an_agreement_is_for_one_way_and_for_ever(
    file: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("one")
    lines = [
        'url = "s3://b"',
        'endpoint = "https://minio.lab:9000/"',
        'proxy = "http://p.example:1"',
        f'ca-bundle = "{certificates}"',
    ]
    found = refusal(file, environ, *lines)
    assert found is not None
    agreements.agree(found.ways, environ)
    assert refusal(file, environ, *lines) is None
    assert (tmp_path / "state/vstorefs/agreed").stat().st_mode & 0o022 == 0
    assert list(file.parent.iterdir()) == [file]
    for other in (
        ['url = "gs://b"', lines[1]],
        [lines[0], 'endpoint = "https://minio.lab:9001/"'],
        [lines[0], 'endpoint = "http://minio.lab:9000/"'],
        [lines[0], 'proxy = "http://p.example:2"'],
    ):
        assert refusal(file, environ, *other) is not None, other
    certificates.write_text("another")
    assert refusal(file, environ, *lines) is not None


@pytest.mark.parametrize(
    "text", ["'a'\n'endpoint s3 https://b'\n", "https://a b\nendpoint s3 https://b"]
)
def test_one_way_cannot_be_written_like_two(text: str, file: Path, environ: dict[str, str]) -> None:
    agreements.agree([errors.Way("endpoint", "x", "s3", text)], environ)
    assert refusal(file, environ, 'url = "s3://b"', 'endpoint = "https://b"') is not None


@pytest.mark.parametrize("entry", ["machine h.example", "default"])
@pytest.mark.parametrize(
    "store", ['url = "{}://h.example/x/"', 'files = {{ "f" = "{}://h.example/f?q=1" }}']
)
def test_a_web_address_needs_one_where_netrc_has_something_for_it(
    store: str, entry: str, file: Path, environ: dict[str, str]
) -> None:
    assert refusal(file, environ, store.format("http")) is None
    netrc = Path(environ["HOME"]) / ".netrc"
    netrc.parent.mkdir()
    netrc.write_text(f"{entry} login reader password s\n")
    netrc.chmod(0o600)
    for scheme in ("http", "https"):
        found = refusal(file, environ, store.format(scheme))
        assert found is not None
        assert found.ways[0].is_plain == (scheme == "http")
        assert refusal(file, environ, store.format(scheme), "anonymous = true") is None
    if entry != "default":
        assert refusal(file, environ, store.format("https").replace("h.ex", "other.ex")) is None
