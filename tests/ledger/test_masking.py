"""No secret gets into a manifest by a command's arguments, and everything else does."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstorefs.ledger.masking import MASK, mask_arguments

SECRET = "hunter2/Z9+x=="
_NAMES = (
    "password", "PASSWORD", "db-passwd", "api-key", "apikey", "API_KEY", "hf_token", "auth-token", "client_secret",
    "aws_secret_access_key", "private-key", "passphrase", "connection-string", "account_key", "credentials",
    "pass", "db_pass", "auth", "http-auth", "DB_CRED", "creds", "pwd",
)  # fmt: skip


def masked(*arguments: str, **environ: str) -> tuple[str, ...]:
    return mask_arguments(arguments, environ)


@pytest.mark.parametrize("name", _NAMES)
def test_values_of_options_and_variables_with_such_names(name: str) -> None:
    assert masked(f"--{name}={SECRET}") == (f"--{name}={MASK}",)
    assert masked(f"--{name}", SECRET, "next") == (f"--{name}", MASK, "next")
    assert masked(f"-{name}", SECRET) == (f"-{name}", MASK)
    assert masked(f"{name}={SECRET}") == (f"{name}={MASK}",)
    assert masked(f"--{name}=a;b,c d&'e\"") == (f"--{name}={MASK}",)
    assert masked("--set", f"a=1,{name}={SECRET}") == ("--set", f"a=1,{name}={MASK}")
    assert masked(f'{{"n": 3, "{name}": "{SECRET} x"}}') == (f'{{"n": 3, "{name}": {MASK}}}',)


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize(
    "text", ["tool --{} {} in", "env {}='{} b' tool in", 'export {}="{} b"; tool in']
)
def test_the_same_within_a_line_for_a_shell(name: str, text: str) -> None:
    (shown,) = masked(text.format(name, SECRET))
    assert "hunter2" not in shown
    assert name in shown
    assert "tool" in shown
    assert shown.endswith("in")


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("https://ann:hunter2@host/x", f"https://{MASK}@host/x"),
        ("https://x.example/b?sig=hunter2&se=1", f"https://x.example/b?sig={MASK}&se=1"),
        ("https://b/x?X-Amz-Signature=hunter2", f"https://b/x?X-Amz-Signature={MASK}"),
        ("Authorization: Bearer hunter2", f"Authorization: {MASK}"),
        ("AccountName=a;AccountKey=hunter2==;B=c", f"AccountName=a;AccountKey={MASK};B=c"),
    ],
)
def test_addresses_headers_and_connection_strings(argument: str, shown: str) -> None:
    assert masked(argument) == (shown,)


@pytest.mark.parametrize(
    "key",
    [
        "AKIA" + "B3" * 8,
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1_" * 12,
        "glpat-" + "x9" * 10,
        "hf_" + "Qw" * 12,
        "sk-" + "a1" * 12,
        "xoxb-" + "1234567890-ab",
        "AIza" + "Sy1_" * 9,
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
        "npm_" + "aB3" * 12,
        "pypi-AgEIcHlwaS5vcmc" + "a1_" * 10,
        "sk_live_" + "a1B2" * 6,
        "SG." + "ab1-" * 5 + "." + "cd2_" * 8,
        "hvs." + "CAES" * 8,
        "dapi" + "0f" * 16,
        "dop_v1_" + "0a" * 32,
        "dckr_pat_" + "a-1" * 9,
        "123456789:AA" + "Fb_" * 11,
    ],
)
def test_what_services_keys_look_like_wherever_it_stands(key: str) -> None:
    assert masked(key) == (MASK,)
    assert masked(f"--with={key}", f"a {key} b") == (f"--with={MASK}", f"a {MASK} b")


def test_values_of_the_environment_s_secrets() -> None:
    environ = {"WANDB_API_KEY": "zebrafish", "MY_PASSWORD": "walnut-tree", "HOME": "/home/ann"}
    assert masked("log-in", "zebrafish", "x=walnut-tree", "/home/ann", **environ) == (
        "log-in", MASK, f"x={MASK}", "/home/ann",
    )  # fmt: skip


@pytest.mark.parametrize(
    "argument",
    [
        "train.py", "--epochs=3", "--learning-rate", "1e-4", "-v", "--max-tokens=512", "--tokenizer=bert-base", "key=5",
        "tokenized/train.bin", "--password-file=/run/secrets/db", "--secret-path=/x", "--design=blue", "sigma=2",
        "--passes=3", "--author", "compass=5", "-p8080", "-parallel", "authors=2", "bypass=1", "-pv", "-print0",
        "s3://bucket/a/b.csv", "https://example.org/x?y=1", "SELECT a, b FROM t WHERE c = 'd'", "--author=Ann", "",
    ],
)  # fmt: skip
def test_ordinary_arguments_stay_as_they_are(argument: str) -> None:
    assert masked(argument) == (argument,)


@given(
    st.lists(
        st.text(string.digits + "bdfhjlmnqrvxz" + " ./-_=:;,&?{}'\"\n+[]()äé", max_size=30),
        max_size=5,
    )
)
def test_nothing_else_changes(arguments: list[str]) -> None:
    assert masked(*arguments) == tuple(arguments)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=4),
    st.sampled_from(_NAMES),
    st.integers(0, 4),
)
def test_a_secret_among_any_arguments_is_masked_and_they_keep_their_number(
    arguments: list[str], name: str, at: int
) -> None:
    given_ = [*arguments[:at], f"--{name}", "hunter2", *arguments[at:]]
    shown = masked(*given_)
    assert len(shown) == len(given_)
    assert "hunter2" not in " ".join(shown)


def test_names_that_are_not_utf_8_can_be_written_down() -> None:
    assert masked("caf\udce9") == ("caf\\xe9",)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("curl -u ann:hunter2 https://h/x", "curl -u ann:**** https://h/x"),
        ("curl -uann:hunter2 x", "curl -uann:**** x"),
        ("/usr/bin/curl --user=ann:hunter2 x", "/usr/bin/curl --user=ann:**** x"),
        ("curl -U p:hunter2 -u ann x", "curl -U p:**** -u ann x"),
        ("mysql -uroot -phunter2 db", "mysql -uroot -p**** db"),
        ("env A=1 mysqldump -phunter2 db", "env A=1 mysqldump -p**** db"),
        ("sshpass -p hunter2 ssh h", "sshpass -p **** ssh h"),
        ("redis-cli -a hunter2 get x", "redis-cli -a **** get x"),
        ("http -a ann:hunter2 :8000", "http -a ann:**** :8000"),
        ("smbclient -U ann%hunter2 //h/s", "smbclient -U ann%**** //h/s"),
        ("docker login -u ann -p hunter2", "docker login -u ann -p ****"),
        ("x -phunter2", "x -p****"),
        ("x --pass hunter2 y", "x --pass **** y"),
        ("x --auth hunter2 y", "x --auth **** y"),
        ("X_CRED=hunter2 y", "X_CRED=**** y"),
    ],
)
def test_what_programs_take_as_a_password(line: str, shown: str) -> None:
    assert masked(*line.split()) == tuple(shown.split())
    assert masked("sh", "-c", f"cd a; {line}") == ("sh", "-c", f"cd a; {shown}")


def test_the_inside_of_a_private_key() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nhunter2\n-----END RSA PRIVATE KEY-----"
    (shown,) = masked(f"--stdin-is\n{key}")
    assert "hunter2" not in shown
