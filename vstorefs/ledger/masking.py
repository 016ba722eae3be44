"""Arguments as a manifest may show them: what looks like a secret is masked. Pure.

Masked are the value of an option or variable whose name tells of a secret, what services' keys look like,
credentials in addresses, and what the log masks. Names of files with secrets stay, and so do a model's tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vstorefs.logs import Redaction

MASK = "****"
_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret(?!ar)|token(?!s|i[sz])|credential|api[-_]?key|access[-_]?key|"
    r"private[-_]?key|account[-_]?key|auth[-_]?key|connection[-_]?string|\bsig\b)(?![\w.-]*(?:file|path))[\w.-]*"
)
_WHOLE = re.compile(rf"(?is)^(--?{_NAME}=|(?!-){_NAME}=)(.+)$")
_VALUE = r"(?!\*\*\*\*)(?:\"[^\"]*\"|'[^']*'|[^\s;,&'\"]+)"
_ASSIGNED = re.compile(rf"(?i)((?:^|[\s;,&?{{'\"-]){_NAME}['\"]?\s*[=:]\s*){_VALUE}")
_FOLLOWED = re.compile(rf"(?i)((?:^|[\s'\"])--?{_NAME}\s+)(?!-){_VALUE}")
_OPTION = re.compile(rf"(?i)^--?{_NAME}$")
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|"
    r"xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|ya29\.[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|"
    r"(?:AKIA|ASIA)[A-Z0-9]{16})"
)


def mask_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments, printable and without secrets; `environ` holds values that are secret wherever they appear."""
    log = Redaction(environ)
    shown: list[str] = []
    is_value = False
    for argument in arguments:
        text = argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if is_value and not text.startswith("-"):
            shown.append(MASK)
        else:
            shown.append(_masked(log.mask(text)))
        is_value = _OPTION.match(text) is not None
    return tuple(shown)


def _masked(text: str) -> str:
    whole = _WHOLE.match(text)
    if whole is not None:
        return whole[1] + MASK
    for pattern in (_ASSIGNED, _FOLLOWED):
        text = pattern.sub(rf"\1{MASK}", text)
    return _SHAPES.sub(MASK, text)
