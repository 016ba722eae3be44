"""Names of versions never change, sort oldest first, and tell versions apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vstorefs.model import Key, Mark, Version, VersionId, VersionKind
from vstorefs.versions.history.names import quote, unquote, version_names


def version(time_ns: int, number: int, kind: VersionKind = VersionKind.CONTENT) -> Version:
    return Version(Key("f"), VersionId(f"{number:026d}"), kind, time_ns)


def test_a_name_as_the_design_shows_it() -> None:
    one = Version(
        Key("f.gz"),
        VersionId("k3v9x0q2m7ab" + "0" * 14),
        VersionKind.CONTENT,
        1_795_449_940_000_000_000,
    )
    assert version_names("f.gz", [one]) == ["2026-11-23T160540.000Z_k3v9x0q2m7ab.gz"]


def test_whole_seconds_are_ranked() -> None:
    second = 1_795_449_940 * 10**9
    names = version_names("f", [version(second, 1), version(second, 2), version(second + 10**9, 3)])
    assert [name.split("_")[0][-5:] for name in names if name] == [
        ".000Z"[-5:],
        ".001Z"[-5:],
        ".000Z"[-5:],
    ]


def test_what_has_no_content_has_no_name() -> None:
    gone = Version(Key("f"), VersionId("a"), VersionKind.CONTENT, 1, marks=(Mark.REPLACED_OUTSIDE,))
    assert version_names("f", [version(5, 1, VersionKind.TOMBSTONE), gone]) == [None, None]


@given(st.lists(st.integers(0, 4 * 10**18), max_size=30))
def test_names_sort_and_stay(times: list[int]) -> None:
    versions = [version(time, number) for number, time in enumerate(times)]
    if any(time % 10**9 for time in times[:1]):
        for length in range(len(versions)):
            assert (
                version_names("f.x", versions[:length]) == version_names("f.x", versions)[:length]
            )
    names = [name for name in version_names("f.x", versions) if name is not None]
    assert names == sorted(names)
    assert len(set(names)) == len(versions)


@given(st.text(min_size=1))
def test_quoting_goes_there_and_back(name: str) -> None:
    assert unquote(quote(name)) == name
    assert not quote(name).startswith("@") or quote(name).startswith("@@")
