"""Any values of the ledger, for properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from vstorefs.ledger.manifest import (
    SEQUENCE_MAX,
    ChangeWarning,
    Earlier,
    Input,
    Manifest,
    Output,
    Place,
    Run,
    RunKind,
    RunStatus,
    Seen,
    WarningKind,
)
from vstorefs.model import Hashes, Key, RunId, StoreId, Token
from vstorefs.stores.ids import to_id

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.timedeltas(timedelta(0), timedelta(days=60_000)).map(
    lambda since: datetime(1971, 1, 1, tzinfo=UTC) + since
)
sizes = st.integers(0, 1 << 50)
sequences = st.integers(0, SEQUENCE_MAX)
run_ids = st.integers(0, (1 << 128) - 1).map(lambda number: RunId(to_id(number)))
hashes = st.builds(
    Hashes, *[st.text("0123456789abcdef", min_size=n, max_size=n) for n in (32, 40, 64)]
)
places = st.builds(
    Place, store=st.sampled_from([StoreId("s" * 32)]), alias=text, path=text.map(Key)
)
contents = st.builds(
    Seen,
    token=text.map(Token),
    size=sizes,
    version=st.none() | text,
    hashes=st.none() | hashes,
    strong=st.booleans(),
)
earlier = st.builds(
    Earlier,
    content=contents,
    time=times,
    run=run_ids,
    run_name=text,
    host=text,
    sequence=sequences,
)
warnings = st.builds(
    ChangeWarning,
    kind=st.sampled_from(WarningKind),
    place=places,
    time=times,
    run=run_ids,
    before=st.none() | earlier,
    now=st.none() | contents,
)
runs = st.builds(
    Run,
    id=run_ids,
    project=st.just(StoreId("p" * 32)),
    kind=st.sampled_from(RunKind),
    sequence=sequences,
    started=times,
    user=text,
    host=text,
    name=text,
    status=st.sampled_from(RunStatus),
    ended=st.none() | times,
    exit_status=st.none() | st.integers(0, 255),
    command=st.lists(text, max_size=3).map(tuple),
    folder=text,
    commit=st.none() | text,
)
inputs = st.builds(
    Input,
    place=places,
    content=contents,
    first_used=times,
    last_used=times,
    opens=sizes,
    read_bytes=sizes,
    inherited=st.booleans(),
    pinned=st.booleans(),
    sequence=sequences,
)
outputs = st.builds(Output, place=places, content=contents, made=times, sequence=sequences)
manifests = st.builds(
    Manifest,
    run=runs,
    inputs=st.lists(inputs, max_size=3).map(tuple),
    outputs=st.lists(outputs, max_size=3).map(tuple),
    warnings=st.lists(warnings, max_size=3).map(tuple),
    stores=st.dictionaries(text, text, max_size=2),
)
