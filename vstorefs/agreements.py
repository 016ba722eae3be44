"""Whether credentials may go where a project file leads: only to what the user has agreed to.

A project file comes with a repository, and so from anybody. Where it names a server, a proxy or certificates that are
not the provider's own, whoever wrote it would get what the user's credentials give: tokens, signatures that can be used
again, passwords. So each such way is agreed to once, by the user, and remembered in the user's state directory, outside
of all repositories. No agreement is needed where nothing is sent that could be used again (`anonymous`, a web address
that netrc has nothing for), for this machine itself, for the provider's own servers, and for what the environment
names. Whatever reads a project file comes by `require`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import netrc
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors, files
from vstorefs.errors import Way
from vstorefs.model import StoreSpec
from vstorefs.project import state_home
from vstorefs.stores import registry

_FILE = "agreed"
_ORIGIN = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]+)?)(/[^\s\\]*)?",
    re.IGNORECASE,
)
"""An address that all libraries read alike; one that is none is nobody's own, whatever it seems to be."""
_PROVIDERS = {
    "s3": r"s3\.amazonaws\.com|s3\.(dualstack\.)?[a-z0-9-]+\.amazonaws\.com",
    "gs": r"storage\.googleapis\.com",
    "az": r"[a-z0-9]+\.blob\.core\.windows\.net",
}


@dataclass(frozen=True, slots=True)
class _Address:
    """An address, read so strictly that no library can read another one."""

    text: str
    host: str
    is_plain: bool

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def is_of(self, scheme: str) -> bool:
        """Whether it is the usual one of a kind of store, by https."""
        own = _PROVIDERS.get(scheme)
        return not self.is_plain and own is not None and bool(re.fullmatch(own, self.host))


def require(path: Path, stores: Iterable[StoreSpec], environ: Mapping[str, str]) -> None:
    """See that the user has agreed to all ways that a project file leads credentials. Raises: NotAgreed."""
    ways = tuple(dict.fromkeys(way for spec in stores for way in _ways(spec, environ)))
    if not ways:
        return
    agreed = _agreed(environ)
    missing = tuple(way for way in ways if _line(way) not in agreed)
    if missing:
        raise errors.NotAgreed(str(path), missing)


def agree(ways: Iterable[Way], environ: Mapping[str, str]) -> None:
    """Remember that the user agrees to these. Raises: UsageError where that cannot be written."""
    file = _file(environ)
    lines = sorted(_agreed(environ) | {_line(way) for way in ways})
    try:
        files.make_private(file.parent)
        files.write_durably(file, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise errors.UsageError(f"cannot write {file}: {error.strerror}") from error


def _file(environ: Mapping[str, str]) -> Path:
    return state_home(environ) / _FILE


def _agreed(environ: Mapping[str, str]) -> set[str]:
    try:
        return set(_file(environ).read_text("ascii").splitlines())
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"cannot read {_file(environ)}: {error}") from error


def _line(way: Way) -> str:
    """One line, whatever a stranger has put into an address."""
    return ascii(" ".join((way.what, way.scheme, way.mark or way.address)))


def _ways(spec: StoreSpec, environ: Mapping[str, str]) -> Iterator[Way]:
    """What is to be agreed to before credentials go to a store of a project file."""
    if spec.anonymous or registry.is_local(spec):
        return
    kind = registry.kind_of(spec.url)
    scheme = spec.url.partition(":")[0]
    targets = (
        [_read(spec.endpoint)]
        if spec.endpoint is not None
        else []
        if kind.form is registry.Form.BUCKET
        else _with_credentials(spec, environ)
    )
    if kind.form is registry.Form.SITE and not targets:
        return
    own = {environ.get(name) for name in kind.endpoints}
    for target in targets:
        if not (target.is_here or target.is_of(scheme) or spec.endpoint in own - {None}):
            what = "endpoint" if kind.form is registry.Form.BUCKET else "address"
            yield Way(what, spec.alias, scheme, target.text, is_plain=target.is_plain)
    if spec.proxy is not None and not _read(spec.proxy).is_here:
        yield Way("proxy", spec.alias, scheme, _read(spec.proxy).text)
    if spec.ca_bundle is not None and not (targets and all(one.is_here for one in targets)):
        yield Way("ca-bundle", spec.alias, scheme, spec.ca_bundle, mark=_digest(spec.ca_bundle))


def _with_credentials(spec: StoreSpec, environ: Mapping[str, str]) -> list[_Address]:
    """The web addresses of a store that netrc has a name and a password for."""
    urls = [url for _, url in spec.files] or [spec.url]
    found = {address.text: address for address in map(_read, urls)}
    known = _netrc(environ) if found else None
    return [one for one in found.values() if known is not None and known.authenticators(one.host)]


def _netrc(environ: Mapping[str, str]) -> netrc.netrc | None:
    home = Path(environ.get("HOME", "~")).expanduser()
    named = environ.get("NETRC")
    for file in [Path(named)] if named else [home / ".netrc", home / "_netrc"]:
        try:
            return netrc.netrc(str(file.expanduser()))
        except (OSError, netrc.NetrcParseError):
            continue
    return None


def _read(address: str) -> _Address:
    found = _ORIGIN.fullmatch(address)
    if found is None:
        return _Address(address, "", not address.lower().startswith("https://"))
    host = found["host"].lower().strip("[]")
    return _Address(found["origin"].lower(), host, found["scheme"].lower() == "http")


def _digest(file: str) -> str:
    """Another content is another agreement."""
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise errors.UsageError(f"cannot read the certificates {file}: {error.strerror}") from error
