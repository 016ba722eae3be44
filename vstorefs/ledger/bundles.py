"""Many manifests in one object, in short, so that a host that knows none does not fetch them one by one. Pure.

A bundle names each content once; a run's inputs and outputs are numbers of contents. What only a manifest tells
(arguments' whole list stays; how much was read, how often a file was opened) is not in it. Format 1, JSON, gzip.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from vstorefs import errors
from vstorefs.ledger.manifest import ChangeWarning, Manifest, Place, Run, Seen
from vstorefs.stores.ids import derived_id

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One content of one path."""

    place: Place
    content: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """One run. `used` and `made` are pairs of a content's number and when it was last used, or made."""

    run: Run
    used: tuple[tuple[int, datetime], ...] = ()
    made: tuple[tuple[int, datetime], ...] = ()
    warnings: tuple[ChangeWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Runs, and what they used and made."""

    format: int = FORMAT
    items: tuple[Item, ...] = ()
    runs: tuple[Bundled, ...] = field(default_factory=tuple)


_decode = msgspec.json.Decoder(Bundle)


def bundle(manifests: Iterable[Manifest]) -> Bundle:
    """Manifests in short. Versions that were asked for by name are left out: nothing is compared with them."""
    numbers: dict[tuple[str, str, str], int] = {}
    items: list[Item] = []
    runs = []

    def number(place: Place, content: Seen) -> int:
        known = (place.store, place.path, content.token)
        if known not in numbers:
            numbers[known] = len(items)
            items.append(Item(place=place, content=content))
        elif content.hashes is not None and items[numbers[known]].content.hashes is None:
            items[numbers[known]] = Item(place=place, content=content)
        return numbers[known]

    for one in manifests:
        used = tuple(
            (number(use.place, use.content), use.last_used) for use in one.inputs if not use.pinned
        )
        made = tuple((number(out.place, out.content), out.made) for out in one.outputs)
        runs.append(Bundled(run=one.run, used=used, made=made, warnings=one.warnings))
    return Bundle(items=tuple(items), runs=tuple(runs))


def name_of(runs: Sequence[str]) -> str:
    """The id of a bundle: the same runs make the same bundle, whoever writes it."""
    return derived_id("\0".join(sorted(runs)))


def encode(whole: Bundle) -> bytes:
    """A bundle as it is stored."""
    return gzip.compress(msgspec.json.encode(whole), mtime=0)


def decode(data: bytes, name: str) -> Bundle:
    """A bundle. Raises: NotSupported for a newer format, Corrupt for what is none; both name it."""
    try:
        found = _decode.decode(gzip.decompress(data))
    except (msgspec.DecodeError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise errors.Corrupt(f"{name} is no readable bundle of runs: {error}") from error
    if found.format > FORMAT:
        raise errors.NotSupported(
            f"{name} has format {found.format}, and this vstorefs knows {FORMAT}; install a newer vstorefs"
        )
    return found
