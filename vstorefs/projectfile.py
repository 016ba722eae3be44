"""The project file `vstorefs.toml`: one description of its keys, for the check and for the JSON schema. Pure.

The structs below say which keys there are, of which type and within which bounds, and what each is for. `checked`
converts a file's content to them; where that fails it looks for the first thing that is wrong and says what would be
right, in words made from the same structs. What takes more than the types to know is checked in `projectsources.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, inspect

from vstorefs import errors
from vstorefs.project import WHOLE_PART
from vstorefs.stores.registry import SCHEMES

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_WEB_ADDRESS = {"type": "string", "pattern": "^https?://"}

_StoreUrl = Annotated[str, Meta(extra_json_schema={"pattern": f"^({'|'.join(SCHEMES)})://"})]
_Seconds = Annotated[float, Meta(ge=0)]
_AtOnce = Annotated[int, Meta(ge=1, le=1000)]
_Part = Annotated[float, Meta(ge=0, le=1)]
_Pattern = Annotated[str, Meta(min_length=1)]


class StoreTable(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """One store."""

    url: Annotated[
        _StoreUrl | None, Meta(description="Where the store is. It holds no credentials.")
    ] = None
    read_only: Annotated[bool, Meta(description="Allow no change.")] = False
    listing_seconds: Annotated[
        _Seconds | None, Meta(description="How old what is shown may be.")
    ] = None
    endpoint: Annotated[
        str | None, Meta(description="The server, where it is not the provider's usual one.")
    ] = None
    region: Annotated[str | None, Meta(description="An S3 bucket's region.")] = None
    anonymous: Annotated[bool, Meta(description="Ask without credentials, for what is public.")] = (
        False
    )
    requester_pays: Annotated[bool, Meta(description="Agree to pay for requests.")] = False
    proxy: Annotated[str | None, Meta(description="http://HOST:PORT, for this store alone.")] = None
    ca_bundle: Annotated[
        str | None, Meta(description="A file of certificates that the server is trusted by.")
    ] = None
    concurrency: Annotated[
        _AtOnce | None, Meta(description="How many requests may wait for this store at once.")
    ] = None
    files: Annotated[
        dict[str, str],
        Meta(
            description="Single web addresses, each under the name that it is shown with.",
            extra_json_schema={"additionalProperties": _WEB_ADDRESS},
        ),
    ] = {}


class CacheTable(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The cache of what was read."""

    size: Annotated[
        str | None, Meta(description="How large the cache may grow, such as 50 GiB.")
    ] = None


