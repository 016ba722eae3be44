"""Arguments as a manifest may show them: what looks like a secret is masked. Pure.

Masked are the value of an option or variable whose name tells of a secret, what well-known programs take as a password
(`curl -u NAME:PASSWORD`, `mysql -pPASSWORD`), what services' keys look like, credentials in addresses, and what the log
masks. Names of files with secrets stay, and so do a model's tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vstorefs.logs import Redaction

MASK = "****"
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret(?!ar)|token(?!s|i[sz])|credential|api[-_]?key|access[-_]?key|"
    r"private[-_]?key|account[-_]?key|auth[-_]?key|connection[-_]?string|\bsig\b|"
    r"(?<![a-z])(?:pass|pwd|auth|creds?)(?![a-z]))(?![\w.-]*(?:file|path))[\w.-]*"
)
_WHOLE = re.compile(rf"(?is)^(--?{_NAME}=|(?!-){_NAME}=)(.+)$")
_VALUE = r"(?!\*\*\*\*)(?:\"[^\"]*\"|'[^']*'|[^\s;,&'\"]+)"
_ASSIGNED = re.compile(rf"(?i)((?:^|[\s;,&?{{'\"-]){_NAME}['\"]?\s*[=:]\s*){_VALUE}")
_FOLLOWED = re.compile(rf"(?i)((?:^|[\s'\"])--?{_NAME}\s+)(?!-){_VALUE}")
_OPTION = re.compile(rf"(?i)^--?{_NAME}$")
_LOOKS_LIKE_PASSWORD = re.compile(r"^(-p)(?=\S*\d)(?=\S*[A-Za-z])[^\s=/.:,-]{6,}$")
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|ptt|rt|agent)-[\w-]{16,}|hf_[A-Za-z0-9]{16,}|"
    r"sk-[\w-]{16,}|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|AIza[\w-]{30,}|"
    r"ya29\.[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|npm_[A-Za-z0-9]{30,}|"
    r"pypi-[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|do[opr]_v1_[a-f0-9]{40,}|dapi[a-f0-9]{32}|hv[sb]\.[\w-]{20,}|"
    r"dckr_pat_[\w-]{20,}|gl(?:sa|c)_[\w+/=]{20,}|lin_api_\w{20,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|"
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}|\d{8,10}:AA[\w-]{30,}|ATATT3[\w=-]{20,})"
)
_PEM = re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----).*?(-----END|$)")

_MYSQL = dict.fromkeys(
    ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump"), "-p"
)
_ATTACHED: Mapping[str, str] = {
    **_MYSQL,
    "sshpass": "-p",
    "7z": "-p",
    "7za": "-p",
    "sqlcmd": "-P",
    "zip": "-P",
}
"""Programs, and the option that a password is written right behind."""
_AFTER: Mapping[str, frozenset[str]] = {
    program: frozenset(options.split())
    for program, options in {
        "sshpass": "-p",
        "redis-cli": "-a",
        "mongo": "-p",
        "mongosh": "-p",
        "mongodump": "-p",
        "mongorestore": "-p",
        "ldapsearch": "-w",
        "ldapmodify": "-w",
        "docker": "-p",
        "podman": "-p",
        "az": "-p",
        "sqlcmd": "-P",
        "zip": "-P",
        "unzip": "-P",
        "ipmitool": "-P",
    }.items()
}
"""Programs, and the options whose next argument is a password."""
_LOGIN: Mapping[str, frozenset[str]] = {
    program: frozenset(options.split())
    for program, options in {
        "curl": "-u --user -U --proxy-user",
        "http": "-a --auth",
        "https": "-a --auth",
        "xh": "-a --auth",
        "smbclient": "-U --user",
    }.items()
}
"""Programs, and the options whose value is a name, and behind a colon or a per cent sign a password."""
_LOGIN_VALUE = re.compile(r"^([^:%]*[:%]).+$", re.DOTALL)
_KNOWN = frozenset({*_ATTACHED, *_AFTER, *_LOGIN})
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")


def mask_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments, printable and without secrets; `environ` holds values that are secret wherever they appear."""
    log = Redaction(environ)
    shown: list[str] = []
    is_value = False
    texts = [
        one.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        for one in arguments
    ]
    for text, of_program in zip(texts, _of_programs(texts), strict=True):
        if is_value and not text.startswith("-"):
            shown.append(MASK)
        elif of_program is not None:
            shown.append(of_program)
        else:
            shown.append(_masked(log.mask(_line_of_programs(text))))
        is_value = _OPTION.match(text) is not None
    return tuple(shown)


def _of_programs(words: Sequence[str]) -> list[str | None]:
    """What well-known programs take as a password, masked; None for words that are none."""
    program, option = "", ""
    found: list[str | None] = []
    for word in words:
        name = word.rpartition("/")[2]
        found.append(_of_program(program, option, word))
        if name in _KNOWN:
            program = name
        option = word
    return found


def _of_program(program: str, option: str, word: str) -> str | None:
    login, attached = _LOGIN.get(program, frozenset()), _ATTACHED.get(program)
    if option in login:
        return _LOGIN_VALUE.sub(rf"\1{MASK}", word)
    if option in _AFTER.get(program, frozenset()) and not word.startswith("-"):
        return MASK
    for one in login:
        # `-uNAME:PASSWORD`, `--user=NAME:PASSWORD`
        start = f"{one}=" if one.startswith("--") else one
        if word.startswith(start) and len(word) > len(start) and not word.startswith(f"-{start}"):
            return start + _LOGIN_VALUE.sub(rf"\1{MASK}", word[len(start) :])
    if attached is not None and word.startswith(attached) and len(word) > len(attached):
        return attached + MASK
    return (
        _LOOKS_LIKE_PASSWORD.sub(rf"\1{MASK}", word) if _LOOKS_LIKE_PASSWORD.match(word) else None
    )


def _line_of_programs(text: str) -> str:
    """The same within a line for a shell."""
    words = list(_WORD.finditer(text))
    if len(words) < 2:
        return text
    masked = _of_programs([one[0].strip("\"'") for one in words])
    for one, new in reversed(list(zip(words, masked, strict=True))):
        if new is not None:
            text = text[: one.start()] + new + text[one.end() :]
    return text


def _masked(text: str) -> str:
    whole = _WHOLE.match(text)
    if whole is not None:
        return whole[1] + MASK
    for pattern in (_ASSIGNED, _FOLLOWED):
        text = pattern.sub(rf"\1{MASK}", text)
    return _PEM.sub(rf"\1{MASK}\2", _SHAPES.sub(MASK, text))
