"""How names, times and commands are written: whatever a name holds, a shell takes it as it is."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from vstorefs.logs import visible
from vstorefs.web import texts

_NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(_NAMES)
def test_what_is_shown_can_be_seen(name: str) -> None:
    assert visible(name).isprintable()


@settings(max_examples=60, deadline=None)
@given(st.lists(_NAMES, min_size=1, max_size=8))
def test_a_shell_takes_a_command_as_it_was(words: list[str]) -> None:
    line = f"printf '%s\\0' {texts.command_line(words)}"
    found = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert found.stdout.decode().split("\0")[:-1] == words
