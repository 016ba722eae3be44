"""A value of the cache says of each of its parts whether it is what was put."""

from __future__ import annotations

import random

import pytest

from vstorefs.cache.values import Value, checksum, encode

BLOCK = 64 << 10
KEY = b"k" * 20


def value_of(data: bytes) -> bytearray:
    return bytearray(encode(KEY, data))


def found(value: bytearray, key: bytes = KEY) -> Value:
    return Value(key, memoryview(value))


@pytest.mark.parametrize(
    "size", [0, 1, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 8, 2 * BLOCK, 16 * BLOCK]
)
def test_what_was_put_comes_out(size: int) -> None:
    data = random.Random(size).randbytes(size)
    value = found(value_of(data))
    assert bytes(value.data) == data
    assert value.is_sound()
    assert value.checksum == checksum(KEY, data)


def test_a_flipped_bit_anywhere_is_noticed_where_it_is_read_and_only_there() -> None:
    chance = random.Random(1)
    data = chance.randbytes(3 * BLOCK + 1000)
    whole = value_of(data)
    head = len(whole) - len(data)
    for at in [*range(head), *(chance.randrange(head, len(whole)) for _ in range(200))]:
        value = bytearray(whole)
        value[at] ^= 1 << chance.randrange(8)
        assert not found(value).is_sound(), at
        if at >= head:
            start = at - head
            assert not found(value).is_sound(start, start + 1)
            block = start // BLOCK
            others = [one for one in range(4) if one != block]
            assert all(found(value).is_sound(one * BLOCK, one * BLOCK + 10) for one in others)


def test_a_value_of_another_key_or_cut_short_is_no_sound_one() -> None:
    value = value_of(bytes(1000))
    assert not found(value, b"l" * 20).is_sound()
    for length in (0, 1, 8, 15, 16, 500, 1015):
        assert not found(value[:length]).is_sound(), length
