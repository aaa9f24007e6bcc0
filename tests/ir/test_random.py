"""The generator gives the published numbers, and each number depends on its position alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from danaus.ir.diagnostic import DanausError
from danaus.ir.random import open_uniform, philox4x32, stream, uniform

# The known answers of Random123 (kat_vectors, philox4x32 with 10 rounds): counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter: str, key: str, result: str) -> None:
    assert philox4x32(words(counter), words(key)).tolist() == words(result).tolist()


def test_known_answers_at_once() -> None:
    counters, keys, results = (np.stack([words(row[i]) for row in KNOWN]) for i in range(3))
    assert (philox4x32(counters, keys) == results).all()
    assert philox4x32(counters, keys).dtype == np.uint32


def test_counters_broadcast_against_keys() -> None:
    counters = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)
    keys = np.array([[1, 2], [3, 4], [5, 6]], np.uint32)
    result = philox4x32(counters, keys)
    assert result.shape == (2, 3, 4)
    assert (result[1, 2] == philox4x32(counters[1, 2], keys[2])).all()


def plain_philox(counter: list[int], key: list[int]) -> list[int]:
    """The definition, with Python's integers."""
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(right >> 32) ^ counter[1] ^ key[0], right % 2**32, (left >> 32) ^ counter[3] ^ key[1], left % 2**32]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


def test_uniform_is_the_generator_at_seed_row_node_and_stage() -> None:
    seed, row, node, stage = 0x0123456789ABCDEF, 2**40 + 7, 2**32 - 1, 5
    high, low, _, _ = plain_philox([row % 2**32, row >> 32, node, stage], [seed % 2**32, seed >> 32])
    expected = (2 * ((high << 20) | (low >> 12)) + 1) / 2**53
    assert uniform(seed, np.array([row]), np.array([node]), stage).tolist() == [expected]


def test_a_row_does_not_depend_on_the_batch() -> None:
    nodes = np.array([4, 9, 2])
    whole = uniform(1, np.arange(40_000)[:, None], nodes, stage=3)
    assert whole.shape == (40_000, 3)
    for row in (0, 10_922, 10_923, 39_999):
        assert (uniform(1, np.array([row]), nodes, stage=3) == whole[row]).all()


def test_seeds_rows_nodes_and_stages_all_matter() -> None:
    one, two = np.array([1]), np.array([2])
    numbers = [
        uniform(1, one, one, 1)[0],
        uniform(2, one, one, 1)[0],
        uniform(1 + 2**32, one, one, 1)[0],
        uniform(1, two, one, 1)[0],
        uniform(1, one + 2**32, one, 1)[0],
        uniform(1, one, two, 1)[0],
        uniform(1, one, one, 2)[0],
    ]
    assert len(set(numbers)) == len(numbers)


def test_uniform_numbers_are_strictly_inside_and_exact_at_the_ends() -> None:
    ends = np.array([0, 2**32 - 1], np.uint32)
    assert open_uniform(ends, ends).tolist() == [2.0**-53, 1 - 2.0**-53]


def test_uniform_numbers_are_uniform() -> None:
    numbers = uniform(0, np.arange(100_000), np.array(0), 0)
    counts = np.histogram(numbers, bins=100, range=(0, 1))[0]
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation 14; the seed is fixed.
    assert abs(((counts - 1000) ** 2 / 1000).sum() - 99) < 4 * 14
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(100_000)


def test_no_rows_give_no_numbers() -> None:
    assert uniform(0, np.zeros((0, 1), np.int64), np.arange(3), 0).shape == (0, 3)
    assert stream(0, "x", 0).shape == (0,)


def test_a_stream_is_the_generator_under_the_hash_of_seed_and_name() -> None:
    digest = hashlib.blake2b(b"p.r#1", digest_size=8, key=(77).to_bytes(8, "little")).digest()
    key = [int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")]
    block = plain_philox([1, 0, 0, 0], key)
    expected = [(2 * ((block[i] << 20) | (block[i + 1] >> 12)) + 1) / 2**53 for i in (0, 2)]
    assert stream(77, "p.r#1", 4)[2:].tolist() == expected


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    long = stream(3, "name", 70_001)
    assert (long[:65_537] == stream(3, "name", 65_537)).all()
    assert len(set(long.tolist())) == 70_001


def test_streams_differ_by_name_and_by_seed() -> None:
    assert not set(stream(0, "a", 100).tolist()) & set(stream(0, "b", 100).tolist())
    assert not set(stream(0, "a", 100).tolist()) & set(stream(1, "a", 100).tolist())


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(DanausError) as failure:
        stream(seed, "a", 1)
    assert str(failure.value) == (
        f"error[wrong-value]: the seed {seed} is out of range\n  hint: give a whole number from 0 to 2^64 - 1"
    )
    with pytest.raises(DanausError):
        uniform(seed, np.array([0]), np.array([0]), 0)


def test_a_node_or_stage_that_is_no_word_is_refused() -> None:
    with pytest.raises(ValueError):
        uniform(0, np.array([0]), np.array([2**32]), 0)
    with pytest.raises(ValueError):
        uniform(0, np.array([0]), np.array([-1]), 0)
    with pytest.raises(ValueError):
        uniform(0, np.array([0]), np.array([0]), 2**32)