class HashTable(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """When files that were read in part are read to their end and hashed."""

    whole_below: Annotated[
        str | None, Meta(description="Files up to this size are read to their end.")
    ] = None
    whole_above_part: Annotated[
        _Part, Meta(description="Larger ones, if at least this part was read.")
    ] = WHOLE_PART


_Store = Annotated[
    StoreTable,
    Meta(
        extra_json_schema={"anyOf": [{"required": ["url"]}, {"required": ["files"]}]},
        extra={"expected": "a table; write [stores.NAME] and below it url = …"},
    ),
]


class ProjectFile(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The whole file."""

    stores: Annotated[
        dict[str, _Store],
        Meta(
            min_length=1,
            description="The stores; each is a directory at the top of the mount.",
            extra={"missing": 'no store is named; add a table [stores.NAME] with url = "…"'},
        ),
    ]
    project: Annotated[str, Meta(description="A name, for people.")] = ""
    default: Annotated[
        str | None, Meta(description="The store that the project's own records go to.")
    ] = None
    write: Annotated[
        Literal["through", "back"],
        Meta(
            description="When a close returns: the store has the content (through), or the journal has it (back).",
            extra={"expected": '"through" or "back"'},
        ),
    ] = "through"
    scratch: Annotated[
        tuple[_Pattern, ...],
        Meta(
            description="Patterns of temporary names, which are uploaded only if they stay.",
            extra={"expected": 'a list of patterns, such as ["*.tmp"]'},
        ),
    ] = ()
    cache: Annotated[CacheTable, Meta(description="The cache of what was read.")] = CacheTable()
    hash: Annotated[
        HashTable,
        Meta(description="When files that were read in part are read to their end and hashed."),
    ] = HashTable()


def checked(table: Mapping[str, Any]) -> ProjectFile:
    """A file's content. Raises: UsageError that names the key, what is wrong and what would be right."""
    try:
        return msgspec.convert(table, ProjectFile)
    except msgspec.ValidationError as error:
        _find_fault(table, inspect.type_info(ProjectFile), "")
        # Something is wrong that has no words of ours.
        raise errors.UsageError(str(error)) from error


def key_names() -> list[str]:
    """Every key of the file, as documentation names it: `stores.NAME.url`."""
    return _keys(inspect.type_info(ProjectFile), "")


def schema() -> dict[str, Any]:
    """The schema of `vstorefs.toml`, draft 2020-12, for editors."""
    made: dict[str, Any] = _without_null(msgspec.json.schema(ProjectFile))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vstorefs project file",
        **made,
    }


def parse_size(text: str) -> int:
    """Bytes of a size such as `50 GiB`, `1.5GB` or `1048576`. Raises: UsageError."""
    match = _SIZE.fullmatch(text)
    unit = match[2] if match else ""
    factor = _UNITS.get(unit) or _UNITS.get(f"{unit}iB")
    if match is None or factor is None:
        raise errors.UsageError(f"{text!r} is not a size; write for instance 50 GiB or 500 MB")
    return int(float(match[1]) * factor)


def _find_fault(table: Mapping[str, Any], known: inspect.Type, prefix: str) -> None:
    """Look for what does not fit a struct. Raises: UsageError for the first such thing."""
    assert isinstance(known, inspect.StructType)
    fields = {field.encode_name: field for field in known.fields}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are: {', '.join(fields)}"
            raise errors.UsageError(f"unknown key {prefix}{key}; {hint}")
        _find_fault_in_value(value, fields[key].type, f"{prefix}{key}")
    for key, field in fields.items():
        if field.required and not table.get(key):
            raise errors.UsageError(_extra(field.type, "missing") or f"{prefix}{key} is missing")


def _find_fault_in_value(value: Any, wanted: inspect.Type, where: str) -> None:
    kind = _bare(wanted)
    if not _fits(value, kind):
        raise errors.UsageError(
            f"{where} is {value!r}, which is not {_extra(wanted, 'expected') or _words(kind)}"
        )
    if isinstance(kind, inspect.StructType):
        _find_fault(value, kind, f"{where}.")
    if isinstance(kind, inspect.DictType):
        for name, one in value.items():
            _find_fault_in_value(one, kind.value_type, f"{where}.{name}")


def _fits(value: Any, kind: inspect.Type) -> bool:
    """Whether a value is of a kind; of tables only that they are tables."""
    match kind:
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case inspect.VarTupleType(item_type=item):
            return isinstance(value, list) and all(_fits(one, _bare(item)) for one in value)
        case inspect.LiteralType(values=values):
            return value in values
        case inspect.StrType(min_length=shortest):
            return isinstance(value, str) and len(value) >= (shortest or 0)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return _is_number(value, int) and _is_within(value, kind)
        case inspect.FloatType():
            return _is_number(value, (int, float)) and _is_within(value, kind)
    raise AssertionError(kind)


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{_bounds(kind)}"
        case inspect.VarTupleType():
            return "a list"
    return "text in quotes"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    return f" from {kind.ge} on" if kind.ge is not None else ""


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without what is said about it, and without the None that stands for a key that is left out."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        return _bare(kind)
    return kind


def _extra(kind: inspect.Type, name: str) -> str:
    found = kind.extra if isinstance(kind, inspect.Metadata) else None
    return str((found or {}).get(name, ""))


def _keys(known: inspect.Type, prefix: str) -> list[str]:
    assert isinstance(known, inspect.StructType)
    found: list[str] = []
    for field in known.fields:
        kind = _bare(field.type)
        if isinstance(kind, inspect.StructType):
            found += _keys(kind, f"{prefix}{field.encode_name}.")
        elif isinstance(kind, inspect.DictType) and isinstance(
            one := _bare(kind.value_type), inspect.StructType
        ):
            found += _keys(one, f"{prefix}{field.encode_name}.NAME.")
        else:
            found.append(prefix + field.encode_name)
    return found


def _without_null(schema: Any) -> Any:
    """A schema without the null that stands for a key that is left out: TOML has none."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _without_null(one) for name, one in schema.items() if one is not None}
    match found.get("anyOf"):
        case [one, {"type": "null"}] | [{"type": "null"}, one]:
            del found["anyOf"]
            found |= one
    return found
