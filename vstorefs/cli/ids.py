"""Ids of versions that begin with `-`, as a bucket's own may: on the command line they are values, not options.

A word is taken for such an id if it has one dash and more than one character behind it, where a command takes
ids. What argparse offers stays: `--version=ID`, and `--` before what is no option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def as_values(words: Sequence[str]) -> list[str]:
    """A command with its arguments, in which argparse takes no such id for an option."""
    end = words.index("--") if "--" in words else len(words)
    given, rest = words[:end], words[end:]
    match words[:1]:
        case ["restore" | "export"]:
            return [*_bound(given), *rest]
        case ["purge"]:
            return [*_each_bound(given), *rest]
        case ["diff"] if not rest and any(map(_is_id, given)):
            # None of its options takes a value, so all of them may go first.
            options = [word for word in given[1:] if _is_option(word)]
            return ["diff", *options, "--", *(word for word in given[1:] if not _is_option(word))]
    return list(words)


def _bound(words: Sequence[str]) -> Iterator[str]:
    """`--version -x` as `--version=-x`."""
    waiting = iter(words)
    for word in waiting:
        value = next(waiting, None) if word == "--version" else None
        if value is None:
            yield word
        elif _is_id(value):
            yield f"{word}={value}"
        else:
            yield from (word, value)


def _each_bound(words: Sequence[str]) -> Iterator[str]:
    """`--versions x -y` as `--versions=x --versions=-y`."""
    behind = False
    for position, word in enumerate(words):
        if word == "--versions" and not _is_option((*words, "-")[position + 1]):
            behind = True
            continue
        behind = behind and not _is_option(word)
        yield f"--versions={word}" if behind else word


def _is_id(word: str) -> bool:
    return len(word) > len("-h") and word.startswith("-") and not word.startswith("--")


def _is_option(word: str) -> bool:
    return word.startswith("-") and not _is_id(word)
