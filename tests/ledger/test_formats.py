"""Manifests, bundles and acknowledgements: what is written is read again, and what cannot be read is named."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger import values
from tests.ledger.hosts import LedgerHost, seen
from vstorefs import errors
from vstorefs.ledger import bundles, manifest
from vstorefs.ledger.manifest import Acknowledgement, Input, Manifest, Output

_ACKS = st.builds(
    Acknowledgement,
    id=values.run_ids,
    project=st.just("p"),
    place=values.places,
    content=st.none() | values.contents,
    time=values.times,
    user=values.text,
    host=values.text,
    why=values.text,
    sequence=values.sequences,
    ends=st.lists(st.tuples(values.run_ids, values.times), max_size=2).map(tuple),
)
_DECODERS = {
    "manifest": manifest.decode,
    "bundle": bundles.decode,
    "acknowledgement": manifest.decode_ack,
}


@given(values.manifests)
def test_a_manifest_is_read_as_it_was_written(whole: Manifest) -> None:
    assert manifest.decode(manifest.encode(whole), "it") == whole


@given(_ACKS)
def test_an_acknowledgement_is_read_as_it_was_written(ack: Acknowledgement) -> None:
    assert manifest.decode_ack(msgspec.json.encode(ack), "it") == ack


@given(st.lists(values.manifests, max_size=4))
def test_a_bundle_tells_of_every_use_that_counts(whole: list[Manifest]) -> None:
    found = bundles.decode(bundles.encode(bundles.bundle(whole)), "it")
    assert [one.run for one in found.runs] == [one.run for one in whole]
    assert [one.warnings for one in found.runs] == [one.warnings for one in whole]
    for bundled, one in zip(found.runs, whole, strict=True):
        told = [
            (found.items[number].place.path, found.items[number].content.token, time, sequence)
            for number, time, sequence in bundled.used
        ]
        assert told == [
            (use.place.path, use.content.token, use.last_used, use.sequence)
            for use in one.inputs
            if not use.pinned
        ]
    for item in found.items:
        uses: list[Input | Output] = []
        for one in whole:
            uses += [*(use for use in one.inputs if not use.pinned), *one.outputs]
        contents = [
            use.content
            for use in uses
            if (use.place.path, use.content.token) == (item.place.path, item.content.token)
        ]
        assert (item.content.hashes is None) == all(one.hashes is None for one in contents)


def test_equal_runs_make_equal_bundles_whoever_writes_them() -> None:
    assert bundles.name_of(["b", "a"]) == bundles.name_of(["a", "b"]) != bundles.name_of(["a"])


def _packed(what: str, data: bytes) -> bytes:
    return gzip.compress(data) if what == "bundle" else data


@pytest.mark.parametrize("what", _DECODERS)
def test_a_newer_format_is_refused_by_name_whatever_is_in_it(what: str) -> None:
    data = _packed(what, json.dumps({"format": 2, "runs": "something else"}).encode())
    with pytest.raises(errors.NotSupported, match=r"runs/x\.json has format 2.* newer vstorefs"):
        _DECODERS[what](data, "runs/x.json")


@pytest.mark.parametrize("what", _DECODERS)
@given(data=st.binary(max_size=60) | values.text.map(str.encode))
@settings(max_examples=50)
def test_what_cannot_be_read_is_named(what: str, data: bytes) -> None:
    for tried in (data, _packed(what, data), _packed(what, b'{"format": 1, "run": {}, "runs": 3}')):
        with pytest.raises(errors.Corrupt, match=r"runs/x\.json is no readable"):
            _DECODERS[what](tried, "runs/x.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("started", "2026-11-20T14:02:00"),
        ("sequence", 1 << 60),
        ("sequence", -1),
        ("status", "unheard of"),
    ],
)
def test_values_that_cannot_be_are_refused(a: LedgerHost, field: str, value: object) -> None:
    run = a.begin()
    a.use(run, "x", seen("t"))
    data = json.loads(manifest.encode(a.end(run)))
    assert manifest.decode(json.dumps(data).encode(), "it").run.id == run.id
    data["run"][field] = value
    with pytest.raises(errors.Corrupt, match="it is no readable manifest"):
        manifest.decode(json.dumps(data).encode(), "it")


def test_half_a_bundle_is_refused() -> None:
    good = bundles.encode(bundles.bundle([]))
    with pytest.raises(errors.Corrupt):
        bundles.decode(good[: len(good) // 2], "it")


@given(values.manifests)
def test_a_bundle_whose_numbers_lead_nowhere_is_refused(whole: Manifest) -> None:
    made = bundles.bundle([whole])
    if made.items:
        data = json.loads(gzip.decompress(bundles.encode(made)))
        data["items"] = []
        with pytest.raises(errors.Corrupt, match="lacks contents"):
            bundles.decode(gzip.compress(json.dumps(data).encode()), "it")


def test_what_a_reader_does_not_know_it_leaves_alone(a: LedgerHost) -> None:
    run = a.begin("trained")
    data = json.loads(manifest.encode(a.end(run)))
    data["later"] = {"added": True}
    data["run"]["later"] = 1
    assert manifest.decode(json.dumps(data).encode(), "it").run.name == "trained"
