"""Many manifests in one object, in short, so that a host that knows none does not fetch them one by one. Pure.

A bundle names each content once; a run's inputs and outputs are numbers of contents. What only a manifest tells
(arguments' whole list stays; how much was read, how often a file was opened) is not in it. Format 1, JSON, gzip.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from vstorefs import errors
from vstorefs.ledger.manifest import (
    ChangeWarning,
    Manifest,
    Moment,
    Place,
    Run,
    Seen,
    Sequence,
    decode_known,
)
from vstorefs.stores.ids import derived_id, is_id

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One content of one path."""

    place: Place
    content: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """One run. `used` and `made` are a content's number, when it was last used, or made, and the sequence of that."""

    run: Run
    used: tuple[tuple[int, Moment, Sequence], ...] = ()
    made: tuple[tuple[int, Moment, Sequence], ...] = ()
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
            (number(use.place, use.content), use.last_used, use.sequence)
            for use in one.inputs
            if not use.pinned
        )
        made = tuple(
            (number(out.place, out.content), out.made, out.sequence) for out in one.outputs
        )
        runs.append(Bundled(run=one.run, used=used, made=made, warnings=one.warnings))
    return Bundle(items=tuple(items), runs=tuple(runs))


def name_of(runs: Iterable[str]) -> str:
    """The id of a bundle: the same runs make the same bundle, whoever writes it."""
    return derived_id("\0".join(sorted(runs)))


def encode(whole: Bundle) -> bytes:
    """A bundle as it is stored."""
    return gzip.compress(msgspec.json.encode(whole), mtime=0)


def decode(data: bytes, name: str) -> Bundle:
    """A bundle. Raises: NotSupported for a newer format, Corrupt for what is none; both name it."""
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise errors.Corrupt(f"{name} is no readable bundle of runs: {error}") from error
    found = decode_known(_decode, text, name, FORMAT, "bundle of runs")
    numbers = (number for one in found.runs for number, *_ in (*one.used, *one.made))
    if not all(0 <= number < len(found.items) for number in numbers):
        raise errors.Corrupt(
            f"{name} is no readable bundle of runs: it lacks contents that it names"
        )
    if not all(is_id(one.run.id) for one in found.runs):
        raise errors.Corrupt(f"{name} is no readable bundle of runs: it names runs that cannot be")
    return found
